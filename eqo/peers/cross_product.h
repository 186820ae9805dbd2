#pragma once
#include <cstdint>
#include <span>

#include "eqo/peers/peer_context.h"

namespace eqo::peers {

// The product of one party's private matrix and the other's by correlated OTs, one for each bit of the first: what
// CrypTFlow2 and SiRNN compute the cross term of a matrix product by, for every image anew.
//   in   R [rows][inner] of `bits` bits, read as unsigned (or, with bits = l, mod 2^l), of the receiver of the OTs
//        S [inner][cols] mod 2^l, of their sender
//   out  additive shares of R * S [rows][cols] mod 2^l
// The COT of bit i of an element of R has a whole row of S as its correlation, of which l - i bits are needed.
// Source: Rathee et al., "CrypTFlow2", CCS 2020, section 4.4 (matrix multiplication); "SiRNN", IEEE S&P 2021, section
// 4.3. Security: semi-honest; each party sees masked choice bits, or rows masked by pads it does not know. Constant
// time in R and S.
// Cost: rows inner bits COTs with as many bits of choice corrections (with IKNP 128 bits each), then rows inner cols
// sum over i < bits of (l - i) bits; 2 flights. The receiver's messages come first.
struct CrossShape {
  std::uint64_t rows = 0, inner = 0, cols = 0;
  unsigned bits = 0;  // <= ring.bits()
  Ring ring{1};
  std::uint64_t cots() const { return rows * inner * bits; }
};
Words cross_product_receive(Context& ctx, const CrossShape& shape, std::span<const Word> r);
Words cross_product_send(Context& ctx, const CrossShape& shape, std::span<const Word> s);
void cross_product_cost(CostMeter& meter, Party sender, const CrossShape& shape);

}  // namespace eqo::peers
