#pragma once
#include <array>
#include <memory>

#include "eqo/ot/ot_pool.h"

namespace eqo {

// Silent OT in both directions (ferret.h), each with a parameter set of its own. Setup makes base OTs and the trees of
// SoftSpoken(8), which makes a direction's first seeds when its first COT is wanted. From then on an iteration's last
// outputs are the next one's seeds, and never handed out. What is made beyond the number reserved is kept for later.
// Cost: a reserve() that needs no iteration sends nothing; else one flight, and one more at a direction's start.
std::unique_ptr<OtPool> make_silent_pool(Channel& channel, Prg& prg, ThreadPool& threads,
                                         const std::array<LpnSet, 2>& sets);

}  // namespace eqo
