#include "eqo/peers/relu.h"

#include "eqo/peers/wrap.h"
#include "eqo/protocols/local.h"
#include "eqo/protocols/mux.h"

namespace eqo::peers {

namespace {

// msb(x) ^ negate, negated in the server's share.
Bits sign_bit(PeerContext& ctx, Ring ring, std::span<const Word> x, bool negate) {
  Bits bit = ring.bits() == 1 ? Bits(x.size()) : wrap(ctx, ring.bits() - 1, x);
  const Word flip = negate && ctx.party == Party::kServer ? 1 : 0;
  for_each_index(ctx, x.size(),
                 [&](std::size_t i) { bit[i] = static_cast<std::uint8_t>(bit[i] ^ ring.msb(x[i]) ^ flip); });
  return bit;
}

}  // namespace

Bits less_than_zero(PeerContext& ctx, Ring ring, std::span<const Word> x) { return sign_bit(ctx, ring, x, false); }
Bits drelu(PeerContext& ctx, Ring ring, std::span<const Word> x) { return sign_bit(ctx, ring, x, true); }

void drelu_cost(CostMeter& meter, Ring ring, std::uint64_t n) {
  if (ring.bits() > 1) wrap_cost(meter, ring.bits() - 1, n);
}

Words relu(PeerContext& ctx, Ring ring, std::span<const Word> x) { return mux(ctx, ring, drelu(ctx, ring, x), x); }

void relu_cost(CostMeter& meter, Ring ring, std::uint64_t n) {
  drelu_cost(meter, ring, n);
  mux_cost(meter, ring, n);
}

}  // namespace eqo::peers
