#pragma once
#include <cstdint>

#include "eqo/core/ring.h"

namespace eqo {

// How comparisons are cut into leaves: public, part of the plan.
struct CompareOptions {
  // Bits of a comparison leaf, 1..8: an OT of 1 out of 2^leaf_bits. Large leaves save rounds, small ones bytes; with 1
  // the leaves are ANDs of private bits.
  unsigned leaf_bits = 4;
  // Levels of the AND tree beyond the fewest possible: each turns a pair of ANDs (6 bits) into a single one (4 bits),
  // for one more flight.
  unsigned extra_levels = 0;
  friend bool operator==(const CompareOptions&, const CompareOptions&) = default;
};

// What is known for certain of a shared number x in Z_{2^l}. The stronger it is, the cheaper shifts and extensions
// are; a result for an x outside of what was promised is wrong. Only a proven bound licenses one of the last two.
enum class Knowledge : std::uint8_t {
  kUnsigned,     // x is read as 0 <= x < 2^l
  kSigned,       // x is read as -2^(l-1) <= x < 2^(l-1)
  kNonNegative,  // 0 <= x < 2^(l-1)
  kGuarded,      // -2^(l-2) <= x < 2^(l-2), l >= 2
};

// The strongest of the signed ones that holds for every x in [lo, hi].
constexpr Knowledge knowledge_of(Ring ring, std::int64_t lo, std::int64_t hi) {
  if (lo >= 0) return Knowledge::kNonNegative;
  if (ring.bits() < 2) return Knowledge::kSigned;
  const std::int64_t quarter = std::int64_t{1} << (ring.bits() - 2);
  return lo >= -quarter && hi < quarter ? Knowledge::kGuarded : Knowledge::kSigned;
}

}  // namespace eqo
