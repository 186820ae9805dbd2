#pragma once
#include <span>

#include "eqo/core/ring.h"
#include "eqo/ot/context.h"

namespace eqo {

// 1-out-of-2^m OT of w-bit messages, 1 <= m <= 8, 1 <= w <= 64, n of them at once, from m random OTs each
// (Naor-Pinkas). The receiver sends m masked choice bits, the sender all 2^m masked messages. The sender sees
// uniform bits; the receiver learns message choices[i] only. Constant time in the choices and the messages.
// messages[i * 2^m + v] is what the receiver with choices[i] == v gets.
// Cost: n * m bits, then n * 2^m * w bits; n * m COTs.
class OneOfManyReceiver {
 public:
  OneOfManyReceiver(Context& ctx, unsigned m, unsigned w, std::span<const std::uint8_t> choices);
  Words finish();
  Words finish_shares();  // of one_of_many_shares()

 private:
  Words finish(bool shares);
  Context& ctx_;
  unsigned m_, w_;
  Bits choices_;
  Words pads_;
};

void one_of_many_transfer(Context& ctx, unsigned m, unsigned w, std::span<const Word> messages);

// The same with 2^m * w <= 64 and one word an instance: tables[i] holds its message v in bits [v * w, (v + 1) * w).
// The same bytes on the wire; faster, and an eighth to a 64th of the memory.
void one_of_many_transfer_tables(Context& ctx, unsigned m, unsigned w, std::span<const Word> tables);

// XOR shares of messages[i * 2^m + choices[i]]: the sender's is returned, the receiver's is what finish_shares() gives.
// The sender's share is message 0 masked by row 0's pad, so that row 0 need not be sent: a receiver with choice 0 has
// the pad as its share. Both shares are uniform to the other party: neither party chooses the pad, and of a row that is
// not its choice the receiver knows none. Tables as above; messages of any size.
// Cost: n * m bits, then n * (2^m - 1) * w bits; n * m COTs.
Words one_of_many_shares_of_tables(Context& ctx, unsigned m, unsigned w, std::span<const Word> tables);
Words one_of_many_shares(Context& ctx, unsigned m, unsigned w, std::span<const Word> messages);
void one_of_many_shares_cost(CostMeter& meter, Party sender, unsigned m, unsigned w, std::uint64_t n);

void one_of_many_cost(CostMeter& meter, Party sender, unsigned m, unsigned w, std::uint64_t n);

}  // namespace eqo
