#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "eqo/core/thread_pool.h"
#include "eqo/crypto/prg.h"
#include "eqo/net/channel.h"
#include "eqo/net/cost_meter.h"

namespace eqo {

enum class OtKind : std::uint8_t { kSoftSpoken, kSilent };

struct OtOptions {
  OtKind kind = OtKind::kSoftSpoken;
  unsigned softspoken_k = 4;  // 1..8; 1 is IKNP
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

// Base OTs in both directions, then the extension. The channel must outlive the pool.
std::unique_ptr<OtPool> make_ot_pool(Channel& channel, Prg& prg, ThreadPool& threads, const OtOptions& options);

// The traffic of a pool: the same sends in the same order, for any sequence of reserves. As stateful as the pool.
class OtPoolCost {
 public:
  explicit OtPoolCost(const OtOptions& options) : options_(options) {}
  void setup(CostMeter& meter);
  // One reserve() of this many COTs: by the party that is the COTs' sender.
  void reserve(CostMeter& meter, std::uint64_t server_sends, std::uint64_t client_sends);

 private:
  OtOptions options_;
};

}  // namespace eqo
