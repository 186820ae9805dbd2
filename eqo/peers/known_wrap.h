#pragma once
#include "eqo/core/error.h"
#include "eqo/peers/wrap.h"
#include "eqo/protocols/compare_options.h"

namespace eqo::peers {

// What extension and truncation have in common: what makes x non-negative, and the wrap of all bits after that.
inline bool sign_is_known(Knowledge k) { return k == Knowledge::kNonNegative || k == Knowledge::kGuarded; }

inline Word offset_of(Ring ring, Knowledge k) {
  if (k == Knowledge::kSigned) return Word{1} << (ring.bits() - 1);
  if (k != Knowledge::kGuarded) return 0;
  if (ring.bits() < 2) throw usage_error("no guard bit in a ring of 1 bit");
  return Word{1} << (ring.bits() - 2);
}

// The server's share carries the offset.
inline Words with_offset(const Context& ctx, Ring ring, std::span<const Word> x, Knowledge k) {
  const Word offset = ctx.party == Party::kServer ? offset_of(ring, k) : 0;
  Words out(x.begin(), x.end());
  for (Word& v : out) v = ring.add(v, offset);
  return out;
}

}  // namespace eqo::peers
