#pragma once
#include "eqo/ot/context.h"

namespace eqo {

// Beaver triples over bits, XOR-shared: (a_s ^ a_c) & (b_s ^ b_c) = c_s ^ c_c. From two random OTs each (one each
// way), without communication. Uses n COTs in each direction.
struct BitTriples {
  Bits a, b, c;
};
BitTriples make_bit_triples(Context& ctx, std::size_t n);
void bit_triples_cost(CostMeter& meter, std::uint64_t n);

}  // namespace eqo
