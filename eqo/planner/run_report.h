#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "eqo/planner/plan_cost.h"

namespace eqo {

// The cost of a session with one batch, as planned or as counted: the same rows in the same order, so that the two
// can be compared field by field. Bytes include the frame headers.
struct LayerRow {
  std::string name;  // the step
  std::string op;    // its operator; "session" for what belongs to no step
  std::uint64_t setup_bytes = 0, prepared_bytes = 0, online_bytes = 0, flights = 0;
  double seconds = 0;  // of all three
  std::uint64_t bytes() const { return setup_bytes + prepared_bytes + online_bytes; }
};

struct RunReport {
  std::uint64_t client_bytes = 0, server_bytes = 0;  // by sender
  // Prepared: the batch's own material, 0 if it had none.
  std::uint64_t setup_bytes = 0, prepared_bytes = 0, online_bytes = 0;
  std::uint64_t setup_flights = 0, prepared_flights = 0, online_flights = 0;
  double setup_seconds = 0, prepared_seconds = 0, online_seconds = 0;
  std::uint64_t peak_rss_bytes = 0;
  std::uint64_t total_bytes() const { return setup_bytes + prepared_bytes + online_bytes; }
  std::uint64_t total_flights() const { return setup_flights + prepared_flights + online_flights; }
  std::vector<LayerRow> layers;
};

// `handshake` is the handshake's bytes by sender, which the caller knows (net/handshake.h). Its flights: both greetings
// at once, the server's answer, the client's confirmation.
inline constexpr std::uint64_t kHandshakeFlights = 3;
RunReport planned_report(const PublicPlan& plan, const PlanCost& cost, const Cost& handshake);

// The first field in which rows, bytes or flights differ, in words; empty if they agree. Times and memory may differ.
std::string first_difference(const RunReport& planned, const RunReport& counted);

// Peak memory of one party: keys of the products, tensors alive at once, OTs of the largest reservation, and the
// material of `prepared` images. An estimate from above, in bytes.
std::uint64_t estimated_memory(const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch,
                               std::uint64_t prepared = 0);

// The largest resident set of this process so far.
std::uint64_t peak_rss_bytes();

}  // namespace eqo
