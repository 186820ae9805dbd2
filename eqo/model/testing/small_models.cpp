#include "eqo/model/testing/small_models.h"

#include <algorithm>
#include <string>
#include <utility>

#include "eqo/model/types.h"

namespace eqo::testing {
namespace {

Model start(const Shape& shape, unsigned ring_bits, unsigned input_bits) {
  Model model;
  model.plan.name = "small";
  model.plan.input_scale = model.plan.output_scale = 1;
  model.plan.input_bits = input_bits;
  Node node;
  node.name = "image";
  node.type.shape = shape;
  node.type.ring_bits = ring_bits;
  node.type = infer_type(node, {}, input_bits);
  model.plan.nodes.push_back(node);
  model.secrets.push_back({{}, {}, 1});
  return model;
}

void add(Model& model, Node node, NodeSecrets secrets) {
  node.name = op_name(node.op);
  node.inputs = {static_cast<int>(model.plan.nodes.size()) - 1};
  node.type = infer_type(node, std::vector{model.plan.nodes.back().type});
  model.plan.output = static_cast<int>(model.plan.nodes.size());
  model.plan.nodes.push_back(std::move(node));
  secrets.scale = 1;
  model.secrets.push_back(std::move(secrets));
}

}  // namespace

Model dot_product(const std::vector<std::int64_t>& weights, std::int64_t bias, unsigned ring_bits,
                  unsigned input_bits) {
  Model model = start({static_cast<std::int64_t>(weights.size()), 1, 1}, ring_bits, input_bits);
  Node node;
  node.op = Op::kConv;
  node.type.shape.c = 1;
  node.codes = {WeightCode::twos_complement(8)};
  NodeSecrets secrets;
  for (const std::int64_t w : weights) secrets.weights.push_back(static_cast<std::uint8_t>(w));
  secrets.bias = {bias};
  add(model, node, secrets);
  return model;
}

Model scaled_sum(unsigned ring_bits, unsigned excess) {
  Model model = start({2, 1, 1}, ring_bits, 8);
  // Exponents and shifts end at 31: two products reach the wide rings.
  unsigned left = ring_bits - 9 + excess;
  std::int64_t channels = 1;
  do {
    const unsigned now = std::min(left, 50U);
    left -= now;
    Node node;
    node.op = Op::kConv;
    node.type.shape.c = channels;
    WeightCode code;
    code.exponents = {static_cast<std::uint8_t>(std::min(now, 30U))};
    code.signs = {1};
    code.shift = static_cast<std::uint8_t>(now - std::min(now, 30U));
    node.codes = {code};
    NodeSecrets secrets;
    secrets.weights.assign(static_cast<std::size_t>(model.plan.nodes.back().type.shape.c), 1);
    secrets.bias = {left == 0 && ring_bits > 60 ? -(std::int64_t{1} << 61) : 0};
    add(model, node, secrets);
    model.plan.nodes.back().name += std::to_string(model.plan.nodes.size());
    Node relu;
    relu.op = Op::kRelu;
    if (left != 0) {
      add(model, relu, {});
      model.plan.nodes.back().name += std::to_string(model.plan.nodes.size());
    }
  } while (left > 0);
  return model;
}

Model max_of_two(unsigned ring_bits) {
  Model model = start({1, 1, 2}, ring_bits, std::min(ring_bits, 16U));
  Node node;
  node.op = Op::kMaxPool;
  node.window.kernel_w = 2;
  add(model, node, {});
  return model;
}

Model arg_max(std::int64_t n, unsigned ring_bits) {
  Model model = start({n, 1, 1}, ring_bits, std::min(ring_bits, 16U));
  Node node;
  node.op = Op::kArgMax;
  add(model, node, {});
  return model;
}

}  // namespace eqo::testing
