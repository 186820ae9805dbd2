#pragma once
#include <cstddef>
#include <span>

#include "eqo/core/secret.h"
#include "eqo/ot/context.h"

namespace eqo {

// XOR shares of products of private bits: choices[i] of the receiver times u[i] of the sender, for n pairs from n
// random OTs; the first `pairs` choices, pairs <= n, are multiplied with a second bit, u[n + i], too.
// With r the OT's random choice and d the difference of its two messages, the receiver opens choice ^ r and the sender
// u ^ d; neither message waits for the other. choice * u = (choice ^ r) u ^ r (u ^ d) ^ r d, of which the parties know
// the first, the second and shares of the third (Beaver, CRYPTO 1991, on the triple that an OT is). Each party sees
// bits masked by uniform ones; the shares are those of r d, so fresh. Constant time.
//   out  n + pairs shares, of product i at i
// Cost: n bits one way, n + pairs the other; 1 flight if the sender sends first; n COTs.
class BitProductReceiver {
 public:
  BitProductReceiver(Context& ctx, std::span<const std::uint8_t> choices, std::size_t pairs);  // sends
  Bits finish();                                                                               // receives

 private:
  Context& ctx_;
  Bits random_, shares_;
};

class BitProductSender {
 public:
  BitProductSender(Context& ctx, std::size_t n, std::size_t pairs);
  // These two in any order, then finish().
  void send(std::span<const std::uint8_t> u);
  void receive();
  Bits finish();

 private:
  Context& ctx_;
  std::size_t n_;
  Bits difference_, shares_, opened_, u_;
};

}  // namespace eqo
