#include "eqo/model/local_ops.h"
#include "eqo/passes/steps.h"

namespace eqo::pass {

void merge_messages(Model& model, const PassContext&) {
  for (Node& node : model.plan.nodes)
    if (node.op != Op::kInput && node.op != Op::kConv && !is_local(node.op)) node.method.merged = true;
}

}  // namespace eqo::pass
