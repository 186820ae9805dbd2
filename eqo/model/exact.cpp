#include "eqo/model/exact.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "eqo/model/local_ops.h"

namespace eqo {
namespace {

// F(2x2, 3x3), see kernels/winograd_tiles.h.
constexpr int kInputTransform[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};  // B^T
constexpr int kOutputTransform[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};                              // A^T

std::size_t size(std::int64_t v) { return static_cast<std::size_t>(v); }

using Tile = std::array<std::int64_t, 16>;

// The 4x4 kernels that take an input tile to output (i, j): sum over taps of A^T u A with B^T unrolled.
Tile effective_kernel(const Tile& u, std::size_t i, std::size_t j) {
  Tile left{}, out{};  // left[a][q] = sum_p A^T[i][p] * B^T[p][a] * u[p][q]
  for (std::size_t a = 0; a < 4; ++a)
    for (std::size_t p = 0; p < 4; ++p)
      for (std::size_t q = 0; q < 4; ++q)
        left[4 * a + q] += kOutputTransform[i][p] * kInputTransform[p][a] * u[4 * p + q];
  for (std::size_t a = 0; a < 4; ++a)
    for (std::size_t q = 0; q < 4; ++q)
      for (std::size_t b = 0; b < 4; ++b)
        out[4 * a + b] += kOutputTransform[j][q] * kInputTransform[q][b] * left[4 * a + q];
  return out;
}

Tile tap_values(std::span<const std::int64_t> values, std::size_t at) {
  Tile u;
  for (std::size_t p = 0; p < u.size(); ++p) u[p] = values[p * (values.size() / u.size()) + at];
  return u;
}

std::uint64_t sum_magnitudes(std::span<const std::int64_t> values) {
  std::uint64_t sum = 0;
  for (const std::int64_t v : values) sum += static_cast<std::uint64_t>(v < 0 ? -v : v);
  return sum;
}

// The input at (c, y, x), zero outside.
struct Plane {
  const Shape& shape;
  std::span<const Word> x;
  Int128 at(std::int64_t c, std::int64_t row, std::int64_t col) const {
    const bool inside = row >= 0 && row < shape.h && col >= 0 && col < shape.w;
    return inside ? static_cast<std::int64_t>(x[size((c * shape.h + row) * shape.w + col)]) : 0;
  }
};

Int128 direct_output(const ConvShape& s, std::span<const std::int64_t> values, const Plane& in, std::int64_t k,
                     std::int64_t oy, std::int64_t ox) {
  const Window& w = s.window;
  const std::int64_t per_group = s.in.c / s.groups, first = k / (s.out_channels / s.groups) * per_group;
  std::size_t at = size(k) * size(s.inner());
  Int128 sum = 0;
  for (std::int64_t c = first; c < first + per_group; ++c)
    for (std::int64_t i = 0; i < w.kernel_h; ++i)
      for (std::int64_t j = 0; j < w.kernel_w; ++j)
        sum += Int128{values[at++]} * in.at(c, oy * w.stride_h - w.pad_top + i * w.dilation_h,
                                            ox * w.stride_w - w.pad_left + j * w.dilation_w);
  return sum;
}

Int128 winograd_output_at(const ConvShape& s, std::span<const std::int64_t> values, const Plane& in, std::int64_t k,
                          std::int64_t oy, std::int64_t ox) {
  const std::int64_t top = oy / 2 * 2 - s.window.pad_top, left = ox / 2 * 2 - s.window.pad_left;
  Int128 sum = 0;
  for (std::int64_t c = 0; c < s.in.c; ++c) {
    const Tile u = tap_values(values, size(k * s.in.c + c));
    const Tile w = effective_kernel(u, size(oy % 2), size(ox % 2));
    for (std::int64_t a = 0; a < 4; ++a)
      for (std::int64_t b = 0; b < 4; ++b) sum += Int128{w[size(4 * a + b)]} * in.at(c, top + a, left + b);
  }
  return sum;
}

}  // namespace

WipedVector<std::int64_t> weight_values(const ConvShape& shape, const ConvWeights& weights) {
  const DecodedWeights decoded = decode_weights(shape, weights, Ring(64));
  const auto& lanes = std::get<Lanes<std::uint64_t>>(decoded);
  WipedVector<std::int64_t> values(lanes.size());
  for (std::size_t i = 0; i < lanes.size(); ++i) values[i] = static_cast<std::int64_t>(lanes[i]);
  return values;
}

std::uint64_t largest_weight_sum(const ConvShape& s, std::span<const std::int64_t> values) {
  std::uint64_t largest = 0;
  if (s.domain == ConvDomain::kDirect) {
    for (std::size_t at = 0; at < values.size(); at += s.inner())
      largest = std::max(largest, sum_magnitudes(values.subspan(at, s.inner())));
    return largest;
  }
  for (std::int64_t k = 0; k < s.out_channels; ++k) {
    std::array<std::uint64_t, 4> sums{};
    for (std::int64_t c = 0; c < s.in.c; ++c) {
      const Tile u = tap_values(values, size(k * s.in.c + c));
      for (std::size_t o = 0; o < 4; ++o) sums[o] += sum_magnitudes(effective_kernel(u, o / 2, o % 2));
    }
    largest = std::max(largest, *std::max_element(sums.begin(), sums.end()));
  }
  return largest;
}

std::vector<Int128> conv_exact(const ConvShape& s, std::span<const std::int64_t> values, std::span<const Word> x) {
  const Shape out = s.out();
  const Plane in{s.in, x};
  std::vector<Int128> y;
  y.reserve(size(out.size()));
  for (std::int64_t k = 0; k < out.c; ++k)
    for (std::int64_t oy = 0; oy < out.h; ++oy)
      for (std::int64_t ox = 0; ox < out.w; ++ox)
        y.push_back(s.domain == ConvDomain::kWinograd ? winograd_output_at(s, values, in, k, oy, ox)
                                                      : direct_output(s, values, in, k, oy, ox));
  return y;
}

std::vector<Int128> local_exact(const Node& node, std::span<const TensorType> types,
                                std::span<const std::span<const Word>> inputs, std::size_t batch, ThreadPool& threads) {
  // x = high * 2^32 + low, and the step is linear: with at most 64 inputs shifted by at most 24 bits, and windows of
  // less than 2^31 values, neither half leaves 64 bits (the sum of low halves of a pool is below 2^63).
  std::vector<Words> low, high;
  for (const std::span<const Word> in : inputs) {
    low.emplace_back(in.begin(), in.end());
    high.emplace_back(in.begin(), in.end());
    for (Word& v : low.back()) v &= 0xFFFFFFFFU;
    for (Word& v : high.back()) v = static_cast<Word>(static_cast<std::int64_t>(v) >> 32);
  }
  const auto half = [&](const std::vector<Words>& values) {
    const std::vector<std::span<const Word>> spans(values.begin(), values.end());
    return apply_local_in(Ring(64), node, types, spans, batch, false, threads);
  };
  const Words low_out = half(low), high_out = half(high);
  std::vector<Int128> out(low_out.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::int64_t>(high_out[i]) * (Int128{1} << 32) + static_cast<std::int64_t>(low_out[i]) +
             node.constant;
  return out;
}

}  // namespace eqo
