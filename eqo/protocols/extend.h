#pragma once
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/ot/context.h"
#include "eqo/protocols/compare_options.h"

namespace eqo {

// F_EXT: the same number in a wider ring, from Z_{2^m} to Z_{2^n}, n >= m.
//   in   x [N] additive shares in `from`      out  [N] additive shares in `to` (the low m bits are not re-randomised)
// With the shares read as unsigned and w their wrap, x = x_s + x_c - 2^m w, and w is needed mod 2^(n-m). What is known
// of x (compare_options.h) decides how w is found:
//   kUnsigned      zero extension: w = carry of m bits
//   kSigned        sign extension: 2^(m-1) is added first and subtracted after
//   kNonNegative   w = msb(x_s) or msb(x_c): one COT of private bits
//   kGuarded       the same with 2^(m-2) added first and subtracted after
// `receiver` is the one of the last step's OTs: its peer sends the last message.
// Source: Rathee et al., "SiRNN", IEEE S&P 2021, section III-A (with the carry); the two-msb form for known signs there
// too. Security: that of carry.h and b2a.h, nothing else is sent. Constant time in x.
// Cost: kUnsigned, kSigned: a carry of m bits and 2 flights with n - m bits; else 2 flights with 1 + n - m bits in all.
// n = m: nothing. Throws usage_error if `to` is narrower, or for kGuarded with m < 2.
Words extend(Context& ctx, Ring from, Ring to, std::span<const Word> x, Knowledge knowledge,
             const CompareOptions& options, Party receiver = Party::kClient);
void extend_cost(CostMeter& meter, Ring from, Ring to, std::uint64_t n, Knowledge knowledge,
                 const CompareOptions& options, Party receiver = Party::kClient);

// To a ring at least as narrow: x mod 2^n, local.
Words reduce(Context& ctx, Ring to, std::span<const Word> x);

}  // namespace eqo
