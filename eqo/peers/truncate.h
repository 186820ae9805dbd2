#pragma once
#include <span>

#include "eqo/peers/peer_context.h"
#include "eqo/protocols/compare_options.h"

namespace eqo::peers {

// Exact right shifts as SiRNN does them: floor, never off by one.
//   in   x [n] additive shares in `ring` (Z_{2^l}), 0 <= s < l
// With c the wrap of the low s bits and w that of all l bits, floor(x / 2^s) = (x_s >> s) + (x_c >> s) + c - 2^(l-s) w.
// Source: Rathee et al., "SiRNN", IEEE S&P 2021, sections 4.1 and 4.2. Security: that of wrap.h and protocols/b2a.h.
// Constant time in x. Throws usage_error for s >= l. s = 0 costs nothing.

// In the same ring. kUnsigned and kSigned (2^(l-1) is added first): the wrap of s bits, wrap and equality of the other
// l - s, and w by an AND of 148 bits. kNonNegative, and kGuarded (2^(l-2) is added first; s = l - 1 is done as
// kSigned): w by wrap_of_sign. Then 127 + l bits to convert c and 127 + s for w: each one less than published.
Words truncate(PeerContext& ctx, Ring ring, std::span<const Word> x, unsigned s, Knowledge knowledge);
void truncate_cost(CostMeter& meter, Ring ring, std::uint64_t n, unsigned s, Knowledge knowledge);

// floor(x / 2^s) mod 2^(l-s). Cost: the wrap of s bits, and 127 + l - s bits.
Words truncate_reduce(PeerContext& ctx, Ring ring, std::span<const Word> x, unsigned s);
void truncate_reduce_cost(CostMeter& meter, Ring ring, std::uint64_t n, unsigned s);

}  // namespace eqo::peers
