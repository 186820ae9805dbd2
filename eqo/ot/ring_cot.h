#pragma once
#include <span>

#include "eqo/core/ring.h"
#include "eqo/ot/context.h"

namespace eqo {

// F_COT over a ring, "multiply a bit by a number": the receiver has bits b[i], the sender numbers d[i] in `ring`;
// they get additive shares of b[i] * d[i]. The sender's share is pseudo-random from its OT, so it sees only the
// receiver's masked choices; the receiver sees only d[i] masked by a pad it does not know.
//
// The steps are apart so that two parties can run one each way in two flights: both construct their receiver (sends
// the choice corrections), both transfer (receives corrections, sends the masked numbers), both finish.
// Source: Asharov, Lindell, Schneider, Zohner, CCS 2013, section 5 (correlated OT), from random COTs.
// Cost: n bits of corrections, then n * ring bits; n COTs. Constant time in b, d.
class RingCotReceiver {
 public:
  RingCotReceiver(Context& ctx, Ring ring, std::span<const std::uint8_t> choices);
  Words finish();  // the receiver's shares; once

 private:
  Context& ctx_;
  Ring ring_;
  Bits choices_;
  Words pads_;
};

Words ring_cot_transfer(Context& ctx, Ring ring, std::span<const Word> d);  // the sender's shares

// One way: `sender` transfers. For both ways at once (mux) write the two exchanges out.
void ring_cot_cost(CostMeter& meter, Party sender, Ring ring, std::uint64_t n);

}  // namespace eqo
