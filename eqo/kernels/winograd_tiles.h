#pragma once
#include <span>

#include "eqo/core/shape.h"
#include "eqo/core/thread_pool.h"
#include "eqo/kernels/lanes.h"

namespace eqo {

// The two transforms of F(2x2, 3x3) (Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016,
// section 4.1) for stride 1: Y = A^T [ U .* (B^T X B) ] A with integer
//   B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1],  A^T = [1 1 1 0; 0 1 -1 -1].
// Both are exact modulo any power of two, hence local on shares. Input tiles are 4x4 and overlap by 2; positions
// outside the image are zero, outputs outside out_h x out_w are cropped. Tap p = 4 * row + column.
inline constexpr std::size_t kWinogradTaps = 16;

struct TileGrid {
  std::int64_t out_h = 0, out_w = 0;
  std::int64_t rows() const { return (out_h + 1) / 2; }
  std::int64_t cols() const { return (out_w + 1) / 2; }
  std::size_t tiles() const { return static_cast<std::size_t>(rows() * cols()); }
};

// x [batch][c][h][w] -> v [16][c][batch * tiles]. The tile at (0, 0) begins at input (-pad_top, -pad_left).
// Throws internal_error if a span's length does not fit.
template <Lane L>
void winograd_input(const Shape& in, std::int64_t pad_top, std::int64_t pad_left, TileGrid grid, std::size_t batch,
                    std::span<const L> x, std::span<L> v, ThreadPool& threads);

// m [16][channels][batch * tiles] -> y [batch][channels][out_h][out_w].
template <Lane L>
void winograd_output(std::size_t channels, TileGrid grid, std::size_t batch, std::span<const L> m, std::span<L> y,
                     ThreadPool& threads);

}  // namespace eqo
