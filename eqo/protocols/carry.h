#pragma once
#include <span>
#include <vector>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/ot/context.h"
#include "eqo/protocols/compare_options.h"

namespace eqo {

// F_CARRY, a millionaires' comparison: the carry out of adding the two parties' private numbers,
//   carry_n = 1 iff (x_s mod 2^n) + (x_c mod 2^n) >= 2^n,  that is (2^n - 1 - x_s mod 2^n) < x_c mod 2^n.
//   in   bits  n, 0..64 (0: the carry is 0, nothing is sent)
//        x [N] own numbers; only their low n bits count
//   out  XOR-shared bits [N], fresh
// Leaves of up to leaf_bits bits by 1-out-of-2^m OT (less-than and equal in one OT; the lowest leaf less-than only;
// 1-bit leaves by an AND of private bits), the client being the receiver, then a tree of ANDs (carry_plan.h).
// Source: Garay, Schoenmakers, Villegas, PKC 2007 (the tree); Rathee et al., "CrypTFlow2", CCS 2020, section 3.1
// (leaves by OT, ANDs with a common operand). Different here: uneven leaves, the tree's shape, inner nodes as outputs.
// Security: semi-honest; the server sees masked choice bits, both see masked operands of ANDs, all uniform to them; the
// client learns from each OT one entry masked by the server's random share. Constant time in the numbers.
// Cost: a leaf of m bits: m + 2^m * 2 bits (the lowest m + 2^m, one of a single bit 2); 4 bits a spine AND, 6 bits for
// each other pair of ANDs; flights: 2, and 1 a level. carry_cost() is exact.
Bits carry(Context& ctx, unsigned bits, std::span<const Word> x, const CompareOptions& options);
void carry_cost(CostMeter& meter, unsigned bits, std::uint64_t n, const CompareOptions& options);

// The same, and the carries out of the low cuts[i] bits from inner nodes of the same tree (0 <= cuts[i] <= bits, not
// decreasing).
struct Carries {
  Bits top;
  std::vector<Bits> at_cuts;
};
Carries carry_with_cuts(Context& ctx, unsigned bits, std::span<const unsigned> cuts, std::span<const Word> x,
                        const CompareOptions& options);
void carry_with_cuts_cost(CostMeter& meter, unsigned bits, std::span<const unsigned> cuts, std::uint64_t n,
                          const CompareOptions& options);

}  // namespace eqo
