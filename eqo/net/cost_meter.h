#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "eqo/core/party.h"
#include "eqo/net/channel.h"
#include "eqo/net/framing.h"
#include "eqo/net/link_clock.h"

namespace eqo {

// The exact cost of a run, or of a part of it.
struct Cost {
  std::array<std::uint64_t, 2> bytes{};  // on the wire, framing included, by sending party
  std::uint64_t flights = 0;
  std::array<std::uint64_t, 2> cots{};  // correlated OTs consumed, by the party that is their sender
  std::uint64_t total_bytes() const { return bytes[0] + bytes[1]; }
  friend bool operator==(const Cost&, const Cost&) = default;
};

// A dry run of the traffic. Every protocol has a cost function beside it that performs the same sends on a meter, in
// the same order; meters therefore compose exactly, flights included (see Traffic::flights).
class CostMeter {
 public:
  // `from` sends one message, which the other party receives before it sends again.
  void send(Party from, std::uint64_t payload_bytes) {
    if (payload_bytes == 0) return;
    const auto f = static_cast<std::size_t>(from);
    count(f, payload_bytes);
    sent_[f] = received_[f] + 1;
    received_[1 - f] = std::max(received_[1 - f], sent_[f]);
    if (clock_) clock_->message(from, framed_bytes(payload_bytes));
  }
  // Both parties send one message each, then both receive.
  void exchange(std::uint64_t server_bytes, std::uint64_t client_bytes) {
    const std::array<std::uint64_t, 2> before = received_;
    const std::array<std::uint64_t, 2> payload{server_bytes, client_bytes};
    for (std::size_t f = 0; f < 2; ++f) {
      if (payload[f] == 0) continue;
      count(f, payload[f]);
      sent_[f] = before[f] + 1;
      received_[1 - f] = std::max(received_[1 - f], sent_[f]);
    }
    if (clock_)
      clock_->exchange(server_bytes == 0 ? 0 : framed_bytes(server_bytes),
                       client_bytes == 0 ? 0 : framed_bytes(client_bytes));
  }
  // n correlated OTs with `sender` as their sender are taken from the pool.
  void cots(Party sender, std::uint64_t n) { cost_.cots[static_cast<std::size_t>(sender)] += n; }

  // Everything since construction; flights as the channel counts them.
  Cost cost() const {
    Cost c = cost_;
    c.flights = std::max({sent_[0], sent_[1], received_[0], received_[1]});
    return c;
  }
  // From now on the messages also take their time on a link. Copies share nothing.
  void start_clock(const LinkSpec& link) { clock_.emplace(link); }
  LinkClock* clock() { return clock_ ? &*clock_ : nullptr; }

  void record_trace() { tracing_ = true; }
  const std::vector<Message>& trace() const { return trace_; }

 private:
  void count(std::size_t from, std::uint64_t payload) {
    cost_.bytes[from] += framed_bytes(payload);
    if (tracing_) trace_.push_back({static_cast<Party>(from), payload});
  }
  Cost cost_;
  std::array<std::uint64_t, 2> sent_{}, received_{};
  std::optional<LinkClock> clock_;
  bool tracing_ = false;
  std::vector<Message> trace_;
};

}  // namespace eqo
