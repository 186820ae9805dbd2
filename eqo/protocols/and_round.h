#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/core/secret.h"
#include "eqo/ot/context.h"

namespace eqo {

// n Beaver triples with a common operand: a & b = ab and a & c = ac, all five XOR-shared, a, b, c uniform. From two
// random OTs each (one each way) of 2-bit messages, without communication. Uses n COTs in each direction.
// Source: Asharov, Lindell, Schneider, Zohner, CCS 2013, section 5.1 (triples from random OT); the second product
// reuses the choice bit with one more bit of the same OT's messages.
struct AndTriples {
  Bits a, b, c, ab, ac;
};
AndTriples make_and_triples(Context& ctx, std::size_t n);
void and_triples_cost(CostMeter& meter, std::uint64_t n);

// One vector of ANDs: xy ^= x & y, and if z is not empty xz = x & z. All spans of a term are equally long (z and xz
// together may be empty; if they are in all terms, the triples need no c and ac); outputs may overlap the inputs of
// their own term only.
struct AndTerm {
  std::span<const std::uint8_t> x, y, z;
  std::span<std::uint8_t> xy, xz;
};

// All ANDs of the terms in one message each way: 2 bits from each party for one AND, 3 for two with a common operand.
// Element i of the terms, counted through, uses triple first + i; each triple may be used once. Each party sees the
// operands masked by bits of a triple, which are uniform to it. Constant time. Throws usage_error for bad lengths
// before anything is sent.
void and_round(Context& ctx, std::span<const AndTerm> terms, const AndTriples& triples, std::size_t first);

// `pairs` elements of two ANDs, `singles` of one.
void and_round_cost(CostMeter& meter, std::uint64_t singles, std::uint64_t pairs);

}  // namespace eqo
