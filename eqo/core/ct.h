#pragma once
#include "eqo/core/ring.h"

namespace eqo::ct {

// All-ones if bit == 1, all-zeros if bit == 0. `bit` is secret: no branch, no table.
constexpr Word mask_from_bit(Word bit) { return Word{0} - (bit & 1); }
// bit ? a : b
constexpr Word select(Word bit, Word a, Word b) { return b ^ (mask_from_bit(bit) & (a ^ b)); }

}  // namespace eqo::ct
