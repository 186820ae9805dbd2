#include "eqo/peers/extend.h"

#include "eqo/peers/known_wrap.h"
#include "eqo/protocols/b2a.h"
#include "eqo/protocols/local.h"

namespace eqo::peers {
namespace {

void check(Ring from, Ring to, Knowledge knowledge) {
  if (to.bits() < from.bits())
    throw usage_error("extension from " + std::to_string(from.bits()) + " to " + std::to_string(to.bits()) + " bits");
  static_cast<void>(offset_of(from, knowledge));
}

}  // namespace

Words extend(PeerContext& ctx, Ring from, Ring to, std::span<const Word> x, Knowledge knowledge) {
  check(from, to, knowledge);
  Words y = with_offset(ctx, from, x, knowledge);
  if (from == to || x.empty()) return Words(x.begin(), x.end());
  const unsigned m = from.bits();
  const Bits w = sign_is_known(knowledge) ? wrap_of_sign(ctx, from, y, Bits(y.size())) : wrap(ctx, m, y);
  const Words high = b2a(ctx, Ring(to.bits() - m), w);
  const Word offset = ctx.party == Party::kServer ? offset_of(from, knowledge) : 0;
  for_each_index(ctx, y.size(), [&](std::size_t i) { y[i] = to.reduce(y[i] - (high[i] << m) - offset); });
  return y;
}

void extend_cost(CostMeter& meter, Ring from, Ring to, std::uint64_t n, Knowledge knowledge) {
  check(from, to, knowledge);
  if (from == to || n == 0) return;
  if (sign_is_known(knowledge)) {
    wrap_of_sign_cost(meter, n);
  } else {
    wrap_cost(meter, from.bits(), n);
  }
  b2a_cost(meter, Ring(to.bits() - from.bits()), n);
}

}  // namespace eqo::peers
