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

OtSchedule::Need OtSchedule::prepare(Need need) {
  Need made{};
  untaken_ = left_;
  for (std::size_t p = 0; p < 2; ++p) {
    kept_[p] += need[p];
    if (kept_[p] > left_[p]) made[p] = kept_[p] - left_[p];
    left_[p] += made[p];
  }
  return made;
}

void OtSchedule::release(Need need) {
  for (std::size_t p = 0; p < 2; ++p) {
    if (need[p] > kept_[p]) throw internal_error("OT schedule: more is released than was prepared");
    kept_[p] -= need[p];
  }
}

// Both directions are topped up when one runs short: their messages cross.
OtSchedule::Need OtSchedule::refill(Need now) {
  if (left_[0] >= now[0] + kept_[0] && left_[1] >= now[1] + kept_[1]) return {};
  Need made{};
  untaken_ = left_;
  for (std::size_t p = 0; p < 2; ++p) {
    const std::uint64_t wanted = kept_[p] + std::max(now[p], std::min(remaining_[p], kMostAhead));
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
