#pragma once
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/ot/context.h"
#include "eqo/protocols/and_round.h"
#include "eqo/protocols/carry_plan.h"

namespace eqo {

// The leaves of a carry, and the triples for its tree. For leaf j and element i, at j * n + i, XOR-shared: `propagate`,
// whether a carry into the digits' sum is the carry out of it (all bits differ), and `carry`, the carry out where it is
// not, anything where it is: then carry ^ propagate * (in ^ carry) is the carry out. For leaf 0, into which there is no
// carry, `carry` is exact and `propagate` unset.
struct CarryLeaves {
  Bits carry, propagate;
  AndTriples triples;
};

// With A the sender's digit, B the receiver's, A' and B' without their lowest bits A0 and B0:
//   one bit       propagate = A ^ B, carry = B: local. Leaf 0: A B, a product of private bits (ot/bit_products.h).
//   two bits      propagate = (A1 ^ B1)(A0 ^ B0), carry = A1 B1 ^ (A1 ^ B1) B0: A1 and A0 times B1, A1 times B0
//   more          1-out-of-2^(m-1) OT on B' of c = carry(A', B'), p = propagate(A', B') and p A0; then B0 times the
//                 sender's share of p; propagate = p A0 ^ p B0, carry = c ^ p B0
//   leaf 0 of more than one bit: 1-out-of-2^m OT of the carry
// That a carry may be anything under `propagate` saves what makes it exact: B0 stands for the lowest bits' carry.
// Messages: the receiver's masked bits and choices, the sender's masked bits and tables, these in blocks, so that the
// tables of a large tensor are never in memory at once. If no leaf has a table both sides send at once: 1 flight, else
// 2. `triples` are made meanwhile.
CarryLeaves compare_leaves(Context& ctx, const CarryPlan& plan, Party receiver, std::span<const Word> x,
                           std::size_t triples);
void compare_leaves_cost(CostMeter& meter, const CarryPlan& plan, Party receiver, std::uint64_t n,
                         std::uint64_t triples);

// What a leaf takes: bits on the wire and COTs.
struct LeafCost {
  std::uint64_t bits = 0, cots = 0;
};
constexpr LeafCost leaf_cost(unsigned m, bool lowest) {
  const std::uint64_t rows = std::uint64_t{1} << m;
  if (lowest) return {m + rows - 1, m};
  if (m == 1) return {};
  if (m == 2) return {5, 2};
  return {m + 3 * (rows / 2 - 1) + 1, m};
}

}  // namespace eqo
