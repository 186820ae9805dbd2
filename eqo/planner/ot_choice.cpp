#include "eqo/planner/ot_choice.h"

#include <vector>

#include "eqo/ot/lpn_sets.h"
#include "eqo/planner/plan_cost.h"

namespace eqo {
namespace {

constexpr double kDefaultRate = 100e6;  // bits a second

double seconds_of(const OtOptions& ot, const OtSchedule::Need& need, double rate) {
  CostMeter meter;
  OtPoolCost pool(ot);
  pool.setup(meter);
  pool.reserve(meter, need[0], need[1]);
  const double each = ot.kind == OtKind::kSilent ? kSilentCotSeconds : kSoftSpokenCotSeconds;
  return 8.0 * static_cast<double>(meter.cost().total_bytes()) / rate +
         each * static_cast<double>(pool.generated(Party::kServer) + pool.generated(Party::kClient));
}

}  // namespace

OtOptions choose_ot(const PublicPlan& plan, const ExecOptions& exec, const std::optional<LinkSpec>& link,
                    std::optional<OtKind> kind) {
  const bool known = link && link->bits_per_second > 0;
  const double rate = known ? link->bits_per_second : kDefaultRate;
  if (!kind && !known) kind = OtKind::kSilent;
  OtSchedule::Need total{};
  for (const std::vector<OtSchedule::Need>& part : {setup_needs(plan, exec), online_needs(plan, exec, 1)})
    for (const OtSchedule::Need& n : part)
      for (std::size_t p = 0; p < 2; ++p) total[p] += n[p];
  OtOptions best = exec.ot;
  double least = -1;
  const auto consider = [&](const OtOptions& ot) {
    if (kind && ot.kind != *kind) return;
    const double seconds = seconds_of(ot, total, rate);
    if (least >= 0 && seconds >= least) return;
    least = seconds;
    best = ot;
  };
  OtOptions candidate = exec.ot;
  candidate.kind = OtKind::kSoftSpoken;
  consider(candidate);
  candidate.kind = OtKind::kSilent;
  for (unsigned a = 0; a < kLpnSetCount; ++a)
    for (unsigned b = 0; b < kLpnSetCount; ++b) {
      candidate.silent_set = {static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b)};
      consider(candidate);
    }
  return best;
}

}  // namespace eqo
