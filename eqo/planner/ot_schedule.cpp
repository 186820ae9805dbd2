#include "eqo/planner/ot_schedule.h"

#include <algorithm>
#include <utility>

#include "eqo/core/error.h"

namespace eqo {

void OtSchedule::begin(std::vector<Need> steps, Need ahead) {
  steps_ = std::move(steps);
  ahead_ = remaining_ = ahead;
  for (const Need& n : steps_)
    for (std::size_t p = 0; p < 2; ++p) remaining_[p] += n[p];
}

OtSchedule::Need OtSchedule::before(std::size_t i) {
  if (i >= steps_.size()) throw internal_error("OT schedule: no such step");
  const Need now = steps_[i];
  const Need made = refill(now);
  for (std::size_t p = 0; p < 2; ++p) {
    left_[p] -= now[p];
    remaining_[p] -= now[p];
  }
  return made;
}

OtSchedule::Need OtSchedule::finish() {
  return refill({std::min(ahead_[0], kMostAhead), std::min(ahead_[1], kMostAhead)});
}

// Both directions are topped up when one runs short: their messages cross.
OtSchedule::Need OtSchedule::refill(Need now) {
  if (left_[0] >= now[0] && left_[1] >= now[1]) return {};
  Need made{};
  for (std::size_t p = 0; p < 2; ++p) {
    const std::uint64_t wanted = std::max(now[p], std::min(remaining_[p], kMostAhead));
    if (wanted > left_[p]) made[p] = wanted - left_[p];
    if (wanted > room_[p]) {
      most_held_[p] = std::max(most_held_[p], wanted + (left_[p] > 0 ? room_[p] : 0));
      room_[p] = wanted;
    }
    left_[p] += made[p];
  }
  return made;
}

}  // namespace eqo
