#pragma once
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "eqo/kernels/convolution.h"
#include "eqo/protocols/product.h"

namespace eqo {

// The public side of a secret convolution or fully connected layer.
struct ConvSpec {
  ConvShape shape;
  Ring ring{1};
  std::vector<WeightCode> formats;  // one, or one for each product of the shape
  friend bool operator==(const ConvSpec&, const ConvSpec&) = default;
};

// F_conv: the server's quantized weights and bias, a shared input; both parties get additive shares of
// conv_plain(shape, ring, batch, weights, bias, x), exactly, whatever wraps. Interface for every kind of product.
class SecretConvolution {
 public:
  virtual ~SecretConvolution() = default;
  virtual void setup(Context& ctx) = 0;  // once a session
  // x [batch][in] -> y [batch][out], shares in the ring. For `counter` see SecretProduct::online.
  virtual Words online(Context& ctx, std::uint64_t counter, std::uint64_t batch, std::span<const Word> x) = 0;
  // The same in two halves, so that several layers' messages can share flights: the client sends in the first one, the
  // server, if it has to, in the second one. An object's halves alternate.
  virtual void begin(Context& ctx, std::uint64_t counter, std::uint64_t batch, std::span<const Word> x) {
    begun_ = online(ctx, counter, batch, x);
  }
  virtual Words finish(Context&) { return std::move(begun_); }

 private:
  Words begun_;
};

// By the OT product (ot_product.h, with what each party sees and the cost): columns or tiles are cut and put together
// locally on the shares, the server alone adds the bias [out_channels] (empty: none). Codes must outlive the object.
// Throws model_error for an impossible layer, internal_error for weights or a bias of the wrong length.
std::unique_ptr<SecretConvolution> make_ot_convolution_server(const ConvSpec& spec,
                                                              std::span<const std::uint16_t> codes,
                                                              std::span<const Word> bias);
std::unique_ptr<SecretConvolution> make_ot_convolution_client(const ConvSpec& spec);

// The matrix products behind it, for ot_product_setup_cost(), ot_product_online_cost() and ot_product_keys().
ProductSpec product_spec(const ConvSpec& spec);

}  // namespace eqo
