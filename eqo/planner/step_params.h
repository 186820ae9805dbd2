#pragma once
#include "eqo/model/graph.h"
#include "eqo/planner/exec_options.h"
#include "eqo/protocols/convolution.h"
#include "eqo/protocols/he_product.h"
#include "eqo/protocols/requantize.h"

namespace eqo {

// What planner and executor both derive from a validated plan's node.
inline const TensorType& input_type(const PublicPlan& plan, const Node& node, std::size_t which = 0) {
  return plan.nodes[static_cast<std::size_t>(node.inputs[which])].type;
}

inline ConvShape conv_shape(const PublicPlan& plan, const Node& node) {
  return ConvShape{.in = input_type(plan, node).shape,
                   .out_channels = node.type.shape.c,
                   .groups = node.groups,
                   .window = node.window,
                   .domain = node.domain};
}

inline ConvSpec conv_spec(const PublicPlan& plan, const Node& node) {
  return {conv_shape(plan, node), node.type.ring(), node.codes};
}

// Of a convolution whose method is homomorphic.
inline HeConvPlan he_plan(const PublicPlan& plan, const Node& node, const ExecOptions& exec) {
  return plan_he_convolution(conv_spec(plan, node), exec.he);
}

// Of all of them, in the steps' order; empty if there is none.
inline std::vector<HeParams> he_layers(const PublicPlan& plan, const ExecOptions& exec) {
  std::vector<HeParams> out;
  for (const Node& node : plan.nodes)
    if (node.method.homomorphic) out.push_back(he_plan(plan, node, exec).params);
  return out;
}

// How a step's comparisons are done: the node's method over the session's defaults.
inline CompareOptions compare_options(const Node& node, const ExecOptions& exec) {
  CompareOptions o = exec.compare;
  if (node.method.levels != 0) o.levels = node.method.levels;
  o.cot_sixteenths = (eqo::cot_sixteenths(exec.ot, Party::kServer) + eqo::cot_sixteenths(exec.ot, Party::kClient)) / 2;
  o.receiver = node.method.merged ? Party::kClient : Party::kServer;
  return o;
}

// What the step's protocol relies on.
inline Knowledge knowledge_for(const Node& node, const TensorType& in) {
  return node.method.use_interval ? knowledge_of(in.ring(), in.lo, in.hi) : Knowledge::kSigned;
}

// The receiver of a step's last COTs: its peer's last message travels with its next one.
inline Party last_receiver(const Node& node) { return node.method.merged ? Party::kServer : Party::kClient; }

inline RequantizeSpec requantize_spec(const Node& node, const TensorType& in) {
  RequantizeSpec spec{.from = in.ring(), .to = node.type.ring()};
  spec.shift = node.shift;
  spec.relu = node.relu;
  spec.knowledge = knowledge_for(node, in);
  spec.staged = node.method.staged;
  spec.last_receiver = last_receiver(node);
  return spec;
}

inline std::size_t window_size(const Node& node) {
  return static_cast<std::size_t>(node.window.kernel_h * node.window.kernel_w);
}

}  // namespace eqo
