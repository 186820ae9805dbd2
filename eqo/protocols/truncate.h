#pragma once
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/ot/context.h"
#include "eqo/protocols/compare_options.h"

namespace eqo {

// Exact right shifts of shared numbers: floor, never off by one. Rounding is the caller's (a constant added before).
//   in   x [n] additive shares in `ring` (Z_{2^l}), 0 <= s < l
// With the shares read as unsigned, c the carry out of their low s bits and w that out of all l bits,
//   floor(x / 2^s) = (x_s >> s) + (x_c >> s) + c - 2^(l-s) w.
// s = 0 is the identity and costs nothing. Security: that of carry.h and b2a.h; nothing else is sent. Constant time in
// x. Throws usage_error for s >= l, before anything is sent.
// Source: Rathee et al., "SiRNN", IEEE S&P 2021, section III (the formula); the tree gives both carries at once here.

// floor(x / 2^s) in the same ring. What is known of x (compare_options.h) decides how w is found:
//   kUnsigned, kSigned   the carry of l bits, c as an inner node of its tree. A signed x has 2^(l-1) added first.
//   kNonNegative         w = msb(x_s) or msb(x_c), one COT of private bits; c by a carry of s bits
//   kGuarded             the same with 2^(l-2) added first; s = l - 1 is done as kSigned
// Cost: the carry, then 2 flights with l bits for c and s bits for w (kNonNegative, kGuarded: s + 1).
Words truncate(Context& ctx, Ring ring, std::span<const Word> x, unsigned s, Knowledge knowledge,
               const CompareOptions& options);
void truncate_cost(CostMeter& meter, Ring ring, std::uint64_t n, unsigned s, Knowledge knowledge,
                   const CompareOptions& options);

// floor(x / 2^s) mod 2^(l-s), signed and unsigned alike: w falls away. `receiver` is the one of the last step, whose
// peer sends the last message. Cost: the carry of s bits, then 2 flights with l - s bits.
Words truncate_reduce(Context& ctx, Ring ring, std::span<const Word> x, unsigned s, const CompareOptions& options,
                      Party receiver = Party::kClient);
void truncate_reduce_cost(CostMeter& meter, Ring ring, std::uint64_t n, unsigned s, const CompareOptions& options,
                          Party receiver = Party::kClient);

}  // namespace eqo
