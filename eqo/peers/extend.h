#pragma once
#include <span>

#include "eqo/peers/peer_context.h"
#include "eqo/protocols/compare_options.h"

namespace eqo::peers {

// F_EXT from Z_{2^m} to Z_{2^n}, n >= m, as SiRNN does it: the wrap of m bits, converted to the ring of n - m bits.
//   in   x [N] additive shares in `from`      out  [N] additive shares in `to`
// kUnsigned: zero extension; kSigned: the same after adding 2^(m-1); kNonNegative: the wrap follows from the known sign
// (wrap_of_sign), kGuarded: the same after adding 2^(m-2).
// Source: Rathee et al., "SiRNN", IEEE S&P 2021, section 4.1 and 4.2. Security: that of wrap.h and protocols/b2a.h.
// Constant time in x. Cost: the wrap of m bits, or 260 bits where the sign is known, and 127 + n - m bits.
// One bit less than published: of a bit's conversion only n - m - 1 bits need multiplying.
// Throws usage_error if `to` is narrower, or for kGuarded with m < 2.
Words extend(PeerContext& ctx, Ring from, Ring to, std::span<const Word> x, Knowledge knowledge);
void extend_cost(CostMeter& meter, Ring from, Ring to, std::uint64_t n, Knowledge knowledge);

}  // namespace eqo::peers
