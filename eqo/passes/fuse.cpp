#include <algorithm>

#include "eqo/passes/rewrite.h"
#include "eqo/passes/steps.h"

namespace eqo::pass {
namespace {

bool changes_ring(const Node& node) { return node.op == Op::kExtend || node.op == Op::kReduce; }

// The chain that ends in node `last`: ReLU, shift, change of ring, each at most once and in this order. Inner steps
// have one reader each.
struct Chain {
  int first_input = -1;
  unsigned length = 0, shift = 0, activation_bits = 0;
  bool relu = false;
};

Chain chain_of(const PublicPlan& plan, const std::vector<int>& read, int last) {
  Chain c;
  const auto node = [&](int i) -> const Node& { return plan.nodes[static_cast<std::size_t>(i)]; };
  int at = last;
  const auto take = [&](bool fits) {
    if (!fits || (c.length > 0 && read[static_cast<std::size_t>(at)] != 1)) return false;
    ++c.length;
    c.activation_bits = std::max(c.activation_bits, node(at).activation_bits);
    c.first_input = node(at).inputs[0];
    return true;
  };
  const auto step_down = [&] { at = node(at).inputs[0]; };
  if (take(changes_ring(node(at)))) step_down();
  if (take(node(at).op == Op::kTruncateReduce)) {
    c.shift = node(at).shift;
    step_down();
  }
  if (take(node(at).op == Op::kRelu)) c.relu = true;
  return c;
}

}  // namespace

// From the end, so that the longest chain is found first. A shift or a change of ring alone costs the same either way.
void fuse(Model& model, const PassContext&) {
  PublicPlan& plan = model.plan;
  std::vector<int> read = readers(plan);
  for (int i = static_cast<int>(plan.nodes.size()) - 1; i > 0; --i) {
    if (read[static_cast<std::size_t>(i)] == 0) continue;
    const Chain chain = chain_of(plan, read, i);
    if (chain.length < 2) continue;
    Node& node = plan.nodes[static_cast<std::size_t>(i)];
    node.op = Op::kRequantize;
    node.inputs = {chain.first_input};
    node.relu = chain.relu;
    node.shift = chain.shift;
    node.activation_bits = chain.activation_bits;
    node.method = {};
    read = readers(plan);
  }
  clean_up(model);
}

}  // namespace eqo::pass
