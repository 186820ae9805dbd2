#include "eqo/protocols/relu.h"

#include "eqo/protocols/carry.h"
#include "eqo/protocols/local.h"
#include "eqo/protocols/mux.h"

namespace eqo {
namespace {

// msb(x) ^ negate, negated in the server's share.
Bits sign_bit(Context& ctx, Ring ring, std::span<const Word> x, const CompareOptions& options, bool negate) {
  Bits bit = carry(ctx, ring.bits() - 1, x, options);
  const std::uint8_t flip = negate && ctx.party == Party::kServer ? 1 : 0;
  for_each_index(ctx, x.size(),
                 [&](std::size_t i) { bit[i] = static_cast<std::uint8_t>(bit[i] ^ ring.msb(x[i]) ^ flip); });
  return bit;
}

// The server's share alone carries a public constant.
Words constant_minus(Context& ctx, Ring ring, Word constant, Words x) {
  const Word mine = ctx.party == Party::kServer ? constant : 0;
  for_each_index(ctx, x.size(), [&](std::size_t i) { x[i] = ring.sub(mine, x[i]); });
  return x;
}

}  // namespace

Bits less_than_zero(Context& ctx, Ring ring, std::span<const Word> x, const CompareOptions& options) {
  return sign_bit(ctx, ring, x, options, false);
}

void less_than_zero_cost(CostMeter& meter, Ring ring, std::uint64_t n, const CompareOptions& options) {
  carry_cost(meter, ring.bits() - 1, n, options);
}

Bits drelu(Context& ctx, Ring ring, std::span<const Word> x, const CompareOptions& options) {
  return sign_bit(ctx, ring, x, options, true);
}

void drelu_cost(CostMeter& meter, Ring ring, std::uint64_t n, const CompareOptions& options) {
  less_than_zero_cost(meter, ring, n, options);
}

Words relu(Context& ctx, Ring ring, std::span<const Word> x, const CompareOptions& options) {
  return mux(ctx, ring, drelu(ctx, ring, x, options), x);
}

void relu_cost(CostMeter& meter, Ring ring, std::uint64_t n, const CompareOptions& options) {
  drelu_cost(meter, ring, n, options);
  mux_cost(meter, ring, n);
}

Words clip(Context& ctx, Ring ring, std::span<const Word> x, Word hi, const CompareOptions& options) {
  if (hi != ring.reduce(hi) || ring.msb(hi) != 0) throw usage_error("clip: the bound must be below 2^(l-1)");
  const Words below = constant_minus(ctx, ring, hi, relu(ctx, ring, x, options));
  return constant_minus(ctx, ring, hi, relu(ctx, ring, below, options));
}

void clip_cost(CostMeter& meter, Ring ring, std::uint64_t n, const CompareOptions& options) {
  relu_cost(meter, ring, n, options);
  relu_cost(meter, ring, n, options);
}

}  // namespace eqo
