#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "eqo/model/graph.h"
#include "eqo/ot/context.h"
#include "eqo/planner/plan_cost.h"

namespace eqo {

class HeKeys;
class PeerSteps;
class SecretConvolution;

// Runs a quantized network on shares, step by step, for either party. The result is the twin's, bit for bit, and the
// traffic is plan_cost()'s, to the byte.
//
// What a party sees: of each step's messages only what the step's protocol says (masked values); nothing is opened. The
// public plan, the batch size and the counter are known to both.
class SecureExecutor {
 public:
  // `model` is null for the client; its plan must be `plan`. All references must outlive the executor.
  SecureExecutor(Context& ctx, const PublicPlan& plan, const ExecOptions& options, const Model* model);
  ~SecureExecutor();

  // Once a session: the keys of the products, and the COTs of a first batch. Base OTs are the pool's.
  void setup();

  // After each step: the node's index and this party's share of its output, [batch][c][h][w].
  using Observer = std::function<void(std::size_t, std::span<const Word>)>;

  // One batch. `input`: the client's quantized images, [batch][c][h][w], reduced in the input ring; the server passes
  // an empty span. `counter` must be greater than every earlier one. Returns this party's share of the output.
  Words run(std::span<const Word> input, std::uint64_t batch, std::uint64_t counter, const Observer& observer = {});

  // What each step cost so far in this session: setup, and the last batch.
  struct StepReport {
    std::uint64_t setup_bytes = 0, online_bytes = 0;  // both directions
    std::uint64_t setup_flights = 0, online_flights = 0;
    double setup_seconds = 0, online_seconds = 0;
  };
  const std::vector<StepReport>& reports() const { return reports_; }
  // The same of the making of COTs, which belongs to no step.
  const StepReport& cots() const { return cots_; }
  // And of the public keys of homomorphic products.
  const StepReport& he_keys() const { return he_keys_report_; }

 private:
  Words step(std::size_t index, std::span<const Words> tensors, std::uint64_t batch, std::uint64_t counter);
  void make_product(std::size_t index);
  void make_cots(const OtSchedule::Need& need, std::uint64_t& bytes, std::uint64_t& flights, double& seconds);

  Context& ctx_;
  const PublicPlan& plan_;
  const ExecOptions& options_;
  const Model* model_;
  // One a node; empty but for convolutions.
  struct Layer {
    WipedVector<std::uint16_t> codes;  // the server's weights, as the product wants them
    std::unique_ptr<SecretConvolution> product;
  };
  std::unique_ptr<HeKeys> he_keys_;  // null: no homomorphic product
  std::vector<Layer> layers_;
  std::unique_ptr<PeerSteps> peer_;  // null: EQO's own protocols
  std::vector<std::size_t> last_use_;
  std::vector<StepReport> reports_;
  StepReport cots_, he_keys_report_;
  OtSchedule schedule_;
};

}  // namespace eqo
