#include <algorithm>

#include "eqo/passes/rewrite.h"
#include "eqo/passes/steps.h"

namespace eqo::pass {

void share_extensions(Model& model, const PassContext&) {
  PublicPlan& plan = model.plan;
  const auto node = [&](int i) -> Node& { return plan.nodes[static_cast<std::size_t>(i)]; };
  for (int source = 0; source < static_cast<int>(plan.nodes.size()); ++source) {
    std::vector<int> extensions;
    for (int i = source + 1; i < static_cast<int>(plan.nodes.size()); ++i)
      if (node(i).op == Op::kExtend && node(i).inputs[0] == source) extensions.push_back(i);
    if (extensions.size() < 2) continue;
    const int widest = *std::ranges::max_element(extensions, {}, [&](int i) { return node(i).type.ring_bits; });
    // A new step before all of them, under the name of the widest, which goes.
    insert(model, source + 1, node(widest), model.secrets[static_cast<std::size_t>(widest)].scale);
    const int shared = source + 1;
    for (int i : extensions) {
      ++i;  // they moved
      if (node(i).type.ring_bits == node(shared).type.ring_bits) {
        replace_uses(plan, i, shared);
      } else {
        node(i).op = Op::kReduce;
        node(i).method = {};
        node(i).inputs = {shared};
      }
    }
    clean_up(model);
  }
}

}  // namespace eqo::pass
