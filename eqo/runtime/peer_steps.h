#pragma once
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "eqo/model/graph.h"
#include "eqo/peers/half_gates.h"
#include "eqo/peers/peer_context.h"
#include "eqo/planner/framework.h"
#include "eqo/protocols/convolution.h"

namespace eqo {

// The steps of a peer's plan by the peer's protocols (eqo/peers): what the executor runs instead of EQO's own. One
// party, one session. Results are the twin's of that plan, bit for bit; traffic is planner/peer_step_cost.h's.
class PeerSteps {
 public:
  // All references must outlive the object; `model` is null for the client.
  PeerSteps(Context& ctx, const PublicPlan& plan, Framework framework, const Model* model);
  // Once a session: KKOT's base OTs, or the colors of COINN's garbled labels. Nothing else is kept from one image to
  // the next.
  void setup();
  // A step that is not local: this party's share of its output.
  Words step(std::size_t index, std::span<const Word> x, std::uint64_t batch);

 private:
  Words convolution(std::size_t index, std::span<const Word> x, std::uint64_t batch);
  Words garbled_step(const Node& node, std::span<const Word> x, std::uint64_t batch);

  Context& ctx_;
  const PublicPlan& plan_;
  Framework framework_;
  const Model* model_;
  std::unique_ptr<Kkot> kkot_;
  std::optional<peers::PeerContext> peer_;
  std::optional<peers::Garbling> garbling_;  // COINN's
};

}  // namespace eqo
