#pragma once
#include "eqo/model/graph.h"
#include "eqo/protocols/convolution.h"

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

inline std::size_t window_size(const Node& node) {
  return static_cast<std::size_t>(node.window.kernel_h * node.window.kernel_w);
}

}  // namespace eqo
