#include "eqo/ot/ot_pool.h"

#include <algorithm>
#include <string>

#include "eqo/core/error.h"
#include "eqo/ot/silent_pool.h"
#include "eqo/ot/softspoken_pool.h"

namespace eqo {
namespace {

// A direction holds a block a COT, on the receiver's side a choice, too.
constexpr std::uint64_t kCotBytes = sizeof(Block) + 1;
// Keys, the first seeds' SoftSpoken, threads' scratch and short messages: below this.
constexpr std::uint64_t kFixedBytes = std::uint64_t{4} << 20;

const LpnSet& set_of(const OtOptions& options, std::size_t sender) {
  const unsigned set = options.silent_set[sender];
  if (set >= kLpnSetCount)
    throw usage_error("silent OT: the parameter set must be in 0..3, got " + std::to_string(set));
  return kLpnSets[set];
}

}  // namespace

std::unique_ptr<OtPool> make_ot_pool(Channel& channel, Prg& prg, ThreadPool& threads, const OtOptions& options) {
  if (options.kind == OtKind::kSoftSpoken)
    return make_softspoken_pool(channel, prg, threads, Forest(options.softspoken_k));
  return make_silent_pool(channel, prg, threads, {set_of(options, 0), set_of(options, 1)});
}

OtPoolCost::OtPoolCost(const OtOptions& options)
    : options_(options), directions_{Direction(set_of(options, 0)), Direction(set_of(options, 1))} {}

void OtPoolCost::setup(CostMeter& meter) {
  softspoken_setup_cost(meter,
                        Forest(options_.kind == OtKind::kSilent ? SilentSchedule::kSeedK : options_.softspoken_k));
}

void OtPoolCost::reserve(CostMeter& meter, std::uint64_t server_sends, std::uint64_t client_sends,
                         const std::array<std::uint64_t, 2>& untaken) {
  const std::array<std::uint64_t, 2> sends{server_sends, client_sends};
  if (options_.kind == OtKind::kSilent) return silent_reserve(meter, sends, untaken);
  softspoken_reserve_cost(meter, Forest(options_.softspoken_k), server_sends, client_sends);
  for (std::size_t p = 0; p < 2; ++p) {
    const std::uint64_t n = softspoken_blocks(sends[p]) * kCotsPerBlock;
    directions_[p].generated += n;
    hold(directions_[p], untaken[p], n);
  }
}

void OtPoolCost::silent_reserve(CostMeter& meter, const std::array<std::uint64_t, 2>& sends,
                                const std::array<std::uint64_t, 2>& untaken) {
  std::array<SilentSchedule::Step, 2> steps;
  std::array<std::uint64_t, 2> done{}, start{};
  for (std::size_t p = 0; p < 2; ++p) {
    Direction& d = directions_[p];
    const std::uint64_t spare = d.schedule.spare();
    steps[p] = d.schedule.reserve(sends[p]);
    if (steps[p].start)
      start[1 - p] =
          softspoken_message_bytes(Forest(SilentSchedule::kSeedK), softspoken_blocks(d.schedule.first_set().seeds()));
    if (steps[p].all() == 0) continue;
    // Those in use, as they are and as the code's table; the next ones are at the end of an iteration's output.
    d.seeds = std::max(d.schedule.set().seeds(), d.schedule.first_set().seeds());
    hold(d, spare + untaken[p], d.schedule.made(steps[p]) + d.schedule.set().seeds());
  }
  meter.exchange(start[0], start[1]);
  while (done[0] < steps[0].all() || done[1] < steps[1].all()) {
    const bool both = done[0] < steps[0].all() && done[1] < steps[1].all();
    std::array<std::uint64_t, 2> bytes{};
    for (std::size_t p = 0; p < 2; ++p) {
      Direction& d = directions_[p];
      for (std::uint64_t i = 0; i < d.schedule.turn() && done[p] < steps[p].all(); ++i, ++done[p]) {
        const LpnSet& set = d.schedule.set_of(steps[p], done[p]);
        d.generated += set.outputs();
        bytes[p] += set.message_bytes(set.trees);
        for (unsigned first = 0; !both && first < set.trees; first += SilentSchedule::kTreesPerMessage)
          meter.send(static_cast<Party>(p),
                     set.message_bytes(std::min(SilentSchedule::kTreesPerMessage, set.trees - first)));
      }
    }
    if (!both) continue;
    meter.exchange(bytes[0], bytes[1]);
    message_ = std::max({message_, bytes[0], bytes[1]});
  }
}

void OtPoolCost::hold(Direction& d, std::uint64_t kept, std::uint64_t more) {
  const std::uint64_t all = kept + more;
  if (all <= d.capacity) return;
  d.peak = std::max(d.peak, all + (kept > 0 ? d.capacity : 0));
  d.capacity = all;
}

std::uint64_t OtPoolCost::memory_bytes() const {
  std::uint64_t cots = 0;
  for (const Direction& d : directions_) cots += d.peak + 2 * d.seeds;
  return cots * kCotBytes + message_ + kFixedBytes;
}

std::uint64_t OtPoolCost::generated(Party sender) const {
  return directions_[static_cast<std::size_t>(sender)].generated;
}

unsigned cot_sixteenths(const OtOptions& options, Party sender) {
  if (options.kind == OtKind::kSoftSpoken) return static_cast<unsigned>(16 * (Forest(options.softspoken_k).trees - 1));
  const LpnSet& set = set_of(options, static_cast<std::size_t>(sender));
  return static_cast<unsigned>((128 * set.message_bytes(set.trees) + set.net() - 1) / set.net());
}

}  // namespace eqo
