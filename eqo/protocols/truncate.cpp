#include "eqo/protocols/truncate.h"

#include <array>
#include <string>

#include "eqo/protocols/b2a.h"
#include "eqo/protocols/carry.h"
#include "eqo/protocols/local.h"

namespace eqo {
namespace {

void check_shift(Ring ring, unsigned s) {
  if (s >= ring.bits())
    throw usage_error("truncation by " + std::to_string(s) + " in a ring of " + std::to_string(ring.bits()) + " bits");
}

// How w is found, and the constant that makes x non-negative (a multiple of 2^s).
struct Method {
  bool or_of_msbs = false;
  Word offset = 0;
};

Method method(Ring ring, unsigned s, Knowledge knowledge) {
  const unsigned l = ring.bits();
  if (knowledge == Knowledge::kNonNegative) return {true, 0};
  if (knowledge == Knowledge::kGuarded && s + 2 <= l) return {true, Word{1} << (l - 2)};
  if (knowledge == Knowledge::kUnsigned) return {false, 0};
  return {false, Word{1} << (l - 1)};
}

}  // namespace

Words truncate(Context& ctx, Ring ring, std::span<const Word> x, unsigned s, Knowledge knowledge,
               const CompareOptions& options) {
  check_shift(ring, s);
  const std::size_t n = x.size();
  Words y(x.begin(), x.end());
  if (s == 0 || n == 0) return y;
  const Method how = method(ring, s, knowledge);
  const Word offset = ctx.party == Party::kServer ? how.offset : 0;
  for_each_index(ctx, n, [&](std::size_t i) { y[i] = ring.add(y[i], offset); });

  Bits c, w;
  if (how.or_of_msbs) {
    w.resize(n);
    for_each_index(ctx, n, [&](std::size_t i) { w[i] = static_cast<std::uint8_t>(ring.msb(y[i])); });
    c = carry(ctx, s, y, options);
  } else {
    const std::array<unsigned, 1> cut{s};
    Carries both = carry_with_cuts(ctx, ring.bits(), cut, y, options);
    c = std::move(both.at_cuts.front());
    w = std::move(both.top);
  }
  const std::array<BitTerm, 2> terms{
      BitTerm{BitTerm::Kind::kXor, ring, c},
      BitTerm{how.or_of_msbs ? BitTerm::Kind::kOr : BitTerm::Kind::kXor, Ring(s), w},
  };
  const std::vector<Words> added = bits_to_ring(ctx, terms);
  const unsigned l = ring.bits();
  for_each_index(ctx, n, [&](std::size_t i) {
    y[i] = ring.reduce((y[i] >> s) + added[0][i] - (added[1][i] << (l - s)) - (offset >> s));
  });
  return y;
}

void truncate_cost(CostMeter& meter, Ring ring, std::uint64_t n, unsigned s, Knowledge knowledge,
                   const CompareOptions& options) {
  check_shift(ring, s);
  if (s == 0 || n == 0) return;
  const Method how = method(ring, s, knowledge);
  if (how.or_of_msbs) {
    carry_cost(meter, s, n, options);
  } else {
    const std::array<unsigned, 1> cut{s};
    carry_with_cuts_cost(meter, ring.bits(), cut, n, options);
  }
  const std::array<BitTermShape, 2> terms{
      BitTermShape{BitTerm::Kind::kXor, ring, n},
      BitTermShape{how.or_of_msbs ? BitTerm::Kind::kOr : BitTerm::Kind::kXor, Ring(s), n},
  };
  bits_to_ring_cost(meter, terms);
}

Words truncate_reduce(Context& ctx, Ring ring, std::span<const Word> x, unsigned s, const CompareOptions& options,
                      Party receiver) {
  check_shift(ring, s);
  if (s == 0 || x.empty()) return Words(x.begin(), x.end());
  const Ring to(ring.bits() - s);
  Words y = b2a(ctx, to, carry(ctx, s, x, options), receiver);
  for_each_index(ctx, y.size(), [&](std::size_t i) { y[i] = to.reduce(y[i] + (x[i] >> s)); });
  return y;
}

void truncate_reduce_cost(CostMeter& meter, Ring ring, std::uint64_t n, unsigned s, const CompareOptions& options,
                          Party receiver) {
  check_shift(ring, s);
  if (s == 0 || n == 0) return;
  carry_cost(meter, s, n, options);
  b2a_cost(meter, Ring(ring.bits() - s), n, receiver);
}

}  // namespace eqo
