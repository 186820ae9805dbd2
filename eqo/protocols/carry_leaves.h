#pragma once
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/ot/context.h"
#include "eqo/protocols/and_round.h"
#include "eqo/protocols/carry_plan.h"

namespace eqo {

// The leaves of a carry, and the triples for its tree. For leaf j and element i, at j * n + i, XOR-shared: `lt` whether
// the server's digit of the complement is below the client's digit, `eq` whether they are equal (unset for leaf 0).
struct CarryLeaves {
  Bits lt, eq;
  AndTriples triples;
};

// Two flights: choice bits from the client, tables from the server; in blocks, so that the tables of a large tensor
// are never in memory at once. `triples` are made meanwhile.
CarryLeaves compare_leaves(Context& ctx, const CarryPlan& plan, Party receiver, std::span<const Word> x,
                           std::size_t triples);
void compare_leaves_cost(CostMeter& meter, const CarryPlan& plan, Party receiver, std::uint64_t n,
                         std::uint64_t triples);

}  // namespace eqo
