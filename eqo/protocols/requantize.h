#pragma once
#include <cstdint>
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/kernels/elementwise.h"
#include "eqo/ot/context.h"
#include "eqo/protocols/compare_options.h"

namespace eqo {

// What a requantization does, public: z = floor((relu ? max(y, 0) : y) / 2^shift), y in Z_{2^l} read as signed, z in
// Z_{2^l'}. Rounding is a constant that the caller added before.
struct RequantizeSpec {
  Ring from, to;                             // of y and of z, of any widths
  unsigned shift = 0;                        // 0 <= shift < l
  bool relu = false;                         // max(y, 0) first
  Knowledge knowledge = Knowledge::kSigned;  // what is proven of y: all but kUnsigned
  bool staged = true;                        // fewer bytes; false: fewer flights. Counts for ReLU with l' > m alone
  Party last_receiver = Party::kServer;      // of the last COT in the staged form and without ReLU: its peer sends the
                                             // last message, which can travel with that party's next one
  friend bool operator==(const RequantizeSpec&, const RequantizeSpec&) = default;
};

// F_REQUANTIZE: ReLU, exact right shift and change of ring, fused.
//   in   y [n] additive shares in spec.from       out  z [n] additive shares in spec.to
// With m = l - s, the shares read as unsigned, t = share >> s, c the carry out of the low s bits, w the wrap of y's
// shares: floor(y / 2^s) = t_s + t_c + c - 2^m w; mod 2^m, w falls away.
//   ReLU          z = d * (t_s + t_c + c - 2^m w), d = [y >= 0] the root of a comparison of l - 1 bits and c an inner
//                 node of its tree; w = msb(y_s) or msb(y_c), which is wrong for negative y only, where d is 0. Then
//                 staged: in Z_{2^m}, and 0 <= z < 2^(m-1) is extended to l' bits by one COT of private bits (bytes);
//                 direct: in Z_{2^l'} with w (flights). l' <= m: in Z_{2^l'}, no w.
//                 kNonNegative needs no d: below. kGuarded is no better than kSigned.
//   no ReLU       l' <= m: c alone, a carry of s bits (s = 0: local). l' > m: kNonNegative: the same and w as above;
//                 kGuarded (s <= l - 2): the same for y + 2^(l-2); kSigned: carry of l bits, c its inner node.
// Source: CrypTFlow2 (CCS 2020) for ReLU, SiRNN (IEEE S&P 2021, section III) for the shifts and extensions; the fusion
// is this project's. Every form is exact for every y that the knowledge allows.
// Security: semi-honest; that of carry.h, and of COTs in which each party sees only masked choice bits and numbers
// under pads it does not know. Constant time in y. The result of a local form is not re-randomised.
// Cost: ReLU: the comparison; with r the ring of d * (...): r bits for c (s > 0, r > 1), 2 (1 + r) for the product with
// d; 1 + l' - m for w or the extension (l' > m). Flights: three messages in turn, begun by the party that knows its
// share of the comparison first, in one flight with its last message there. Staged: 2 more at most; if the client is
// the last sender, a chain of blocks of a client's product rows and this takes 6, 8, 8 flights a block for trees of 2,
// 3, 4 levels, direct or with l' <= m 6, 6, 8. No ReLU: the carry, then 2 flights with l' bits for c, 1 + l' - m for w
// (kSigned: l' - m). Throws usage_error for a shift >= l, kUnsigned, or kGuarded in a ring of one bit, before anything
// is sent.
Words requantize(Context& ctx, const RequantizeSpec& spec, std::span<const Word> y, const CompareOptions& options);
void requantize_cost(CostMeter& meter, const RequantizeSpec& spec, std::uint64_t n, const CompareOptions& options);

// What it computes.
constexpr Word requantize_plain(const RequantizeSpec& spec, Word y) {
  return requantize_plain(spec.from, spec.to, spec.shift, spec.relu, y);
}

}  // namespace eqo
