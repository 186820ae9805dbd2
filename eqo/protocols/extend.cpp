#include "eqo/protocols/extend.h"

#include "eqo/protocols/b2a.h"
#include "eqo/protocols/carry.h"
#include "eqo/protocols/local.h"

namespace eqo {
namespace {

void check(Ring from, Ring to, Knowledge knowledge) {
  if (to.bits() < from.bits())
    throw usage_error("extension from " + std::to_string(from.bits()) + " to " + std::to_string(to.bits()) + " bits");
  if (knowledge == Knowledge::kGuarded && from.bits() < 2) throw usage_error("extension: no guard bit in 1 bit");
}

bool by_or(Knowledge k) { return k == Knowledge::kNonNegative || k == Knowledge::kGuarded; }

// What makes x non-negative.
Word offset_of(Ring from, Knowledge k) {
  if (k == Knowledge::kSigned) return Word{1} << (from.bits() - 1);
  if (k == Knowledge::kGuarded) return Word{1} << (from.bits() - 2);
  return 0;
}

}  // namespace

Words extend(Context& ctx, Ring from, Ring to, std::span<const Word> x, Knowledge knowledge,
             const CompareOptions& options, Party receiver) {
  check(from, to, knowledge);
  const std::size_t n = x.size();
  Words y(x.begin(), x.end());
  if (from == to || n == 0) return y;
  const Word offset = ctx.party == Party::kServer ? offset_of(from, knowledge) : 0;
  for_each_index(ctx, n, [&](std::size_t i) { y[i] = from.add(y[i], offset); });
  const unsigned m = from.bits();
  const Ring high(to.bits() - m);
  Words w;
  if (by_or(knowledge)) {
    Bits msb(n);
    for_each_index(ctx, n, [&](std::size_t i) { msb[i] = static_cast<std::uint8_t>(from.msb(y[i])); });
    w = private_or(ctx, high, msb, receiver);
  } else {
    w = b2a(ctx, high, carry(ctx, m, y, options), receiver);
  }
  for_each_index(ctx, n, [&](std::size_t i) { y[i] = to.reduce(y[i] - (w[i] << m) - offset); });
  return y;
}

void extend_cost(CostMeter& meter, Ring from, Ring to, std::uint64_t n, Knowledge knowledge,
                 const CompareOptions& options, Party receiver) {
  check(from, to, knowledge);
  if (from == to || n == 0) return;
  const Ring high(to.bits() - from.bits());
  if (by_or(knowledge)) {
    private_or_cost(meter, high, n, receiver);
  } else {
    carry_cost(meter, from.bits(), n, options);
    b2a_cost(meter, high, n, receiver);
  }
}

Words reduce(Context& ctx, Ring to, std::span<const Word> x) {
  Words y(x.size());
  for_each_index(ctx, x.size(), [&](std::size_t i) { y[i] = to.reduce(x[i]); });
  return y;
}

}  // namespace eqo
