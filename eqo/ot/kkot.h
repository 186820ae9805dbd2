#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "eqo/core/ring.h"
#include "eqo/crypto/kernels.h"
#include "eqo/ot/context.h"

namespace eqo {

// The 1-out-of-2^m OT extension of Kolesnikov and Kumaresan, which CrypTFlow2 and SiRNN use for their comparisons: 256
// bits an OT whatever m <= 8 is, instead of m COTs. EQO's own protocols do not need it.
//
// The receiver holds both seeds of 256 base OTs, the sender one of each, as its secret s says. With t_i row i of the
// streams of the first seeds and c(r) the Walsh-Hadamard codeword of r (bit j is <r, j>; any two of the 256 words
// differ in 128 places), the receiver's message turns the sender's rows into q_i = t_i ^ (c(r_i) & s). The pad of
// message v is H(i, q_i ^ (c(v) & s)): for v = r_i the receiver knows it, for any other v 128 bits of s are missing.
// H(i, lo || hi) = AES_lo(x) ^ x, x = hi ^ (i, domain): in the ideal cipher model, as the public implementation does.
// Source: Kolesnikov and Kumaresan, "Improved OT Extension for Transferring Short Secrets", CRYPTO 2013, section 4 and
// figure 2; semi-honest. The sender sees the receiver's matrix masked by streams it does not know, the receiver
// messages masked by such pads. Constant time in choices, messages and seeds; no stream's counter comes twice.
// Cost: 256 bits an OT from the receiver, n rounded up to a multiple of 128; then 2^m w bits an OT from the sender.
class Kkot {
 public:
  static constexpr std::size_t kCodeBits = 256;
  static constexpr std::uint64_t kBlockOts = 128;  // OTs are made in blocks
  static constexpr std::uint64_t kBlockMessageBytes = kCodeBits * sizeof(Block);

  // Base OTs, for both directions at once: exchange(), then 256 * 32 bytes each way.
  Kkot(Channel& channel, Prg& prg, ThreadPool& threads);
  ~Kkot();
  Kkot(const Kkot&) = delete;
  Kkot& operator=(const Kkot&) = delete;

  // The rows of the next OTs of one direction, a multiple of 128, as two halves; returns the first one's index.
  struct Rows {
    Blocks lo, hi;
    std::uint64_t first = 0;
  };
  // Receiver: rows t_i and the message for the sender. choices, each < 2^m, may be fewer than the rows: 0 behind them.
  Rows receive_rows(unsigned m, std::span<const std::uint8_t> choices, std::span<std::byte> message);
  // Sender: rows q_i.
  Rows send_rows(std::span<const std::byte> message);
  // c(v) & s.
  struct Word256 {
    Block lo, hi;
  };
  Word256 selected(unsigned v) const;
  ThreadPool& threads() { return threads_; }

 private:
  ThreadPool& threads_;
  detail::AesKeys first_, second_;  // receiver: both streams of a column
  detail::AesKeys chosen_;          // sender: the one it knows
  Bits secret_;                     // s, a bit a byte
  Word256 s_;
  std::uint64_t received_blocks_ = 0, sent_blocks_ = 0;
};
void kkot_setup_cost(CostMeter& meter);

// n 1-out-of-2^m OTs of w-bit messages, 1 <= m <= 8, 1 <= w <= 64. messages[i * 2^m + v] is what the receiver with
// choices[i] == v gets. The request goes out in the constructor.
class KkotReceiver {
 public:
  KkotReceiver(Context& ctx, Kkot& kkot, unsigned m, unsigned w, std::span<const std::uint8_t> choices);
  Words finish();

 private:
  Context& ctx_;
  unsigned m_, w_;
  Bits choices_;
  Words pads_;
};
void kkot_transfer(Context& ctx, Kkot& kkot, unsigned m, unsigned w, std::span<const Word> messages);
// The same with 2^m * w <= 64 and one word an OT: tables[i] holds its message v in bits [v * w, (v + 1) * w).
void kkot_transfer_tables(Context& ctx, Kkot& kkot, unsigned m, unsigned w, std::span<const Word> tables);

// The receiver's messages, and the sender's after them: transfers whose requests go out together take two flights.
void kkot_request_cost(CostMeter& meter, Party sender, std::uint64_t n);
void kkot_reply_cost(CostMeter& meter, Party sender, unsigned m, unsigned w, std::uint64_t n);
void kkot_cost(CostMeter& meter, Party sender, unsigned m, unsigned w, std::uint64_t n);

}  // namespace eqo
