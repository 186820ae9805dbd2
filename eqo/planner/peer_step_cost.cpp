#include "eqo/planner/peer_step_cost.h"

#include <string>

#include "eqo/core/error.h"
#include "eqo/model/local_ops.h"
#include "eqo/ot/kkot.h"
#include "eqo/peers/extend.h"
#include "eqo/peers/garbled_steps.h"
#include "eqo/peers/relu.h"
#include "eqo/peers/truncate.h"
#include "eqo/planner/peer_params.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/protocols/argmax.h"
#include "eqo/protocols/maximum.h"

namespace eqo {
namespace {

[[noreturn]] void refuse(const Node& node, Framework framework) {
  throw model_error("the step '" + node.name + "' (" + op_name(node.op) + ") is not one of " +
                    std::string(framework_name(framework)) + "'s");
}

// What runtime/peer_steps.cpp does by garbled circuits.
void garbled_step_cost(CostMeter& meter, const PublicPlan& plan, const Node& node, std::uint64_t batch) {
  const TensorType& in = input_type(plan, node);
  const RequantizeSpec spec = garbled_spec(node, in);
  const std::uint64_t n = tensor_words(node, batch);
  switch (node.op) {
    case Op::kRelu:
    case Op::kTruncate:
    case Op::kTruncateReduce:
    case Op::kExtend:
    case Op::kRequantize:
      peers::garbled_requantize_cost(meter, spec, n);
      return;
    case Op::kMaxPool:
      max_tree_by_cost(window_size(node), n, [&](std::uint64_t m) { peers::garbled_requantize_cost(meter, spec, m); });
      return;
    case Op::kArgMax:
      argmax_by_cost(meter, in.ring(), static_cast<std::size_t>(in.shape.size()), batch,
                     [&](std::uint64_t m) { peers::garbled_sign_cost(meter, in.ring(), m); });
      return;
    default:
      refuse(node, Framework::kCoinn);
  }
}

// Of a factored product: membership bits, the clusters' sums and their products.
std::uint64_t factored_memory(const ConvSpec& spec, std::uint64_t batch) {
  const ProductShape p = product_spec(spec).shape;
  const std::uint64_t clusters = std::uint64_t{1} << spec.formats.front().bits();
  return p.count * p.rows * clusters * (sizeof(std::uint16_t) * p.inner + 4 * sizeof(Word) * p.cols * batch);
}

}  // namespace

void peer_session_cost(CostMeter& meter, Framework framework) {
  if (framework == Framework::kCoinn) return peers::garbling_setup_cost(meter);
  kkot_setup_cost(meter);
}

void peer_step_cost(CostMeter& meter, const PublicPlan& plan, const Node& node, Framework framework,
                    std::uint64_t batch) {
  if (node.op == Op::kInput || is_local(node.op)) return;
  const TensorType& in = input_type(plan, node);
  const std::uint64_t n = tensor_words(node, batch);
  if (node.op == Op::kConv) {
    const ConvSpec spec = conv_spec(plan, node);
    if (is_factored(framework, spec)) return peers::factored_convolution_cost(meter, spec, batch);
    return peers::convolution_cost(meter, spec, product_choice(framework, spec), batch);
  }
  if (framework == Framework::kCoinn) return garbled_step_cost(meter, plan, node, batch);
  switch (node.op) {
    case Op::kRelu:
      peers::relu_cost(meter, in.ring(), n);
      return;
    case Op::kTruncate:
      peers::truncate_cost(meter, in.ring(), n, node.shift, peer_knowledge(in));
      return;
    case Op::kTruncateReduce:
      peers::truncate_reduce_cost(meter, in.ring(), n, node.shift);
      return;
    case Op::kExtend:
      peers::extend_cost(meter, in.ring(), node.type.ring(), n, peer_knowledge(in));
      return;
    case Op::kMaxPool:
      max_tree_by_cost(window_size(node), n, [&](std::uint64_t m) { peers::relu_cost(meter, in.ring(), m); });
      return;
    case Op::kArgMax:
      argmax_by_cost(meter, in.ring(), static_cast<std::size_t>(in.shape.size()), batch,
                     [&](std::uint64_t m) { peers::drelu_cost(meter, in.ring(), m); });
      return;
    default:
      refuse(node, framework);
  }
}

std::uint64_t peer_step_memory(const PublicPlan& plan, const Node& node, Framework framework, std::uint64_t batch) {
  if (node.op == Op::kInput || is_local(node.op)) return 0;
  const Cost cost = dry_run([&](CostMeter& m) { peer_step_cost(m, plan, node, framework, batch); });
  const std::uint64_t corrections = cost.cots[0] + cost.cots[1];  // a byte each
  if (node.op == Op::kConv) {
    const ConvSpec spec = conv_spec(plan, node);
    return (product_choice(framework, spec) == peers::Choice::kWeights ? 17 : 1) * corrections +
           (is_factored(framework, spec) ? factored_memory(spec, batch) : 0);
  }
  if (framework == Framework::kCoinn) {
    constexpr std::uint64_t kThreads = 4;
    const std::uint64_t colors = 2 * std::uint64_t{node.type.ring_bits} * tensor_words(node, batch);
    return 2 * corrections + colors + kThreads * peers::garbled_memory(garbled_spec(node, input_type(plan, node)));
  }
  // Of a comparison: tables, leaves and triples, about 20 bytes for each digit of four bits.
  return corrections + 5 * input_type(plan, node).ring_bits * tensor_words(node, batch);
}

}  // namespace eqo
