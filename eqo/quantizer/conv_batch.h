#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/quantizer/batch.h"

namespace eqo::quant {

// Convolutions of calibration batches, im2col over our own matrix product. A fully connected layer is a 1x1 window.
struct ConvSpec {
  Window window;
  std::int64_t groups = 1;
  std::int64_t filters = 0;
};

// weight [K][C/groups][kh][kw], bias [K] or empty.
FloatBatch convolve(const FloatBatch& x, const ConvSpec& spec, std::span<const float> weight,
                    std::span<const float> bias, ThreadPool& pool);

// The same on integers, exact. Throws model_error if a sum could reach 2^53.
IntBatch convolve(const IntBatch& x, const ConvSpec& spec, std::span<const std::int64_t> weight,
                  std::span<const std::int64_t> bias, ThreadPool& pool);

// Y = A^T [ sum_c U_pkc * (B^T X B)_pc ] A + bias on tiles of 2x2 outputs, for the 3x3 stride-1 window with this
// padding; u is [16][K][C], tap p = 4 * row + column. Exact; throws as above.
IntBatch convolve_winograd(const IntBatch& x, const Window& window, std::int64_t filters,
                           std::span<const std::int64_t> u, std::span<const std::int64_t> bias, ThreadPool& pool);

// B^T X B of every tile of one image: v is [16][C][tiles], tiles row by row, ceil(out_h / 2) * ceil(out_w / 2) of them.
template <class F, class T>
void winograd_tiles(const T* image, const Shape& in, const Window& window, F* v, std::size_t ld);

// The im2col matrix of images [first, first + count) of one group: [C/groups * kh * kw][ld], columns are the output
// positions of one image after the other; unused columns are zero.
template <class F, class T>
void batch_columns(const Batch<T>& x, const ConvSpec& spec, std::int64_t group, std::size_t first, std::size_t count,
                   std::size_t ld, F* columns);

// Tile counts of a Winograd convolution whose outputs are h x w.
constexpr std::int64_t winograd_tile_count(std::int64_t h, std::int64_t w) { return ((h + 1) / 2) * ((w + 1) / 2); }

}  // namespace eqo::quant
