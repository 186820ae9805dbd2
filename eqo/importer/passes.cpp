#include "eqo/importer/passes.h"

#include <cmath>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "eqo/core/error.h"

namespace eqo {
namespace {

std::size_t idx(int i) { return static_cast<std::size_t>(i); }

std::string label(const FloatNode& node) { return std::string(float_op_name(node.op)) + " '" + node.name + "'"; }

std::vector<Shape> input_shapes(const FloatGraph& graph, std::size_t n) {
  std::vector<Shape> shapes;
  for (const int i : graph.nodes[n].inputs) {
    if (i < 0 || idx(i) >= n) throw model_error(label(graph.nodes[n]) + ": its input isn't an earlier node");
    shapes.push_back(graph.nodes[idx(i)].shape);
  }
  return shapes;
}

void check_structure(const FloatGraph& graph) {
  if (graph.nodes.empty() || graph.nodes[0].op != FloatOp::kInput) throw model_error("the graph has no input node");
  if (graph.nodes.size() > kMaxGraphNodes)
    throw model_error("the graph has more than " + std::to_string(kMaxGraphNodes) + " nodes");
  if (graph.output < 0 || idx(graph.output) >= graph.nodes.size()) throw model_error("the graph has no output node");
  std::unordered_set<std::string> names;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const FloatNode& node = graph.nodes[n];
    if (node.name.empty()) throw model_error("node " + std::to_string(n) + " has no name");
    if (!names.insert(node.name).second) throw model_error("two nodes are called '" + node.name + "'");
    if (n > 0 && node.op == FloatOp::kInput) throw model_error(label(node) + ": a graph has one input only");
  }
}

// y = x * gain + offset per channel.
struct Affine {
  std::vector<double> gain, offset;
};

Affine affine_of(const FloatNode& bn) {
  Affine a;
  for (std::size_t c = 0; c < bn.scale.size(); ++c) {
    const double gain = bn.scale[c] / std::sqrt(static_cast<double>(bn.variance[c]) + bn.epsilon);
    a.gain.push_back(gain);
    a.offset.push_back(bn.shift[c] - gain * bn.mean[c]);
  }
  return a;
}

void fold_into(FloatNode& node, const Affine& a) {
  const std::size_t filters = a.gain.size();
  if (node.op == FloatOp::kBatchNorm) {
    for (std::size_t c = 0; c < filters; ++c) {
      node.scale[c] = static_cast<float>(node.scale[c] * a.gain[c]);
      node.shift[c] = static_cast<float>(node.shift[c] * a.gain[c] + a.offset[c]);
    }
    return;
  }
  const std::size_t per_filter = node.weight.size() / filters;
  node.bias.resize(filters, 0.0F);
  for (std::size_t k = 0; k < filters; ++k) {
    for (std::size_t i = 0; i < per_filter; ++i) {
      float& w = node.weight[k * per_filter + i];
      w = static_cast<float>(w * a.gain[k]);
    }
    node.bias[k] = static_cast<float>(node.bias[k] * a.gain[k] + a.offset[k]);
  }
}

FloatNode depthwise_of(const FloatNode& bn, const Affine& a) {
  FloatNode node;
  node.op = FloatOp::kConv;
  node.name = bn.name;
  node.inputs = bn.inputs;
  node.shape = bn.shape;
  node.groups = bn.shape.c;
  for (std::size_t c = 0; c < a.gain.size(); ++c) {
    node.weight.push_back(static_cast<float>(a.gain[c]));
    node.bias.push_back(static_cast<float>(a.offset[c]));
  }
  return node;
}

// Drops the nodes without keep[n]; redirect[n] is the node that stands for n.
FloatGraph compact(FloatGraph graph, const std::vector<bool>& keep, const std::vector<int>& redirect) {
  std::vector<int> place(graph.nodes.size(), -1);
  std::vector<FloatNode> nodes;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!keep[n]) continue;
    place[n] = static_cast<int>(nodes.size());
    nodes.push_back(std::move(graph.nodes[n]));
    for (int& i : nodes.back().inputs) i = place[idx(redirect[idx(i)])];
  }
  graph.output = place[idx(redirect[idx(graph.output)])];
  graph.nodes = std::move(nodes);
  return graph;
}

std::vector<int> identity(std::size_t n) {
  std::vector<int> v(n);
  for (std::size_t i = 0; i < n; ++i) v[i] = static_cast<int>(i);
  return v;
}

}  // namespace

void check_parameters(const FloatNode& node) {
  const std::pair<const char*, const std::vector<float>*> all[] = {
      {"weight", &node.weight}, {"bias", &node.bias}, {"scale", &node.scale},
      {"shift", &node.shift},   {"mean", &node.mean}, {"variance", &node.variance}};
  for (const auto& [what, values] : all) {
    for (std::size_t i = 0; i < values->size(); ++i) {
      if (!std::isfinite((*values)[i])) {
        throw model_error(label(node) + ": " + what + " " + std::to_string(i) + " is not a finite number",
                          "retrain or repair the model: a NaN or Inf weight makes every answer meaningless");
      }
    }
  }
  for (const float v : node.variance) {
    if (v < 0 || v + node.epsilon <= 0) throw model_error(label(node) + ": a variance isn't positive");
  }
  if (std::isnan(node.clip_lo) || std::isnan(node.clip_hi)) throw model_error(label(node) + ": a clip bound is NaN");
}

void infer_shapes(FloatGraph& graph) {
  check_structure(graph);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    graph.nodes[n].shape = infer_shape(graph.nodes[n], input_shapes(graph, n));
  }
  validate(graph);
}

void validate(const FloatGraph& graph) {
  check_structure(graph);
  std::int64_t activations = 0;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const FloatNode& node = graph.nodes[n];
    const Shape shape = infer_shape(node, input_shapes(graph, n));
    if (node.shape != shape) {
      throw model_error(label(node) + ": its shape should be " + shape.to_string() + ", is " + node.shape.to_string());
    }
    activations += shape.size();
    if (activations > kMaxTotalActivation) {
      throw model_error(label(node) + ": the activations of one image take more than " +
                        std::to_string(kMaxTotalActivation) + " elements");
    }
    check_parameters(node);
  }
  if (count_parameters(graph) > kMaxWeights) throw model_error("the model has too many weights");
}

FloatGraph fold_batch_norm(FloatGraph graph) {
  const std::vector<bool> all(graph.nodes.size(), true);
  return fold_batch_norm(std::move(graph), all);
}

FloatGraph fold_batch_norm(FloatGraph graph, const std::vector<bool>& which) {
  infer_shapes(graph);
  if (which.size() != graph.nodes.size()) throw internal_error("fold_batch_norm: one flag per node is needed");
  const std::size_t count = graph.nodes.size();
  std::vector<int> consumers(count, 0);
  for (const FloatNode& node : graph.nodes) {
    for (const int i : node.inputs) ++consumers[idx(i)];
  }
  ++consumers[idx(graph.output)];

  std::vector<bool> keep(count, true);
  std::vector<int> redirect = identity(count);
  for (std::size_t n = 0; n < count; ++n) {
    FloatNode& node = graph.nodes[n];
    if (node.op != FloatOp::kBatchNorm || !which[n]) continue;
    const Affine affine = affine_of(node);
    const std::size_t source = idx(redirect[idx(node.inputs[0])]);
    FloatNode& from = graph.nodes[source];
    const bool linear = from.op == FloatOp::kConv || from.op == FloatOp::kLinear || from.op == FloatOp::kBatchNorm;
    // A chain of batch norms folds too: `source` then stands for the one before.
    if (linear && consumers[idx(node.inputs[0])] == 1 && (consumers[source] == 1 || idx(node.inputs[0]) != source)) {
      fold_into(from, affine);
      keep[n] = false;
      redirect[n] = static_cast<int>(source);
    } else {
      node = depthwise_of(node, affine);
    }
  }
  graph = compact(std::move(graph), keep, redirect);
  validate(graph);
  return graph;
}

FloatGraph remove_dead_nodes(FloatGraph graph) {
  check_structure(graph);
  std::vector<bool> live(graph.nodes.size(), false);
  live[0] = true;
  live[idx(graph.output)] = true;
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    input_shapes(graph, n);
    if (!live[n]) continue;
    for (const int i : graph.nodes[n].inputs) live[idx(i)] = true;
  }
  const std::vector<int> redirect = identity(graph.nodes.size());
  return compact(std::move(graph), live, redirect);
}

std::int64_t count_macs(const FloatGraph& graph) {
  std::int64_t macs = 0;
  for (const FloatNode& node : graph.nodes) {
    if (node.op != FloatOp::kConv && node.op != FloatOp::kLinear) continue;
    macs += static_cast<std::int64_t>(node.weight.size()) * node.shape.h * node.shape.w;
  }
  return macs;
}

std::int64_t count_relus(const FloatGraph& graph) {
  std::int64_t relus = 0;
  for (const FloatNode& node : graph.nodes) {
    if (node.op == FloatOp::kRelu || node.op == FloatOp::kClip) relus += node.shape.size();
  }
  return relus;
}

std::int64_t count_parameters(const FloatGraph& graph) {
  std::int64_t count = 0;
  for (const FloatNode& node : graph.nodes) {
    count += static_cast<std::int64_t>(node.weight.size() + node.bias.size() + node.scale.size() + node.shift.size());
  }
  return count;
}

}  // namespace eqo
