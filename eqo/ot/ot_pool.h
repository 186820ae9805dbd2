#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "eqo/core/thread_pool.h"
#include "eqo/crypto/prg.h"
#include "eqo/net/channel.h"
#include "eqo/net/cost_meter.h"
#include "eqo/ot/silent_schedule.h"

namespace eqo {

// kSilent is Ferret (ferret.h): well below one bit each, but it makes millions at a time. kSoftSpoken is for few of
// them.
enum class OtKind : std::uint8_t { kSoftSpoken, kSilent };

struct OtOptions {
  OtKind kind = OtKind::kSoftSpoken;
  unsigned softspoken_k = 4;  // kSoftSpoken: 1..8; 1 is IKNP
  // kSilent: silent_set[p] is the parameter set (0..3, lpn_sets.h) of the COTs whose sender is party p.
  std::array<std::uint8_t, 2> silent_set = {1, 1};
  friend bool operator==(const OtOptions&, const OtOptions&) = default;
};

// Random correlated OTs, sender's side: the receiver holds choices[i] and t[i] = q[i] ^ choices[i] * delta.
struct CotSenderBatch {
  std::span<const Block> q;  // valid until the pool's next reserve()
  Block delta;
  std::uint64_t first_index = 0;  // of q[0] in this direction's endless sequence: the hash's tweak, used once
};
struct CotReceiverBatch {
  std::span<const Block> t;
  std::span<const std::uint8_t> choices;  // uniform, each 0 or 1
  std::uint64_t first_index = 0;
};

// The session's source of random correlated OTs in both directions, each with a global Delta of its own.
// Behind it stands an OT extension; which one, no protocol knows. reserve() is the only step that communicates:
// a protocol's caller reserves what the cost function says, the protocol takes it all.
class OtPool {
 public:
  virtual ~OtPool() = default;
  // Makes exactly this many more COTs available. What was left over is kept.
  virtual void reserve(std::uint64_t as_sender, std::uint64_t as_receiver) = 0;
  // Each COT is handed out once. Throws internal_error if fewer are left.
  virtual CotSenderBatch take_sender(std::size_t n) = 0;
  virtual CotReceiverBatch take_receiver(std::size_t n) = 0;
  virtual std::uint64_t sender_left() const = 0;
  virtual std::uint64_t receiver_left() const = 0;
};

// Base OTs in both directions, then the extension. The channel, the generator and the threads must outlive the pool.
// Throws usage_error for options out of range.
std::unique_ptr<OtPool> make_ot_pool(Channel& channel, Prg& prg, ThreadPool& threads, const OtOptions& options);

// The traffic of a pool: the same sends in the same order, for any sequence of reserves. As stateful as the pool.
class OtPoolCost {
 public:
  explicit OtPoolCost(const OtOptions& options);
  void setup(CostMeter& meter);
  // One reserve() of this many COTs: by the party that is the COTs' sender. `untaken`: those of earlier ones that were
  // not taken yet; they count for the memory alone.
  void reserve(CostMeter& meter, std::uint64_t server_sends, std::uint64_t client_sends,
               const std::array<std::uint64_t, 2>& untaken = {});
  // The most that a party's pool has held so far, from above.
  std::uint64_t memory_bytes() const;
  // COTs made so far, spare ones and seeds included: what computation is proportional to.
  std::uint64_t generated(Party sender) const;

 private:
  struct Direction {
    explicit Direction(const LpnSet& set) : schedule(set) {}
    SilentSchedule schedule;
    std::uint64_t generated = 0, capacity = 0, peak = 0, seeds = 0;
  };
  void silent_reserve(CostMeter& meter, const std::array<std::uint64_t, 2>& sends,
                      const std::array<std::uint64_t, 2>& untaken);
  void hold(Direction& d, std::uint64_t kept, std::uint64_t more);

  OtOptions options_;
  std::array<Direction, 2> directions_;  // by the COTs' sender
  std::uint64_t message_ = 0;            // the longest
};

// The price of one COT that `sender` sends, in sixteenths of a bit, rounded up: amortised, without setup.
unsigned cot_sixteenths(const OtOptions& options, Party sender);

}  // namespace eqo
