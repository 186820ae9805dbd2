#pragma once
#include <span>

#include "eqo/core/secret.h"
#include "eqo/ot/context.h"

namespace eqo {

// F_AND on XOR-shared bits, one bit a byte, each 0 or 1. The result is freshly shared: Beaver triples made from random
// OTs. Each party sees only the operands masked by uniform bits. Constant time. Throws usage_error if the lengths
// differ, before anything is sent.

// x & y. Cost: 4 bits an AND, 1 flight; one COT each way.
Bits bit_and(Context& ctx, std::span<const std::uint8_t> x, std::span<const std::uint8_t> y);
void bit_and_cost(CostMeter& meter, std::uint64_t n);

// x & y and x & z. Cost: 6 bits for the two, 1 flight; one COT each way.
struct BitAndPair {
  Bits xy, xz;
};
BitAndPair bit_and_common(Context& ctx, std::span<const std::uint8_t> x, std::span<const std::uint8_t> y,
                          std::span<const std::uint8_t> z);
void bit_and_common_cost(CostMeter& meter, std::uint64_t n);

// server's bit & client's bit: each party passes its own private bits. Cost: 2 bits, 2 flights, the first from
// `receiver`; one COT with the other party as its sender.
Bits bit_and_private(Context& ctx, Party receiver, std::span<const std::uint8_t> mine);
void bit_and_private_cost(CostMeter& meter, Party receiver, std::uint64_t n);

}  // namespace eqo
