#include "eqo/peers/truncate.h"

#include <array>

#include "eqo/peers/bit_triples.h"
#include "eqo/peers/known_wrap.h"
#include "eqo/protocols/b2a.h"
#include "eqo/protocols/local.h"

namespace eqo::peers {
namespace {

void check_shift(Ring ring, unsigned s) {
  if (s >= ring.bits())
    throw usage_error("a shift by " + std::to_string(s) + " in a ring of " + std::to_string(ring.bits()) + " bits");
}

// What is relied on: 2^(l-2) is not a multiple of 2^(l-1).
Knowledge usable(Ring ring, unsigned s, Knowledge k) {
  return k == Knowledge::kGuarded && s + 1 == ring.bits() ? Knowledge::kSigned : k;
}

}  // namespace

Words truncate(PeerContext& ctx, Ring ring, std::span<const Word> x, unsigned s, Knowledge promised) {
  check_shift(ring, s);
  if (s == 0 || x.empty()) return Words(x.begin(), x.end());
  const Knowledge knowledge = usable(ring, s, promised);
  const std::size_t n = x.size();
  Words y = with_offset(ctx, ring, x, knowledge);
  const unsigned high = ring.bits() - s;
  const Bits c = wrap(ctx, s, y);
  Bits w;
  if (sign_is_known(knowledge)) {
    w = wrap_of_sign(ctx, ring, y, Bits(n));
    for_each_index(ctx, n, [&](std::size_t i) { y[i] >>= s; });
  } else {
    for_each_index(ctx, n, [&](std::size_t i) { y[i] >>= s; });
    WrapAndEqual top = wrap_and_equal(ctx, high, y);
    const Bits through = bit_and(ctx, top.equal, c);
    w = std::move(top.wrap);
    for_each_index(ctx, n, [&](std::size_t i) { w[i] = static_cast<std::uint8_t>(w[i] ^ through[i]); });
  }
  const std::array<BitTerm, 2> terms{{{BitTerm::Kind::kXor, ring, c}, {BitTerm::Kind::kXor, Ring(s), w}}};
  const std::vector<Words> bits = bits_to_ring(ctx, terms);
  const Word offset = ctx.party == Party::kServer ? offset_of(ring, knowledge) >> s : 0;
  for_each_index(ctx, n, [&](std::size_t i) { y[i] = ring.reduce(y[i] + bits[0][i] - (bits[1][i] << high) - offset); });
  return y;
}

void truncate_cost(CostMeter& meter, Ring ring, std::uint64_t n, unsigned s, Knowledge promised) {
  check_shift(ring, s);
  if (s == 0 || n == 0) return;
  wrap_cost(meter, s, n);
  if (sign_is_known(usable(ring, s, promised))) {
    wrap_of_sign_cost(meter, n);
  } else {
    wrap_and_equal_cost(meter, ring.bits() - s, n);
    bit_and_cost(meter, n);
  }
  const std::array<BitTermShape, 2> terms{{{BitTerm::Kind::kXor, ring, n}, {BitTerm::Kind::kXor, Ring(s), n}}};
  bits_to_ring_cost(meter, terms);
}

Words truncate_reduce(PeerContext& ctx, Ring ring, std::span<const Word> x, unsigned s) {
  check_shift(ring, s);
  if (s == 0 || x.empty()) return Words(x.begin(), x.end());
  const Ring to(ring.bits() - s);
  Words y = b2a(ctx, to, wrap(ctx, s, x));
  for_each_index(ctx, x.size(), [&](std::size_t i) { y[i] = to.reduce(y[i] + (x[i] >> s)); });
  return y;
}

void truncate_reduce_cost(CostMeter& meter, Ring ring, std::uint64_t n, unsigned s) {
  check_shift(ring, s);
  if (s == 0 || n == 0) return;
  wrap_cost(meter, s, n);
  b2a_cost(meter, Ring(ring.bits() - s), n);
}

}  // namespace eqo::peers
