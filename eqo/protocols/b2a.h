#pragma once
#include <span>
#include <vector>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/ot/context.h"

namespace eqo {

// F_B2A: an XOR-shared bit b = b_s ^ b_c becomes an additive share of b in `ring`: b_s + b_c - 2 b_s b_c, the product
// by one COT of private bits, of which l - 1 bits are needed.
//   in   bits [n], each 0 or 1      out  [n] additive shares in `ring`
// `receiver` sends the first message, its peer the last. Security: semi-honest; each party sees values masked by pads
// it does not know. Constant time in the bits.
// Cost: n choice bits from `receiver`, then n (l - 1) bits; 2 flights; n COTs. l = 1: local, nothing.
Words b2a(Context& ctx, Ring ring, std::span<const std::uint8_t> bits, Party receiver = Party::kClient);
void b2a_cost(CostMeter& meter, Ring ring, std::uint64_t n, Party receiver = Party::kClient);

// F_OR to additive: the OR of the server's and the client's PRIVATE bits, b_s + b_c - b_s b_c.
// Cost: n choice bits, then n l bits; 2 flights; n COTs.
Words private_or(Context& ctx, Ring ring, std::span<const std::uint8_t> mine, Party receiver = Party::kClient);
void private_or_cost(CostMeter& meter, Ring ring, std::uint64_t n, Party receiver = Party::kClient);

// Several of both in the same two flights.
struct BitTerm {
  enum class Kind : std::uint8_t { kXor, kOr } kind = Kind::kXor;
  Ring ring;
  std::span<const std::uint8_t> bits;
};
std::vector<Words> bits_to_ring(Context& ctx, std::span<const BitTerm> terms, Party receiver = Party::kClient);

struct BitTermShape {
  BitTerm::Kind kind = BitTerm::Kind::kXor;
  Ring ring;
  std::uint64_t n = 0;
};
void bits_to_ring_cost(CostMeter& meter, std::span<const BitTermShape> terms, Party receiver = Party::kClient);

}  // namespace eqo
