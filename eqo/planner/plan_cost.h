#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "eqo/model/graph.h"
#include "eqo/net/cost_meter.h"
#include "eqo/ot/ot_pool.h"
#include "eqo/planner/exec_options.h"
#include "eqo/planner/ot_schedule.h"
#include "eqo/planner/work_rates.h"

namespace eqo {

// Requests and goodbyes of the session protocol (runtime/control.h), as payload bytes.
inline constexpr std::uint64_t kControlBytes = 16;

// How a batch is answered: all of its work at once, or with material that was prepared before.
enum class BatchKind : std::uint8_t { kWhole, kPrepared };

// The protocol of one step, without the making of its COTs: exactly the sends and COTs of the executor.
// kControlBytes and the opening of the result are not part of a step.
void step_setup_protocol(CostMeter& meter, const PublicPlan& plan, const Node& node, const ExecOptions& options);
void step_online_protocol(CostMeter& meter, const PublicPlan& plan, const Node& node, const ExecOptions& options,
                          std::uint64_t batch, BatchKind kind = BatchKind::kWhole);

// The preparing of a batch, in rounds of two flights: the convolutions of a round all begin, then all finish. A round
// is as many of them as have kPrepareRoundBytes of ciphertexts together, at least one.
inline constexpr std::uint64_t kPrepareRoundBytes = std::uint64_t{16} << 20;
std::vector<std::vector<std::size_t>> prepare_rounds(const PublicPlan& plan, const ExecOptions& options,
                                                     std::uint64_t batch);
void step_begin_protocol(CostMeter& meter, const PublicPlan& plan, const Node& node, const ExecOptions& options,
                         std::uint64_t batch);
void step_finish_protocol(CostMeter& meter, const PublicPlan& plan, const Node& node, const ExecOptions& options,
                          std::uint64_t batch);

// The COTs a protocol takes: a dry run on a meter of its own.
template <typename Protocol>
Cost dry_run(const Protocol& protocol) {
  CostMeter meter;
  protocol(meter);
  return meter.cost();
}

// The COTs of every step, in order, for an OtSchedule.
std::vector<OtSchedule::Need> setup_needs(const PublicPlan& plan, const ExecOptions& options);
std::vector<OtSchedule::Need> online_needs(const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch);
// The sum of the latter: what a batch takes, whole or prepared, since products take none.
OtSchedule::Need batch_need(const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch);
// What the setup makes ahead: all COTs of a first batch of options.prefetch images.
OtSchedule::Need prefetch_need(const PublicPlan& plan, const ExecOptions& options);

// A part of a session: what it adds to the bytes by sender, to the number of flights, and to the time.
struct PartCost {
  Cost cost;
  double seconds = 0;  // only with a clock
};

// What one step adds.
struct StepCost {
  std::string name, layer, op;
  Cost setup{}, prepared{}, online{};
  double setup_seconds = 0, prepared_seconds = 0, online_seconds = 0;
};

// The exact traffic of a session up to and including one batch. Setup: handshake (the caller's to add), base OTs, COTs
// made ahead, the products' keys and the goodbye. Prepared: the making of the batch's own material, if it has any.
// Online: that batch, from the request to the opened result.
struct PlanCost {
  std::vector<StepCost> steps;                      // one a node
  PartCost session;                                 // base OTs (setup)
  PartCost he_keys;                                 // public keys of homomorphic products (setup)
  PartCost setup_cots, prepared_cots, online_cots;  // the making of COTs
  PartCost ready;                                   // the server's word that ends the setup
  PartCost prepare_request;                         // prepared, once a batch
  PartCost request, opening;                        // online, once a batch
  Cost setup, prepared, online;                     // the sums
  double setup_seconds = 0, prepared_seconds = 0, online_seconds = 0;
  std::vector<Message> setup_trace, prepared_trace, online_trace;
};

// A dry run of a session: the setup at once, then batch after batch. What a batch costs depends on those before it,
// because COTs are made in bulk.
class SessionPlan {
 public:
  struct Options {
    bool trace = false;
    const LinkSpec* link = nullptr;   // with a clock
    const WorkRates* work = nullptr;  // seconds of computation, with a clock; null: none
  };
  SessionPlan(const PublicPlan& plan, const ExecOptions& options, const Options& how);
  SessionPlan(const PublicPlan& plan, const ExecOptions& options) : SessionPlan(plan, options, Options{}) {}
  // The setup, known from the start.
  const PlanCost& setup() const { return setup_; }
  // The preparing of a batch, which a later next() of that size, in the same order, is for: what it adds is in the
  // `prepared` fields, the others are the setup's.
  PlanCost prepare(std::uint64_t batch);
  // Batches that are prepared and not answered.
  std::size_t prepared() const { return prepared_.size(); }
  // The next batch; its setup is that of the session. usage_error for a prepared one if the oldest material is not for
  // this size.
  PlanCost next(std::uint64_t batch, BatchKind kind = BatchKind::kWhole);
  // Makes COTs for n more batches, as prepare() does, and nothing else: for estimates of memory.
  void prepare_cots(std::uint64_t batch, std::uint64_t n);
  // Of the COTs in one party's memory so far, from above.
  std::uint64_t cot_memory_bytes() const {
    constexpr std::uint64_t kCotBytes = 17;  // a block and a choice
    return std::max(pool_.memory_bytes(), kCotBytes * schedule_.most_held());
  }

 private:
  PartCost take();
  void make(const OtSchedule::Need& need, PartCost& sum);
  void setup_work(const Node& node);
  void work_of(const Node& node, std::uint64_t batch, BatchKind kind);
  void set_product_work(const Node& node, std::uint64_t batch);
  void no_work();
  std::vector<Message> traced();

  const PublicPlan& plan_;
  const ExecOptions options_;
  Options how_;
  CostMeter meter_;
  OtPoolCost pool_;
  OtSchedule schedule_;
  PlanCost setup_;
  struct Prepared {
    std::uint64_t batch = 0;
    PlanCost cost;
  };
  std::deque<Prepared> prepared_;
  Cost last_;
  double last_seconds_ = 0;
  std::size_t traced_ = 0;
};

// The first batch of a session.
PlanCost plan_cost(const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch, bool with_trace = false);

// Words of one batch's tensor: batch * elements. Throws resource_error beyond 2^31.
std::uint64_t tensor_words(const Node& node, std::uint64_t batch);

}  // namespace eqo
