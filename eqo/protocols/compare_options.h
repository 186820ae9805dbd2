#pragma once
#include <cstdint>

#include "eqo/core/party.h"
#include "eqo/core/ring.h"

namespace eqo {

// How comparisons are done: public, part of the plan. carry_plan.h derives the rest, the same for both parties.
inline constexpr unsigned kMaxTreeLevels = 8, kMaxCotSixteenths = 4096;
struct CompareOptions {
  // Most levels of the AND tree, 1..8, one flight each. Fewer save rounds, more save bytes. 1 is enough for 16 bits, 2
  // for 32, 3 for 64; wider numbers are refused. (A cut of a wide number may add a level: carry_plan.h.)
  unsigned levels = 3;
  // What making a COT costs, in 1/16 of a bit, 0..4096: weighs large leaves (a COT a bit) against ANDs (2 each).
  // SoftSpoken(k): 2048 / k; silent OT: 5 to 13.
  unsigned cot_sixteenths = 8;
  // Receiver of the leaves' OTs: the party that knows its number first, as it sends the first message.
  Party receiver = Party::kClient;
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
