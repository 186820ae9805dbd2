#pragma once
#include <span>

#include "eqo/peers/peer_context.h"

namespace eqo::peers {

// F_wrap, the millionaires' comparison of CrypTFlow2: the carry out of the low `bits` bits of the parties' shares, read
// as unsigned, as an XOR-shared bit: [(x_s mod 2^bits) + (x_c mod 2^bits) >= 2^bits].
//   in   x [n] additive shares, 1 <= bits <= 64        out  [n] XOR-shared bits
// The client's 4-bit digits choose, by 1-out-of-16 KKOT, whether they are greater than the complement of the server's,
// and whether equal; a tree of ANDs, adjacent digits first, joins them.
// Source: Rathee et al., "CrypTFlow2", CCS 2020, section 3.1 and algorithm 1; digits and triples as in the public
// implementation: m = 4, every leaf of two bits but a single one, triples from KKOT, openings of 4 bits an AND.
// Security: semi-honest, that of kkot.h and and_round.h. Constant time in x.
// Cost, with d = ceil(bits / 4): d = 1: 272 bits; else 288 d + 148 (2 d - 2 - ceil(log2 d)); 2 + ceil(log2 d) flights.
Bits wrap(PeerContext& ctx, unsigned bits, std::span<const Word> x);
void wrap_cost(CostMeter& meter, unsigned bits, std::uint64_t n);

// The carry, and whether the sum is 2^bits - 1, so that a carry from below would go on: both XOR-shared.
// Cost: 288 d + 296 (d - 1).
struct WrapAndEqual {
  Bits wrap, equal;
};
WrapAndEqual wrap_and_equal(PeerContext& ctx, unsigned bits, std::span<const Word> x);
void wrap_and_equal_cost(CostMeter& meter, unsigned bits, std::uint64_t n);

// The carry out of all bits of `ring`, from the XOR-shared sign bit of x: (t_s | t_c) ^ ((t_s ^ t_c) & sign), t the
// shares' top bits. One 1-out-of-4 KKOT. Source: Rathee et al., "SiRNN", IEEE S&P 2021, section 4.2 (MSB to wrap).
// Cost: 260 bits, 2 flights. Throws usage_error if the lengths differ.
Bits wrap_of_sign(PeerContext& ctx, Ring ring, std::span<const Word> x, std::span<const std::uint8_t> sign);
void wrap_of_sign_cost(CostMeter& meter, std::uint64_t n);

}  // namespace eqo::peers
