#pragma once
#include <cstdint>

#include "eqo/ot/lpn_sets.h"

namespace eqo {

// What one direction of a silent pool does when: follows from the numbers reserved so far alone, so that the two
// parties and the cost agree.
class SilentSchedule {
 public:
  static constexpr unsigned kSeedK = 8;              // the SoftSpoken that makes the very first seeds
  static constexpr unsigned kTreesPerMessage = 128;  // the receiver works while the sender does

  explicit SilentSchedule(const LpnSet& set);

  struct Step {
    bool start = false;            // SoftSpoken, first_set().seeds() COTs
    bool small_first = false;      // one iteration of the smallest set, where that makes the seeds in fewer bytes
    std::uint64_t iterations = 0;  // of the main set
    std::uint64_t all() const { return iterations + (small_first ? 1 : 0); }
  };
  // n more COTs are wanted. Throws resource_error beyond 2^40 of them.
  Step reserve(std::uint64_t n);

  const LpnSet& set() const { return set_; }
  // Of a step's iteration i; of the very first one.
  const LpnSet& set_of(const Step& step, std::uint64_t i) const {
    return step.small_first && i == 0 ? kLpnSets[0] : set_;
  }
  const LpnSet& first_set() const { return small_first_ ? kLpnSets[0] : set_; }
  // What an iteration of `set` leaves when the main set's seeds are taken off.
  std::uint64_t net(const LpnSet& set) const { return set.outputs() - set_.seeds(); }
  std::uint64_t made(const Step& step) const;
  // Made and not reserved: what the next reserve() gets for nothing.
  std::uint64_t spare() const { return made_ - wanted_; }
  // With both directions at work: how many iterations' messages a party sends, as one, before it receives.
  std::uint64_t turn() const;

 private:
  LpnSet set_;
  bool small_first_ = false, started_ = false;
  std::uint64_t made_ = 0, wanted_ = 0;
};

}  // namespace eqo
