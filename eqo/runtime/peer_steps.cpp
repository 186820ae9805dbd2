#include "eqo/runtime/peer_steps.h"

#include <string>

#include "eqo/core/error.h"
#include "eqo/kernels/pooling.h"
#include "eqo/peers/extend.h"
#include "eqo/peers/relu.h"
#include "eqo/peers/truncate.h"
#include "eqo/planner/peer_params.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/protocols/argmax.h"
#include "eqo/protocols/maximum.h"
#include "eqo/runtime/layer_secrets.h"

namespace eqo {

PeerSteps::PeerSteps(Context& ctx, const PublicPlan& plan, Framework framework, const Model* model)
    : ctx_(ctx), plan_(plan), framework_(framework), model_(model) {}

void PeerSteps::setup() {
  kkot_ = std::make_unique<Kkot>(ctx_.channel, ctx_.prg, ctx_.threads);
  peer_.emplace(peers::PeerContext{ctx_, *kkot_});
}

Words PeerSteps::convolution(std::size_t index, std::span<const Word> x, std::uint64_t batch) {
  const Node& node = plan_.nodes[index];
  const ConvSpec spec = conv_spec(plan_, node);
  const peers::Choice choice = product_choice(framework_, spec);
  if (model_ == nullptr) return peers::make_convolution_client(spec, choice)->online(*peer_, 1, batch, x);
  const LayerSecrets secrets = layer_secrets(node, model_->secrets[index]);
  return peers::make_convolution_server(spec, choice, secrets.codes, secrets.bias)->online(*peer_, 1, batch, x);
}

Words PeerSteps::step(std::size_t index, std::span<const Word> x, std::uint64_t batch) {
  if (!peer_) throw internal_error("a step before the session's setup");
  const Node& node = plan_.nodes[index];
  const TensorType& in = input_type(plan_, node);
  const Ring ring = in.ring();
  peers::PeerContext& ctx = *peer_;
  switch (node.op) {
    case Op::kConv:
      return convolution(index, x, batch);
    case Op::kRelu:
      return peers::relu(ctx, ring, x);
    case Op::kTruncate:
      return peers::truncate(ctx, ring, x, node.shift, peer_knowledge(in));
    case Op::kTruncateReduce:
      return peers::truncate_reduce(ctx, ring, x, node.shift);
    case Op::kExtend:
      return peers::extend(ctx, ring, node.type.ring(), x, peer_knowledge(in));
    case Op::kMaxPool:
      return max_tree_by(ctx, ring, gather_windows(in.shape, node.window, batch, x, 0), window_size(node),
                         tensor_words(node, batch), [&](std::span<const Word> d) { return peers::relu(ctx, ring, d); });
    case Op::kArgMax: {
      const auto k = static_cast<std::size_t>(in.shape.size());
      return argmax_by(ctx, ring, values_by_position(x, batch, k), k, batch,
                       [&](std::span<const Word> d) { return peers::less_than_zero(ctx, ring, d); });
    }
    default:
      throw internal_error(std::string("no protocol for the step ") + op_name(node.op));
  }
}

}  // namespace eqo
