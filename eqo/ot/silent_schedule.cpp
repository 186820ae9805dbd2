#include "eqo/ot/silent_schedule.h"

#include <algorithm>

#include "eqo/ot/cot_store.h"
#include "eqo/ot/softspoken_pool.h"

namespace eqo {

SilentSchedule::SilentSchedule(const LpnSet& set) : set_(set) {
  const auto start_bytes = [](const LpnSet& s) {
    return softspoken_message_bytes(Forest(kSeedK), softspoken_blocks(s.seeds()));
  };
  const LpnSet& small = kLpnSets[0];
  small_first_ = set.stream != small.stream && small.outputs() >= set.seeds() &&
                 start_bytes(small) + small.message_bytes(small.trees) < start_bytes(set);
}

SilentSchedule::Step SilentSchedule::reserve(std::uint64_t n) {
  detail::check_cots(n);
  detail::check_cots(wanted_ + n);
  wanted_ += n;
  Step step;
  if (made_ >= wanted_) return step;
  step.start = !started_;
  step.small_first = step.start && small_first_;
  started_ = true;
  if (step.small_first) made_ += net(kLpnSets[0]);
  if (made_ < wanted_) step.iterations = (wanted_ - made_ + net(set_) - 1) / net(set_);
  made_ += step.iterations * net(set_);
  return step;
}

std::uint64_t SilentSchedule::made(const Step& step) const {
  return step.iterations * net(set_) + (step.small_first ? net(kLpnSets[0]) : 0);
}

std::uint64_t SilentSchedule::turn() const {
  return std::max<std::uint64_t>(1, detail::kBothWaysBytes / set_.message_bytes(set_.trees));
}

}  // namespace eqo
