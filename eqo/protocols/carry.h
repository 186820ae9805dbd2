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
// Leaves of 1 to 8 bits (carry_leaves.h), then a tree of ANDs that joins neighbours (carry_plan.h).
// Source: Garay, Schoenmakers, Villegas, PKC 2007 (the tree); Rathee et al., "CrypTFlow2", CCS 2020, section 3.1
// (leaves by OT, ANDs with a common operand). Different here: carry and propagate bits as in an adder, so that leaves
// of one bit are local and those of two need no table; the cheapest uneven leaves and tree for a depth; inner nodes as
// outputs.
// Security: semi-honest; both parties see masked bits only, each mask a bit of a random OT that they do not know; a
// table's receiver learns one entry masked by the sender's share. Constant time in the numbers.
// Cost: leaves of 1, 2, 3, 4 bits: 0, 5, 13, 26 bits (leaf_cost); leaf 0: 2, 5, 10, 19; 4 bits a spine AND, 6 for each
// other join. Flights: 1 (2 if there are tables), and 1 a level. carry_cost() is exact.
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
