#include "eqo/protocols/convolution.h"

#include <utility>

#include "eqo/core/error.h"
#include "eqo/protocols/ot_product.h"

namespace eqo {
namespace {

class OtConvolution final : public SecretConvolution {
 public:
  OtConvolution(const ConvSpec& spec, std::unique_ptr<SecretProduct> product, std::span<const Word> bias)
      : shape_(spec.shape), ring_(spec.ring), product_(std::move(product)), bias_(bias.begin(), bias.end()) {}

  void setup(Context& ctx) override { product_->setup(ctx); }

  Words online(Context& ctx, std::uint64_t counter, std::uint64_t batch, std::span<const Word> x) override {
    if (batch == 0 || x.size() % batch != 0 || x.size() / batch != static_cast<std::size_t>(shape_.in.size()))
      throw internal_error("convolution: the input does not fit the shape");
    const Words v = conv_columns<Word>(shape_, batch, x, ctx.threads);
    const Words m = product_->online(ctx, counter, batch, v);
    Words y = conv_outputs<Word>(shape_, batch, m, ctx.threads);
    for (Word& w : y) w = ring_.reduce(w);
    add_bias(shape_.out(), batch, ring_, bias_, y);
    return y;
  }

 private:
  ConvShape shape_;
  Ring ring_;
  std::unique_ptr<SecretProduct> product_;
  Words bias_;
};

}  // namespace

ProductSpec product_spec(const ConvSpec& spec) {
  check(spec.shape);
  const ConvShape& s = spec.shape;
  ProductSpec product{{s.products(), s.rows(), s.inner(), s.cols(), spec.ring}, spec.formats};
  product.validate();
  return product;
}

std::unique_ptr<SecretConvolution> make_ot_convolution_server(const ConvSpec& spec,
                                                              std::span<const std::uint16_t> codes,
                                                              std::span<const Word> bias) {
  if (!bias.empty() && bias.size() != static_cast<std::size_t>(spec.shape.out_channels))
    throw internal_error("convolution: the bias does not fit the shape");
  return std::make_unique<OtConvolution>(spec, make_ot_product_server(product_spec(spec), codes), bias);
}

std::unique_ptr<SecretConvolution> make_ot_convolution_client(const ConvSpec& spec) {
  return std::make_unique<OtConvolution>(spec, make_ot_product_client(product_spec(spec)), std::span<const Word>{});
}

}  // namespace eqo
