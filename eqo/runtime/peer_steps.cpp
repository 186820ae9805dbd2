#include "eqo/runtime/peer_steps.h"

#include <string>

#include "eqo/core/error.h"
#include "eqo/kernels/pooling.h"
#include "eqo/peers/extend.h"
#include "eqo/peers/garbled_steps.h"
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
  if (framework_ == Framework::kCoinn) {
    garbling_ = peers::garbling_setup(ctx_);
    return;
  }
  kkot_ = std::make_unique<Kkot>(ctx_.channel, ctx_.prg, ctx_.threads);
  peer_.emplace(peers::PeerContext{ctx_, *kkot_});
}

Words PeerSteps::convolution(std::size_t index, std::span<const Word> x, std::uint64_t batch) {
  const Node& node = plan_.nodes[index];
  const ConvSpec spec = conv_spec(plan_, node);
  const peers::Choice choice = product_choice(framework_, spec);
  const bool factored = is_factored(framework_, spec);
  if (model_ == nullptr) {
    const auto product =
        factored ? peers::make_factored_convolution_client(spec) : peers::make_convolution_client(spec, choice);
    return product->online(ctx_, 1, batch, x);
  }
  const LayerSecrets secrets = layer_secrets(node, model_->secrets[index]);
  const auto product = factored ? peers::make_factored_convolution_server(spec, secrets.codes, secrets.bias)
                                : peers::make_convolution_server(spec, choice, secrets.codes, secrets.bias);
  return product->online(ctx_, 1, batch, x);
}

Words PeerSteps::garbled_step(const Node& node, std::span<const Word> x, std::uint64_t batch) {
  const TensorType& in = input_type(plan_, node);
  const RequantizeSpec spec = garbled_spec(node, in);
  peers::Garbling& garbling = *garbling_;
  switch (node.op) {
    case Op::kRelu:
    case Op::kTruncate:
    case Op::kTruncateReduce:
    case Op::kExtend:
    case Op::kRequantize:
      return peers::garbled_requantize(ctx_, garbling, spec, x);
    case Op::kMaxPool:
      return max_tree_by(ctx_, in.ring(), gather_windows(in.shape, node.window, batch, x, 0), window_size(node),
                         tensor_words(node, batch),
                         [&](std::span<const Word> d) { return peers::garbled_requantize(ctx_, garbling, spec, d); });
    case Op::kArgMax: {
      const auto k = static_cast<std::size_t>(in.shape.size());
      return argmax_by(ctx_, in.ring(), values_by_position(x, batch, k), k, batch,
                       [&](std::span<const Word> d) { return peers::garbled_sign(ctx_, garbling, in.ring(), d); });
    }
    default:
      throw internal_error(std::string("no garbled circuit for the step ") + op_name(node.op));
  }
}

Words PeerSteps::step(std::size_t index, std::span<const Word> x, std::uint64_t batch) {
  if (!peer_ && !garbling_) throw internal_error("a step before the session's setup");
  const Node& node = plan_.nodes[index];
  if (node.op == Op::kConv) return convolution(index, x, batch);
  if (garbling_) return garbled_step(node, x, batch);
  const TensorType& in = input_type(plan_, node);
  const Ring ring = in.ring();
  peers::PeerContext& ctx = *peer_;
  switch (node.op) {
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
