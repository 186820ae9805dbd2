#pragma once
#include <span>

#include "eqo/core/shape.h"
#include "eqo/core/thread_pool.h"
#include "eqo/kernels/lanes.h"

namespace eqo {

// The columns of a direct convolution, zero padding included:
//   x [batch][c][h][w]   ->   v [c * kernel_h * kernel_w][batch * out_h * out_w].
// With groups, the rows of group g are the g-th equal part, so v is also [groups][c / groups * kernel][columns].
// The window must fit (see check() in convolution.h). Throws internal_error if a span's length does not fit.
template <Lane L>
void im2col(const Shape& in, const Window& window, std::size_t batch, std::span<const L> x, std::span<L> v,
            ThreadPool& threads);

// m [channels][batch][pixels] -> y [batch][channels][pixels].
template <Lane L>
void columns_to_images(std::size_t channels, std::size_t batch, std::size_t pixels, std::span<const L> m,
                       std::span<L> y);

}  // namespace eqo
