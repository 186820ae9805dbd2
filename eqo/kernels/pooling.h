#pragma once
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/core/shape.h"
#include "eqo/core/thread_pool.h"

namespace eqo {

// Throws model_error unless every size is positive, padding is not negative, the window fits the padded input and no
// buffer below exceeds 2^40 elements.
void check_pool(const Shape& in, const Window& window);
Shape pool_shape(const Shape& in, const Window& window);

// Sums over the windows modulo the ring, padding counted as zero: x [batch][c][h][w] -> [batch][c][out_h][out_w].
// Linear, hence local on shares. Throws internal_error if the length does not fit, as does gather_windows().
Words sum_pool(const Shape& in, const Window& window, std::size_t batch, Ring ring, std::span<const Word> x,
               ThreadPool& threads);

// The operands of a maximum over the windows: x [batch][c][h][w] -> [kernel_h * kernel_w][batch][c][out_h][out_w],
// `fill` at the places in the padding. Kernel position i * kernel_w + j comes first.
Words gather_windows(const Shape& in, const Window& window, std::size_t batch, std::span<const Word> x, Word fill);

}  // namespace eqo
