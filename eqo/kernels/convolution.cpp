#include "eqo/kernels/convolution.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "eqo/core/error.h"
#include "eqo/kernels/gemm.h"
#include "eqo/kernels/im2col.h"
#include "eqo/kernels/winograd_tiles.h"

namespace eqo {
namespace {

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 24;
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 40;

[[noreturn]] void refuse(const ConvShape& s, const std::string& what) {
  throw model_error("convolution of " + s.in.to_string() + ": " + what, "check the layer's attributes and input size");
}

// The product of positive factors is at most kMaxElements; never overflows.
bool bounded(std::initializer_list<std::int64_t> factors) {
  std::uint64_t left = kMaxElements;
  for (const std::int64_t f : factors) left /= static_cast<std::uint64_t>(f);
  return left > 0;
}

std::uint64_t u64(std::int64_t x) { return static_cast<std::uint64_t>(x); }

TileGrid tile_grid(const ConvShape& s) { return {s.out().h, s.out().w}; }

}  // namespace

std::uint64_t ConvShape::products() const { return domain == ConvDomain::kWinograd ? kWinogradTaps : u64(groups); }
std::uint64_t ConvShape::rows() const { return u64(out_channels / groups); }
std::uint64_t ConvShape::inner() const {
  return domain == ConvDomain::kWinograd ? u64(in.c) : u64(in.c / groups * window.kernel_h * window.kernel_w);
}
std::uint64_t ConvShape::cols() const {
  return domain == ConvDomain::kWinograd ? tile_grid(*this).tiles() : u64(out().h * out().w);
}
std::uint64_t ConvShape::weights() const { return products() * rows() * inner(); }
std::uint64_t ConvShape::macs() const { return weights() * cols(); }

bool winograd_applies(const ConvShape& s) {
  const Window& w = s.window;
  const auto pads = {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right};
  return s.groups == 1 && w.kernel_h == 3 && w.kernel_w == 3 && w.stride_h == 1 && w.stride_w == 1 &&
         w.dilation_h == 1 && w.dilation_w == 1 && std::all_of(pads.begin(), pads.end(), [](auto p) { return p <= 2; });
}

void check(const ConvShape& s) {
  const Window& w = s.window;
  for (const std::int64_t v : {s.in.c, s.in.h, s.in.w, s.out_channels, s.groups, w.kernel_h, w.kernel_w, w.stride_h,
                               w.stride_w, w.dilation_h, w.dilation_w})
    if (v < 1 || v > kMaxExtent) refuse(s, "a size, stride, dilation or group count is not in 1..2^24");
  for (const std::int64_t v : {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right})
    if (v < 0 || v > kMaxExtent) refuse(s, "a padding is not in 0..2^24");
  if (s.in.c % s.groups != 0 || s.out_channels % s.groups != 0)
    refuse(s, "the channels cannot be divided into " + std::to_string(s.groups) + " groups");
  if (w.dilation_h * (w.kernel_h - 1) >= s.in.h + w.pad_top + w.pad_bottom ||
      w.dilation_w * (w.kernel_w - 1) >= s.in.w + w.pad_left + w.pad_right)
    refuse(s, "the window does not fit the padded input");
  const std::int64_t oh = w.out_h(s.in.h), ow = w.out_w(s.in.w), inner = s.in.c / s.groups;
  if (!bounded({s.in.c, s.in.h, s.in.w}) || !bounded({s.out_channels, oh, ow}) ||
      !bounded({s.out_channels, inner, w.kernel_h, w.kernel_w}) || !bounded({s.in.c, w.kernel_h, w.kernel_w, oh, ow}) ||
      !bounded({16, s.out_channels, s.in.c}) || !bounded({16, std::max(s.in.c, s.out_channels), oh, ow}))
    refuse(s, "it is too large");
  if (s.domain != ConvDomain::kDirect && s.domain != ConvDomain::kWinograd) refuse(s, "unknown domain");
  if (s.domain == ConvDomain::kWinograd && !winograd_applies(s))
    refuse(s, "Winograd needs a 3x3 window, stride 1, dilation 1, one group and padding of at most 2");
}

std::uint64_t ConvWeights::bits(const ConvShape& shape) const {
  std::uint64_t sum = 0;
  for (std::size_t p = 0; p < shape.products(); ++p) sum += format(p).bits();
  return sum * shape.rows() * shape.inner();
}

void ConvWeights::validate(const ConvShape& shape) const {
  check(shape);
  const std::string hint = "the model file is damaged or was made by another version";
  if (formats.size() != 1 && formats.size() != shape.products())
    throw model_error("convolution weights: one format or one a product is needed", hint);
  if (codes.size() != shape.weights())
    throw model_error("convolution weights: their count does not fit the layer", hint);
  for (const WeightCode& f : formats) f.validate();
  const std::size_t size = shape.rows() * shape.inner();
  for (std::size_t p = 0; p < shape.products(); ++p) {
    const unsigned bits = format(p).bits();
    unsigned beyond = 0;
    for (std::size_t i = 0; i < size; ++i) beyond |= static_cast<unsigned>(codes[p * size + i]) >> bits;
    if (beyond != 0) throw model_error("convolution weights: a code is wider than its format", hint);
  }
}

DecodedWeights decode_weights(const ConvShape& shape, std::span<const WeightCode> formats,
                              std::span<const std::uint16_t> codes, Ring ring) {
  if (codes.size() != shape.weights()) throw internal_error("decode_weights: the weights do not fit the shape");
  if (fits_lane32(ring)) return decode_codes<std::uint32_t>(formats, shape.products(), codes);
  return decode_codes<std::uint64_t>(formats, shape.products(), codes);
}

DecodedWeights decode_weights(const ConvShape& shape, const ConvWeights& weights, Ring ring) {
  return decode_weights(shape, weights.formats, weights.codes, ring);
}

template <Lane L>
Lanes<L> conv_columns(const ConvShape& s, std::size_t batch, std::span<const L> x, ThreadPool& threads) {
  Lanes<L> v(s.products() * s.inner() * batch * s.cols());
  if (s.domain == ConvDomain::kWinograd) {
    winograd_input<L>(s.in, s.window.pad_top, s.window.pad_left, tile_grid(s), batch, x, v, threads);
  } else {
    im2col<L>(s.in, s.window, batch, x, v, threads);
  }
  return v;
}

template <Lane L>
Lanes<L> conv_outputs(const ConvShape& s, std::size_t batch, std::span<const L> m, ThreadPool& threads) {
  const auto channels = static_cast<std::size_t>(s.out_channels);
  Lanes<L> y(batch * static_cast<std::size_t>(s.out().size()));
  if (s.domain == ConvDomain::kWinograd) {
    winograd_output<L>(channels, tile_grid(s), batch, m, y, threads);
  } else {
    columns_to_images<L>(channels, batch, s.cols(), m, y);
  }
  return y;
}

void add_bias(const Shape& out, std::size_t batch, Ring ring, std::span<const Word> bias, std::span<Word> y) {
  if (bias.empty()) return;
  const auto pixels = static_cast<std::size_t>(out.h * out.w);
  if (bias.size() != static_cast<std::size_t>(out.c) || y.size() != batch * bias.size() * pixels)
    throw internal_error("add_bias: the lengths do not fit");
  for (std::size_t i = 0; i < batch * bias.size(); ++i)
    for (Word& w : y.subspan(i * pixels, pixels)) w = ring.add(w, bias[i % bias.size()]);
}

Words conv_plain(const ConvShape& s, Ring ring, std::size_t batch, const DecodedWeights& weights,
                 std::span<const Word> bias, std::span<const Word> x, ThreadPool& threads) {
  if (x.size() != batch * static_cast<std::size_t>(s.in.size()))
    throw internal_error("conv_plain: the input does not fit the shape");
  if (std::holds_alternative<Lanes<std::uint32_t>>(weights) != fits_lane32(ring))
    throw internal_error("conv_plain: the weights were decoded for another ring");
  Words y = std::visit(
      [&]<Lane L>(const Lanes<L>& u) {
        const Lanes<L> v = conv_columns<L>(s, batch, to_lanes<L>(x), threads);
        Lanes<L> m(s.products() * s.rows() * batch * s.cols());
        gemm_mod({s.products(), s.rows(), s.inner(), batch * s.cols()}, u, v, m, threads);
        return from_lanes<L>(conv_outputs<L>(s, batch, m, threads), ring);
      },
      weights);
  add_bias(s.out(), batch, ring, bias, y);
  return y;
}

template Lanes<std::uint32_t> conv_columns<std::uint32_t>(const ConvShape&, std::size_t, std::span<const std::uint32_t>,
                                                          ThreadPool&);
template Lanes<std::uint64_t> conv_columns<std::uint64_t>(const ConvShape&, std::size_t, std::span<const std::uint64_t>,
                                                          ThreadPool&);
template Lanes<std::uint32_t> conv_outputs<std::uint32_t>(const ConvShape&, std::size_t, std::span<const std::uint32_t>,
                                                          ThreadPool&);
template Lanes<std::uint64_t> conv_outputs<std::uint64_t>(const ConvShape&, std::size_t, std::span<const std::uint64_t>,
                                                          ThreadPool&);

}  // namespace eqo
