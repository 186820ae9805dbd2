#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

#include "eqo/core/party.h"

namespace eqo {

// A network between the parties: the same rate in each direction, independent of the other one.
struct LinkSpec {
  double bits_per_second = 0;  // 0: no limit
  double round_trip_seconds = 0;
  friend bool operator==(const LinkSpec&, const LinkSpec&) = default;
};

// Seconds of computation that go with each byte of a message, by party.
struct WorkPerByte {
  std::array<double, 2> send{}, receive{};
};

// The times at which two parties get on with a protocol: each computes and sends as soon as it can, messages of one
// direction queue behind one another (simulate_link() does the same to real ones), and a party that receives waits.
class LinkClock {
 public:
  explicit LinkClock(const LinkSpec& link) : link_(link) {}

  void work(Party who, double seconds) { now_[index(who)] += seconds; }
  void set_work(const WorkPerByte& work) { work_ = work; }

  void message(Party from, std::uint64_t bytes) { arrive(other(from), bytes, depart(from, bytes)); }
  // Both send, then both receive; 0 bytes: nothing.
  void exchange(std::uint64_t server_bytes, std::uint64_t client_bytes) {
    const double to_client = server_bytes == 0 ? 0 : depart(Party::kServer, server_bytes);
    const double to_server = client_bytes == 0 ? 0 : depart(Party::kClient, client_bytes);
    if (server_bytes != 0) arrive(Party::kClient, server_bytes, to_client);
    if (client_bytes != 0) arrive(Party::kServer, client_bytes, to_server);
  }
  // When the slower party is done.
  double seconds() const { return std::max(now_[0], now_[1]); }

 private:
  static std::size_t index(Party p) { return static_cast<std::size_t>(p); }
  double depart(Party from, std::uint64_t bytes) {
    double& now = now_[index(from)];
    double& free = free_[index(from)];
    now += static_cast<double>(bytes) * work_.send[index(from)];
    free = std::max(now, free);
    if (link_.bits_per_second > 0) free += 8.0 * static_cast<double>(bytes) / link_.bits_per_second;
    return free + link_.round_trip_seconds / 2;
  }
  void arrive(Party to, std::uint64_t bytes, double at) {
    double& now = now_[index(to)];
    now = std::max(now, at) + static_cast<double>(bytes) * work_.receive[index(to)];
  }

  LinkSpec link_;
  WorkPerByte work_;
  std::array<double, 2> now_{}, free_{};
};

}  // namespace eqo
