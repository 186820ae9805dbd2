#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "eqo/core/shape.h"
#include "eqo/core/thread_pool.h"
#include "eqo/kernels/lanes.h"
#include "eqo/kernels/weight_code.h"

namespace eqo {

// kDirect: columns (im2col) times the kernel. kWinograd: F(2x2, 3x3) with transformed weights, 16 products over tiles.
enum class ConvDomain : std::uint8_t { kDirect = 0, kWinograd = 1 };

// A convolution as the matrix products it becomes. A fully connected layer is a 1x1 window on (c, 1, 1).
struct ConvShape {
  Shape in;
  std::int64_t out_channels = 0, groups = 1;
  Window window;
  ConvDomain domain = ConvDomain::kDirect;

  Shape out() const { return {out_channels, window.out_h(in.h), window.out_w(in.w)}; }
  // Independent products (groups, or 16 taps), each [rows x inner] * [inner x cols * batch].
  std::uint64_t products() const;
  std::uint64_t rows() const;
  std::uint64_t inner() const;
  std::uint64_t cols() const;     // of one image: output pixels or tiles
  std::uint64_t weights() const;  // products * rows * inner
  std::uint64_t macs() const;     // of one image: weights * cols
  friend bool operator==(const ConvShape&, const ConvShape&) = default;
};

// Throws model_error unless the window fits, channels divide by groups, every size is positive and bounded (no product
// of sizes above 2^40), and a Winograd layer is 3x3, stride 1, dilation 1, one group, padding at most 2.
void check(const ConvShape& shape);
bool winograd_applies(const ConvShape& shape);

// Quantized weights as stored: codes in [products][rows][inner] order (for kDirect the order of ONNX:
// [out_channels][c / groups][kernel_h][kernel_w]), and one WeightCode or one for each product.
struct ConvWeights {
  std::vector<std::uint16_t> codes;
  std::vector<WeightCode> formats;

  const WeightCode& format(std::size_t product) const { return formats.size() == 1 ? formats[0] : formats[product]; }
  std::uint64_t bits(const ConvShape& shape) const;  // stored weight bits
  // Throws model_error if the counts do not fit the shape, a format is invalid or a code is wider than its format.
  void validate(const ConvShape& shape) const;
  friend bool operator==(const ConvWeights&, const ConvWeights&) = default;
};

// The weights' values as lanes of a ring, ready for the products; wiped after use.
using DecodedWeights = std::variant<Lanes<std::uint32_t>, Lanes<std::uint64_t>>;
DecodedWeights decode_weights(const ConvShape& shape, std::span<const WeightCode> formats,
                              std::span<const std::uint16_t> codes, Ring ring);
DecodedWeights decode_weights(const ConvShape& shape, const ConvWeights& weights, Ring ring);

// The two local steps around the products, exact modulo 2^32 or 2^64 and so modulo every ring the lanes hold:
//   x [batch][c][h][w] -> v [products][inner][batch * cols],   m [products][rows][batch * cols] -> y [batch][out].
template <Lane L>
Lanes<L> conv_columns(const ConvShape& shape, std::size_t batch, std::span<const L> x, ThreadPool& threads);
template <Lane L>
Lanes<L> conv_outputs(const ConvShape& shape, std::size_t batch, std::span<const L> m, ThreadPool& threads);

// y [batch][out_channels][h][w] += bias of the channel, modulo the ring. An empty bias is none.
void add_bias(const Shape& out, std::size_t batch, Ring ring, std::span<const Word> bias, std::span<Word> y);

// What the integer twin computes, and the server on its own share: x [batch][in] -> y [batch][out] modulo the ring.
// Throws internal_error if a length does not fit the shape or the weights were decoded for other lanes.
Words conv_plain(const ConvShape& shape, Ring ring, std::size_t batch, const DecodedWeights& weights,
                 std::span<const Word> bias, std::span<const Word> x, ThreadPool& threads);

}  // namespace eqo
