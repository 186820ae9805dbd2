#pragma once
#include <cstdint>
#include <span>

#include "eqo/protocols/convolution.h"

namespace eqo {

// Material for one batch of one secret convolution, made before the batch's input exists: whatever product stands
// behind it (ot_product.h, he_product.h), its traffic is over when the input comes.
//
//   prepare   The client draws r, uniform; the product multiplies it: y_c + y_s = W * r + bias, the server's share of r
//             being zero.
//   answer    x = x_c + x_s is shared. The client sends e = x_c - r, the server adds W * (e + x_s) to y_s.
//
// Exact modulo the ring: W * r + W * (x_c - r + x_s) = W * x, whatever wraps.
//
// What the parties see. Server: in the product what the product shows, and e, which r hides: uniform. Client: nothing
// but its share of the product. r hides one x: two under one r would show their difference. So an object answers once,
// whatever becomes of the answer, cannot be copied, and lives in memory alone: what a failure or a crash leaves is
// lost. Cost of the answer: one message of l bits an input element, one flight; no COTs. The client's share of the
// result is there before anything is sent, so that the next step's first message travels with e. Source: Beaver's
// circuit randomization (CRYPTO '91), for products of which one factor stays the same; Delphi (USENIX Security 2020)
// prepares linear layers like this.
class PreparedConvolution {
 public:
  // Begins the product, which must be set up and outlive finish(). `counter` as in SecretProduct::online.
  PreparedConvolution(Context& ctx, const ConvSpec& spec, SecretConvolution& product, std::uint64_t counter,
                      std::uint64_t batch);
  PreparedConvolution(PreparedConvolution&& other) noexcept;  // which is used then
  PreparedConvolution& operator=(PreparedConvolution&&) = delete;
  // The product's second half; between the two, others may begin (SecretConvolution::begin).
  void finish(Context& ctx);

  // Shares of W * x + bias. `codes`: the server's weights, the client's are empty. Once: throws internal_error before
  // anything is sent if it is not the first call, or if x does not fit.
  Words answer(Context& ctx, std::span<const std::uint16_t> codes, std::span<const Word> x);

 private:
  enum class State : std::uint8_t { kBegun, kReady, kUsed };
  const ConvSpec* spec_;
  SecretConvolution* product_;
  std::uint64_t batch_;
  State state_ = State::kBegun;
  Words r_, y_;  // r_: the client's
};

void prepared_answer_cost(CostMeter& meter, const ConvSpec& spec, std::uint64_t batch);

// Bytes of one party's material for an image.
std::uint64_t prepared_bytes(const ConvSpec& spec);

}  // namespace eqo
