#include "eqo/passes/rewrite.h"
#include "eqo/passes/steps.h"
#include "eqo/planner/step_params.h"

namespace eqo::pass {

void use_intervals(Model& model, const PassContext&) {
  PublicPlan& plan = model.plan;
  for (int i = 1; i < static_cast<int>(plan.nodes.size()); ++i) {
    Node& node = plan.nodes[static_cast<std::size_t>(i)];
    const TensorType& in = input_type(plan, node);
    if (node.op == Op::kRelu && in.non_negative()) {
      replace_uses(plan, i, node.inputs[0]);
    } else if (node.op == Op::kTruncate || node.op == Op::kExtend || node.op == Op::kRequantize) {
      if (node.op == Op::kRequantize && in.non_negative()) node.relu = false;
      node.method.use_interval = knowledge_of(in.ring(), in.lo, in.hi) != Knowledge::kSigned;
    }
  }
  clean_up(model);
}

}  // namespace eqo::pass
