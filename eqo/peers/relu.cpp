#include "eqo/peers/relu.h"

#include "eqo/peers/wrap.h"
#include "eqo/protocols/local.h"
#include "eqo/protocols/mux.h"

namespace eqo::peers {

Bits drelu(PeerContext& ctx, Ring ring, std::span<const Word> x) {
  Bits bit = ring.bits() == 1 ? Bits(x.size()) : wrap(ctx, ring.bits() - 1, x);
  const Word flip = ctx.party == Party::kServer ? 1 : 0;
  for_each_index(ctx, x.size(),
                 [&](std::size_t i) { bit[i] = static_cast<std::uint8_t>(bit[i] ^ ring.msb(x[i]) ^ flip); });
  return bit;
}

void drelu_cost(CostMeter& meter, Ring ring, std::uint64_t n) {
  if (ring.bits() > 1) wrap_cost(meter, ring.bits() - 1, n);
}

Words relu(PeerContext& ctx, Ring ring, std::span<const Word> x) { return mux(ctx, ring, drelu(ctx, ring, x), x); }

void relu_cost(CostMeter& meter, Ring ring, std::uint64_t n) {
  drelu_cost(meter, ring, n);
  mux_cost(meter, ring, n);
}

}  // namespace eqo::peers
