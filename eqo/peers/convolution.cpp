#include "eqo/peers/convolution.h"

#include <optional>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/kernels/gemm.h"
#include "eqo/peers/cross_product.h"
#include "eqo/protocols/ot_product.h"

namespace eqo::peers {
namespace {

// [rows][cols] -> [cols][rows]
Words transposed(std::span<const Word> x, std::size_t rows, std::size_t cols) {
  Words out(x.size());
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < cols; ++c) out[c * rows + r] = x[r * cols + c];
  return out;
}

// The cross term of one of a layer's products: U [rows][inner] of the server times V_c [inner][cols].
CrossShape cross_shape(const ProductShape& p, Choice choice, std::uint64_t batch) {
  const unsigned l = p.ring.bits();
  const std::uint64_t cols = p.cols * batch;
  if (choice == Choice::kActivations) return {cols, p.inner, p.rows, l, p.ring};
  return {p.rows, p.inner, cols, l, p.ring};
}

Party sender_of(Choice choice) { return choice == Choice::kActivations ? Party::kServer : Party::kClient; }

// One party's share of a cross term, [rows][cols]; `mine` is U or V_c.
Words cross_term(Context& ctx, const ProductShape& p, Choice choice, std::uint64_t batch, std::span<const Word> mine) {
  const CrossShape shape = cross_shape(p, choice, batch);
  const std::uint64_t cols = p.cols * batch;
  if (choice != Choice::kActivations)
    return ctx.party == Party::kServer ? cross_product_receive(ctx, shape, mine) : cross_product_send(ctx, shape, mine);
  const Words turned = ctx.party == Party::kServer ? cross_product_send(ctx, shape, transposed(mine, p.rows, p.inner))
                                                   : cross_product_receive(ctx, shape, transposed(mine, p.inner, cols));
  return transposed(turned, cols, p.rows);
}

class PeerConvolution final : public SecretConvolution {
 public:
  PeerConvolution(const ConvSpec& spec, Choice choice, std::optional<std::span<const std::uint16_t>> codes,
                  std::span<const Word> bias)
      : spec_(spec), product_(product_spec(spec)), choice_(choice), codes_(codes), bias_(bias.begin(), bias.end()) {
    const ProductShape& p = product_.shape;
    if (codes && codes->size() != p.count * p.rows * p.inner)
      throw internal_error("convolution: the weights do not fit the shape");
    if (!bias_.empty() && bias_.size() != static_cast<std::size_t>(spec.shape.out_channels))
      throw internal_error("convolution: the bias does not fit the shape");
  }

  void setup(Context&) override {}

  Words online(Context& ctx, std::uint64_t, std::uint64_t batch, std::span<const Word> x) override {
    if (choice_ == Choice::kWeights) {
      const auto keyed = codes_ ? make_ot_convolution_server(spec_, *codes_, bias_) : make_ot_convolution_client(spec_);
      keyed->setup(ctx);
      return keyed->online(ctx, 1, batch, x);
    }
    if (batch == 0 || x.size() / batch != static_cast<std::size_t>(spec_.shape.in.size()) || x.size() % batch != 0)
      throw internal_error("convolution: the input does not fit the shape");
    const ProductShape& p = product_.shape;
    const std::size_t cols = p.cols * batch, weights = p.rows * p.inner;
    const Words v = conv_columns<Word>(spec_.shape, batch, x, ctx.threads);
    const Words u = codes_ ? decode_codes<Word>(spec_.formats, p.count, *codes_) : Words{};
    Words m(p.count * p.rows * cols);
    if (codes_) gemm_mod({p.count, p.rows, p.inner, cols}, u, v, m, ctx.threads);
    Words mine(codes_ ? weights : p.inner * cols);
    for (std::size_t k = 0; k < p.count; ++k) {
      const std::span<const Word> from = codes_ ? std::span(u).subspan(k * weights, weights)
                                                : std::span(v).subspan(k * p.inner * cols, p.inner * cols);
      for (std::size_t i = 0; i < mine.size(); ++i) mine[i] = p.ring.reduce(from[i]);
      const Words term = cross_term(ctx, p, choice_, batch, mine);
      for (std::size_t i = 0; i < term.size(); ++i) m[k * p.rows * cols + i] += term[i];
    }
    Words y = conv_outputs<Word>(spec_.shape, batch, m, ctx.threads);
    for (Word& w : y) w = p.ring.reduce(w);
    add_bias(spec_.shape.out(), batch, p.ring, bias_, y);
    return y;
  }

 private:
  ConvSpec spec_;
  ProductSpec product_;
  Choice choice_;
  std::optional<std::span<const std::uint16_t>> codes_;  // the server's
  Words bias_;
};

}  // namespace

std::unique_ptr<SecretConvolution> make_convolution_server(const ConvSpec& spec, Choice choice,
                                                           std::span<const std::uint16_t> codes,
                                                           std::span<const Word> bias) {
  return std::make_unique<PeerConvolution>(spec, choice, codes, bias);
}

std::unique_ptr<SecretConvolution> make_convolution_client(const ConvSpec& spec, Choice choice) {
  return std::make_unique<PeerConvolution>(spec, choice, std::nullopt, std::span<const Word>{});
}

void convolution_cost(CostMeter& meter, const ConvSpec& spec, Choice choice, std::uint64_t batch) {
  const ProductSpec product = product_spec(spec);
  if (choice == Choice::kWeights) {
    ot_product_setup_cost(meter, product);
    ot_product_online_cost(meter, product, batch);
    return;
  }
  for (std::uint64_t k = 0; k < product.shape.count; ++k)
    cross_product_cost(meter, sender_of(choice), cross_shape(product.shape, choice, batch));
}

}  // namespace eqo::peers
