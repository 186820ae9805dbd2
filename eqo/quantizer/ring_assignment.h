#pragma once
#include <vector>

#include "eqo/quantizer/draft.h"

namespace eqo::quant {

// Chooses every ring and writes the plan's steps and secrets.
// A ring holds, of each value that something reads as a signed number (a non-linear step, a conversion, the output),
// the range the draft gives: with one guard bit if it was seen on calibration data, without if it is certain. What only
// linear steps read may wrap. A region that is truncated by s bits is s bits wider than the one behind it; one
// extension of an activation serves all its readers, the narrower of which reduce it. Throws model_error if a ring
// would need more than 64 bits.
struct RingOptions {
  bool minimise = true;          // else every region with a product has the widest one's ring
  bool share_extensions = true;  // else every reader in a wider ring has its own extension
};
Model assign_rings(const Draft& draft, int output, const RingOptions& options = {});

// Width of a ring for values in [lo, hi], with `guard` bits to spare.
unsigned ring_bits_for(std::int64_t lo, std::int64_t hi, unsigned guard);

}  // namespace eqo::quant
