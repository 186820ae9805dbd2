#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "eqo/model/graph.h"
#include "eqo/ot/context.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/protocols/prepared_convolution.h"

namespace eqo {

class HeKeys;
class PeerSteps;

// Runs a quantized network on shares, step by step, for either party. The result is the twin's, bit for bit, and the
// traffic is plan_cost()'s, to the byte.
//
// Material for later batches can be prepared before their images exist: products of random inputs
// (protocols/prepared_convolution.h) and COTs. It is kept in memory, used in the order it was made, and gone as soon as
// a batch has begun with it, whatever becomes of that batch.
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

  // Material for one batch of this many images. `counter` must be greater than every earlier one, batches' included.
  void prepare(std::uint64_t batch, std::uint64_t counter);
  std::size_t prepared() const { return material_.size(); }  // batches
  std::uint64_t prepared_images() const;                     // of all of them together
  std::uint64_t next_prepared() const;                       // images of the oldest one; 0: there is none
  void discard_prepared() { material_.clear(); }             // at the end of a session; COTs remain the pool's

  // One batch. `input`: the client's quantized images, [batch][c][h][w], reduced in the input ring; the server passes
  // an empty span. `counter` must be greater than every earlier one. Returns this party's share of the output. A
  // prepared one takes the oldest material, which must be for this many images: else usage_error, before anything is
  // sent.
  Words run(std::span<const Word> input, std::uint64_t batch, std::uint64_t counter, BatchKind kind = BatchKind::kWhole,
            const Observer& observer = {});

  // What each step cost so far in this session: setup, and the last batch with its material.
  struct StepReport {
    std::uint64_t setup_bytes = 0, prepared_bytes = 0, online_bytes = 0;  // both directions
    std::uint64_t setup_flights = 0, prepared_flights = 0, online_flights = 0;
    double setup_seconds = 0, prepared_seconds = 0, online_seconds = 0;
  };
  const std::vector<StepReport>& reports() const { return reports_; }
  // The same of the making of COTs, which belongs to no step.
  const StepReport& cots() const { return cots_; }
  // And of the public keys of homomorphic products.
  const StepReport& he_keys() const { return he_keys_report_; }

 private:
  struct Material;
  Words step(std::size_t index, std::span<const Words> tensors, std::uint64_t batch, std::uint64_t counter,
             Material* material);
  void make_product(std::size_t index);
  void check_batch(std::uint64_t batch) const;
  void make_cots(const OtSchedule::Need& need, std::uint64_t& bytes, std::uint64_t& flights, double& seconds);

  Context& ctx_;
  const PublicPlan& plan_;
  const ExecOptions& options_;
  const Model* model_;
  // One a node; empty but for convolutions.
  struct Layer {
    ConvSpec spec;
    WipedVector<std::uint16_t> codes;  // the server's weights, as the product wants them
    std::unique_ptr<SecretConvolution> product;
  };
  // Of one batch: a layer's, and what it cost, one a node.
  struct Material {
    std::uint64_t batch = 0;
    std::vector<std::optional<PreparedConvolution>> layers;
    std::vector<StepReport> reports;
    StepReport cots;
  };
  std::unique_ptr<HeKeys> he_keys_;  // null: no homomorphic product
  std::vector<Layer> layers_;
  std::deque<Material> material_;    // the oldest first
  std::unique_ptr<PeerSteps> peer_;  // null: EQO's own protocols
  std::vector<std::size_t> last_use_;
  std::vector<StepReport> reports_;
  StepReport cots_, he_keys_report_;
  OtSchedule schedule_;
};

}  // namespace eqo
