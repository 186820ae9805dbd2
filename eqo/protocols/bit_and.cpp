#include "eqo/protocols/bit_and.h"

#include "eqo/ot/ring_cot.h"
#include "eqo/protocols/and_round.h"
#include "eqo/protocols/local.h"

namespace eqo {

Bits bit_and(Context& ctx, std::span<const std::uint8_t> x, std::span<const std::uint8_t> y) {
  require_length("AND", y.size(), x.size());
  Bits xy(x.size());
  const AndTerm term{x, y, {}, xy, {}};
  and_round(ctx, std::span(&term, 1), make_and_triples(ctx, x.size()), 0);
  return xy;
}

void bit_and_cost(CostMeter& meter, std::uint64_t n) {
  and_triples_cost(meter, n);
  and_round_cost(meter, n, 0);
}

BitAndPair bit_and_common(Context& ctx, std::span<const std::uint8_t> x, std::span<const std::uint8_t> y,
                          std::span<const std::uint8_t> z) {
  require_length("AND", y.size(), x.size());
  require_length("AND", z.size(), x.size());
  BitAndPair out{Bits(x.size()), Bits(x.size())};
  const AndTerm term{x, y, z, out.xy, out.xz};
  and_round(ctx, std::span(&term, 1), make_and_triples(ctx, x.size()), 0);
  return out;
}

void bit_and_common_cost(CostMeter& meter, std::uint64_t n) {
  and_triples_cost(meter, n);
  and_round_cost(meter, 0, n);
}

Bits bit_and_private(Context& ctx, Party receiver, std::span<const std::uint8_t> mine) {
  Bits out(mine.size());
  if (mine.empty()) return out;
  Words share;
  if (ctx.party == receiver) {
    share = RingCotReceiver(ctx, Ring(1), mine).finish();
  } else {
    share = ring_cot_transfer(ctx, Ring(1), Words(mine.begin(), mine.end()));
  }
  for_each_index(ctx, out.size(), [&](std::size_t i) { out[i] = static_cast<std::uint8_t>(share[i]); });
  return out;
}

void bit_and_private_cost(CostMeter& meter, Party receiver, std::uint64_t n) {
  ring_cot_cost(meter, other(receiver), Ring(1), n);
}

}  // namespace eqo
