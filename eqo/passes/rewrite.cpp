#include "eqo/passes/rewrite.h"

#include <utility>

#include "eqo/model/types.h"

namespace eqo::pass {

std::vector<int> readers(const PublicPlan& plan) {
  std::vector<int> count(plan.nodes.size(), 0);
  ++count[static_cast<std::size_t>(plan.output)];
  for (std::size_t i = plan.nodes.size(); i-- > 0;)
    if (count[i] > 0)
      for (const int in : plan.nodes[i].inputs) ++count[static_cast<std::size_t>(in)];
  return count;
}

void insert(Model& model, int at, Node node, double scale) {
  PublicPlan& plan = model.plan;
  for (Node& other : plan.nodes)
    for (int& in : other.inputs)
      if (in >= at) ++in;
  if (plan.output >= at) ++plan.output;
  plan.nodes.insert(plan.nodes.begin() + at, std::move(node));
  model.secrets.insert(model.secrets.begin() + at, NodeSecrets{{}, {}, scale});
}

void replace_uses(PublicPlan& plan, int from, int to) {
  for (Node& node : plan.nodes)
    for (int& i : node.inputs)
      if (i == from) i = to;
  if (plan.output == from) plan.output = to;
}

void clean_up(Model& model) {
  PublicPlan& plan = model.plan;
  const std::size_t n = plan.nodes.size();
  const std::vector<int> read = readers(plan);
  std::vector<int> number(n, -1);
  std::vector<Node> nodes;
  std::vector<NodeSecrets> secrets;
  for (std::size_t i = 0; i < n; ++i) {
    if (read[i] == 0 && i != 0) continue;
    Node node = std::move(plan.nodes[i]);
    std::vector<TensorType> types;
    for (int& in : node.inputs) {
      in = number[static_cast<std::size_t>(in)];
      types.push_back(nodes[static_cast<std::size_t>(in)].type);
    }
    node.type = infer_type(node, types, plan.input_bits);
    number[i] = static_cast<int>(nodes.size());
    nodes.push_back(std::move(node));
    secrets.push_back(std::move(model.secrets[i]));
  }
  plan.output = number[static_cast<std::size_t>(plan.output)];
  plan.nodes = std::move(nodes);
  model.secrets = std::move(secrets);
}

}  // namespace eqo::pass
