#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "eqo/model/graph.h"
#include "eqo/net/cost_meter.h"
#include "eqo/planner/exec_options.h"

namespace eqo {

// Requests and goodbyes of the session protocol (runtime/control.h), as payload bytes.
inline constexpr std::uint64_t kControlBytes = 16;

// The protocol of one step, without the reservation of its COTs: exactly the sends and COTs of the executor.
// kControlBytes and the opening of the result are not part of a step.
void step_setup_protocol(CostMeter& meter, const PublicPlan& plan, const Node& node);
void step_online_protocol(CostMeter& meter, const PublicPlan& plan, const Node& node, const ExecOptions& options,
                          std::uint64_t batch);

// The COTs a protocol takes: a dry run on a meter of its own.
template <typename Protocol>
Cost dry_run(const Protocol& protocol) {
  CostMeter meter;
  protocol(meter);
  return meter.cost();
}

// What one step adds: to the bytes by sender and to the number of flights.
struct StepCost {
  std::string name, layer, op;
  Cost setup, online;
};

// The exact traffic of a session. Setup: handshake (`handshake_payload` bytes are the caller's to add), base OTs, the
// products' keys and the goodbye. Online: one batch, from the request to the opened result.
struct PlanCost {
  std::vector<StepCost> steps;  // one a node
  Cost session;                 // base OTs (setup), in bytes and flights
  Cost ready;                   // the server's word that ends the setup
  Cost request, opening;        // online, once a batch
  Cost setup, online;           // the sums
  std::vector<Message> setup_trace, online_trace;
};

PlanCost plan_cost(const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch, bool with_trace = false);

// Words of one batch's tensor: batch * elements. Throws resource_error beyond 2^31.
std::uint64_t tensor_words(const Node& node, std::uint64_t batch);

}  // namespace eqo
