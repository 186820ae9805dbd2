#include "eqo/peers/factored_convolution.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "eqo/core/error.h"
#include "eqo/protocols/local.h"
#include "eqo/protocols/ot_product.h"

namespace eqo::peers {
namespace {

using Codes = WipedVector<std::uint16_t>;

// The codebook without the format's shift, which is local.
std::vector<std::int64_t> levels_of(const WeightCode& format) {
  WeightCode unshifted = format;
  unshifted.shift = 0;
  std::vector<std::int64_t> out(std::size_t{1} << format.bits());
  for (unsigned k = 0; k < out.size(); ++k) out[k] = unshifted.value(k);
  return out;
}

// Bits of a two's-complement number that holds every value.
unsigned value_bits(const WeightCode& format) {
  std::uint64_t magnitude = 0;
  for (const std::int64_t v : levels_of(format)) magnitude |= static_cast<std::uint64_t>(v < 0 ? ~v : v);
  return static_cast<unsigned>(std::bit_width(magnitude)) + 1;
}

struct Factored {
  ProductShape shape;
  WeightCode format;
  std::uint64_t clusters = 0;
  ProductSpec sums;    // [products][(V - 1) rows][inner] of one bit each
  ProductSpec values;  // [products][1][V] of the codebook's values
};

Factored factored(const ConvSpec& spec, std::uint64_t batch) {
  if (!factors(spec)) throw internal_error("factored convolution: the layer is not one");
  Factored f;
  f.shape = product_spec(spec).shape;
  f.format = spec.formats.front();
  f.clusters = std::uint64_t{1} << f.format.bits();
  WeightCode one_bit{.exponents = {0}, .signs = {1}};
  WeightCode value = WeightCode::twos_complement(value_bits(f.format));
  value.shift = f.format.shift;
  f.sums = {f.shape, {one_bit}};
  f.sums.shape.rows = f.shape.rows * (f.clusters - 1);
  f.values = {f.shape, {value}};
  f.values.shape.rows = 1;
  f.values.shape.inner = f.clusters;
  f.values.shape.cols = f.shape.rows * f.shape.cols * batch;
  return f;
}

// [products][V - 1][rows][inner]: 1 where the weight is in the cluster.
Codes membership(const Factored& f, std::span<const std::uint16_t> codes) {
  const std::uint64_t weights = f.shape.rows * f.shape.inner, others = f.clusters - 1;
  Codes out(f.shape.count * others * weights);
  for (std::uint64_t p = 0; p < f.shape.count; ++p)
    for (std::uint64_t v = 0; v < others; ++v)
      for (std::uint64_t i = 0; i < weights; ++i) {
        const std::uint64_t different = (codes[p * weights + i] ^ v) & (f.clusters - 1);
        out[(p * others + v) * weights + i] = static_cast<std::uint16_t>((different - 1) >> 63);
      }
  return out;
}

Codes values_of(const Factored& f) {
  const std::vector<std::int64_t> levels = levels_of(f.format);
  const Word mask = Ring(f.values.formats[0].bits()).mask();
  Codes out;
  for (std::uint64_t p = 0; p < f.shape.count; ++p)
    for (const std::int64_t v : levels) out.push_back(static_cast<std::uint16_t>(static_cast<Word>(v) & mask));
  return out;
}

// The sums of clusters 0 to V - 2, [products][V - 1][rows][cols], with the last cluster's behind them: what is left of
// the columns' total.
Words with_last(const Factored& f, std::uint64_t cols, std::span<const Word> v, std::span<const Word> sums) {
  const std::uint64_t size = f.shape.rows * cols;
  Words out(f.shape.count * f.clusters * size);
  for (std::uint64_t p = 0; p < f.shape.count; ++p) {
    const auto from = sums.subspan(p * (f.clusters - 1) * size, (f.clusters - 1) * size);
    Word* const to = out.data() + p * f.clusters * size;
    Word* const last = to + from.size();
    for (std::uint64_t c = 0; c < f.shape.inner; ++c)
      for (std::uint64_t i = 0; i < cols; ++i) last[i] += v[(p * f.shape.inner + c) * cols + i];
    for (std::uint64_t r = 1; r < f.shape.rows; ++r) std::copy_n(last, cols, last + r * cols);
    for (std::uint64_t i = 0; i < from.size(); ++i) {
      to[i] = from[i];
      last[i % size] -= from[i];
    }
    for (std::uint64_t i = 0; i < size; ++i) last[i] = f.shape.ring.reduce(last[i]);
  }
  return out;
}

Words product(Context& ctx, const ProductSpec& spec, const std::optional<Codes>& codes, std::uint64_t batch,
              std::span<const Word> v) {
  const auto p = codes ? make_ot_product_server(spec, *codes) : make_ot_product_client(spec);
  p->setup(ctx);
  return p->online(ctx, 1, batch, v);
}

class FactoredConvolution final : public SecretConvolution {
 public:
  FactoredConvolution(const ConvSpec& spec, std::optional<std::span<const std::uint16_t>> codes,
                      std::span<const Word> bias)
      : spec_(spec), codes_(codes), bias_(bias.begin(), bias.end()) {
    const Factored f = factored(spec, 1);
    if (codes && codes->size() != f.shape.count * f.shape.rows * f.shape.inner)
      throw internal_error("factored convolution: the weights do not fit the shape");
    if (!bias_.empty() && bias_.size() != static_cast<std::size_t>(spec.shape.out_channels))
      throw internal_error("factored convolution: the bias does not fit the shape");
  }

  void setup(Context&) override {}

  Words online(Context& ctx, std::uint64_t, std::uint64_t batch, std::span<const Word> x) override {
    if (batch == 0 || x.size() / batch != static_cast<std::size_t>(spec_.shape.in.size()) || x.size() % batch != 0)
      throw internal_error("factored convolution: the input does not fit the shape");
    const Factored f = factored(spec_, batch);
    Words v = conv_columns<Word>(spec_.shape, batch, x, ctx.threads);
    for (Word& w : v) w = f.shape.ring.reduce(w);
    std::optional<Codes> bits, values;
    if (codes_) {
      bits = membership(f, *codes_);
      values = values_of(f);
    }
    const Words sums = product(ctx, f.sums, bits, batch, v);
    const Words m = product(ctx, f.values, values, 1, with_last(f, f.shape.cols * batch, v, sums));
    Words y = conv_outputs<Word>(spec_.shape, batch, m, ctx.threads);
    for (Word& w : y) w = f.shape.ring.reduce(w);
    add_bias(spec_.shape.out(), batch, f.shape.ring, bias_, y);
    return y;
  }

 private:
  ConvSpec spec_;
  std::optional<std::span<const std::uint16_t>> codes_;  // the server's
  Words bias_;
};

}  // namespace

std::unique_ptr<SecretConvolution> make_factored_convolution_server(const ConvSpec& spec,
                                                                    std::span<const std::uint16_t> codes,
                                                                    std::span<const Word> bias) {
  return std::make_unique<FactoredConvolution>(spec, codes, bias);
}

std::unique_ptr<SecretConvolution> make_factored_convolution_client(const ConvSpec& spec) {
  return std::make_unique<FactoredConvolution>(spec, std::nullopt, std::span<const Word>{});
}

void factored_convolution_cost(CostMeter& meter, const ConvSpec& spec, std::uint64_t batch) {
  const Factored f = factored(spec, batch);
  ot_product_setup_cost(meter, f.sums);
  ot_product_online_cost(meter, f.sums, batch);
  ot_product_setup_cost(meter, f.values);
  ot_product_online_cost(meter, f.values, 1);
}

bool factors(const ConvSpec& spec) {
  constexpr unsigned kMostValueBits = 16;
  return spec.shape.domain == ConvDomain::kDirect && spec.formats.size() == 1 &&
         (1U << spec.formats[0].bits()) <= kMostClusters && value_bits(spec.formats[0]) <= kMostValueBits;
}

}  // namespace eqo::peers
