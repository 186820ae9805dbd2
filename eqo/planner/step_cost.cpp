#include "eqo/core/error.h"
#include "eqo/model/local_ops.h"
#include "eqo/peers/convolution.h"
#include "eqo/planner/peer_step_cost.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/planner/step_params.h"
#include "eqo/protocols/argmax.h"
#include "eqo/protocols/convolution.h"
#include "eqo/protocols/extend.h"
#include "eqo/protocols/maximum.h"
#include "eqo/protocols/ot_product.h"
#include "eqo/protocols/prepared_convolution.h"
#include "eqo/protocols/relu.h"
#include "eqo/protocols/truncate.h"

namespace eqo {

void step_setup_protocol(CostMeter& meter, const PublicPlan& plan, const Node& node, const ExecOptions& options) {
  if (node.op != Op::kConv || !keys_products(options.framework) || node.method.homomorphic) return;
  ot_product_setup_cost(meter, product_spec(conv_spec(plan, node)));
}

std::vector<std::vector<std::size_t>> prepare_rounds(const PublicPlan& plan, const ExecOptions& options,
                                                     std::uint64_t batch) {
  std::vector<std::vector<std::size_t>> rounds;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const Node& node = plan.nodes[i];
    if (node.op != Op::kConv) continue;
    std::uint64_t bytes = 0;  // rows of OT products are used up as they come
    if (node.method.homomorphic)
      bytes = dry_run([&](CostMeter& m) { step_begin_protocol(m, plan, node, options, batch); }).total_bytes();
    if (rounds.empty() || sum + bytes > kPrepareRoundBytes) {
      rounds.emplace_back();
      sum = 0;
    }
    rounds.back().push_back(i);
    sum += bytes;
  }
  return rounds;
}

void step_begin_protocol(CostMeter& meter, const PublicPlan& plan, const Node& node, const ExecOptions& options,
                         std::uint64_t batch) {
  if (node.method.homomorphic) return he_convolution_begin_cost(meter, he_plan(plan, node, options), batch);
  ot_product_online_cost(meter, product_spec(conv_spec(plan, node)), batch);
}

void step_finish_protocol(CostMeter& meter, const PublicPlan& plan, const Node& node, const ExecOptions& options,
                          std::uint64_t batch) {
  if (node.method.homomorphic) he_convolution_finish_cost(meter, he_plan(plan, node, options), batch);
}

void step_online_protocol(CostMeter& meter, const PublicPlan& plan, const Node& node, const ExecOptions& options,
                          std::uint64_t batch, BatchKind kind) {
  if (is_peer(options.framework)) return peer_step_cost(meter, plan, node, options.framework, batch);
  if (node.op == Op::kInput || is_local(node.op)) return;
  const TensorType& in = input_type(plan, node);
  const std::uint64_t n = tensor_words(node, batch);
  const CompareOptions compare = compare_options(node, options);
  switch (node.op) {
    case Op::kConv:
      if (kind == BatchKind::kPrepared) return prepared_answer_cost(meter, conv_spec(plan, node), batch);
      if (node.method.homomorphic) return he_convolution_online_cost(meter, he_plan(plan, node, options), batch);
      if (!keys_products(options.framework))
        return peers::convolution_cost(meter, conv_spec(plan, node), peers::Choice::kWeights, batch);
      ot_product_online_cost(meter, product_spec(conv_spec(plan, node)), batch);
      return;
    case Op::kRelu:
      relu_cost(meter, in.ring(), n, compare);
      return;
    case Op::kTruncate:
      truncate_cost(meter, in.ring(), n, node.shift, knowledge_for(node, in), compare);
      return;
    case Op::kTruncateReduce:
      truncate_reduce_cost(meter, in.ring(), n, node.shift, compare, last_receiver(node));
      return;
    case Op::kExtend:
      extend_cost(meter, in.ring(), node.type.ring(), n, knowledge_for(node, in), compare, last_receiver(node));
      return;
    case Op::kRequantize:
      requantize_cost(meter, requantize_spec(node, in), n, compare);
      return;
    case Op::kMaxPool:
      max_tree_cost(meter, in.ring(), window_size(node), n, compare);
      return;
    case Op::kArgMax:
      argmax_cost(meter, in.ring(), static_cast<std::size_t>(in.shape.size()), batch, compare);
      return;
    default:
      throw internal_error(std::string("no cost for the step ") + op_name(node.op));
  }
}

}  // namespace eqo
