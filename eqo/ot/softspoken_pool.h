#pragma once
#include <memory>

#include "eqo/net/cost_meter.h"
#include "eqo/ot/ot_pool.h"
#include "eqo/ot/softspoken.h"

namespace eqo {

// Base OTs in both directions, then the trees of SoftSpoken(k): what both kinds of pool begin with.
struct SoftSpokenPair {
  std::unique_ptr<SoftSpokenSender> sender;
  std::unique_ptr<SoftSpokenReceiver> receiver;
};
SoftSpokenPair softspoken_setup(Channel& channel, Prg& prg, ThreadPool& threads, const Forest& forest);
void softspoken_setup_cost(CostMeter& meter, const Forest& forest);

// The pool that makes all COTs by SoftSpoken(k).
std::unique_ptr<OtPool> make_softspoken_pool(Channel& channel, Prg& prg, ThreadPool& threads, const Forest& forest);
// One reserve(); stateless.
void softspoken_reserve_cost(CostMeter& meter, const Forest& forest, std::uint64_t server_sends,
                             std::uint64_t client_sends);
// n COTs, rounded up to whole blocks.
std::uint64_t softspoken_blocks(std::uint64_t n);

}  // namespace eqo
