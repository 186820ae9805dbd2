#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "eqo/core/party.h"
#include "eqo/net/cost_meter.h"

namespace eqo {

// When correlated OTs are made, and how many at once: many steps' in one go, so that a step does not wait for them, but
// never more than kMostAhead of one direction, so that memory stays bounded. The executor and the plan follow the same
// schedule; it depends on public numbers only.
class OtSchedule {
 public:
  static constexpr std::uint64_t kMostAhead = std::uint64_t{1} << 23;

  // By the party that is the COTs' sender.
  using Need = std::array<std::uint64_t, 2>;
  static Need need_of(const Cost& cost) { return cost.cots; }

  // A sequence of steps begins; `ahead` is what will be needed after the last one, made early where there is room.
  void begin(std::vector<Need> steps, Need ahead = {});
  // What to reserve now, before step i takes its COTs. Steps come in order, each once.
  Need before(std::size_t i);
  // After the last step: what is still missing of `ahead`.
  Need finish();
  // The most COTs of both directions that a party has had in memory so far: those that are left stay until a larger
  // buffer holds them, too.
  std::uint64_t most_held() const { return most_held_[0] + most_held_[1]; }

  // What to reserve now, so that a later sequence of steps finds its `need`: no other one takes of it. The caller
  // release()s it just before that sequence begins, which then reserves nothing.
  Need prepare(Need need);
  void release(Need need);
  // COTs that were made and not yet taken when the last reserve was asked for.
  Need untaken() const { return untaken_; }

 private:
  Need refill(Need now);

  std::vector<Need> steps_;
  Need room_{}, most_held_{};
  Need ahead_{}, remaining_{}, left_{};  // remaining_: of steps_ from the next one on, and of ahead_
  Need kept_{}, untaken_{};              // kept_: of left_, for sequences that were prepared
};

}  // namespace eqo
