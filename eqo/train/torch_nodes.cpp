#include "eqo/train/torch_nodes.h"

#include <ATen/ATen.h>

#include "eqo/train/torch_util.h"

namespace eqo {
namespace {

using at::Tensor;

// G w G^T of weights [K][C][3][3].
Tensor winograd_taps(const Tensor& weight) {
  const Tensor g = from_values({1, 0, 0, 0.5F, 0.5F, 0.5F, 0.5F, -0.5F, 0.5F, 0, 0, 1}, {4, 3}, "transform");
  return at::einsum("pi,qj,kcij->pqkc", {g, g, weight}).reshape({16, -1}).contiguous();
}

bool suits_winograd(const FloatNode& n) {
  const Window& w = n.window;
  return n.op == FloatOp::kConv && n.groups == 1 && !n.bias.empty() && w.kernel_h == 3 && w.kernel_w == 3 &&
         w.stride_h == 1 && w.stride_w == 1 && w.dilation_h == 1 && w.dilation_w == 1;
}

}  // namespace

std::vector<TorchNode> torch_nodes(const FloatGraph& graph, bool winograd) {
  std::vector<TorchNode> nodes(graph.nodes.size());
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    const FloatNode& n = graph.nodes[i];
    const Shape& in = graph.nodes[static_cast<std::size_t>(n.inputs[0])].shape;
    if (n.op == FloatOp::kConv)
      nodes[i].weight =
          from_values(n.weight, {n.shape.c, in.c / n.groups, n.window.kernel_h, n.window.kernel_w}, n.name)
              .contiguous(at::MemoryFormat::ChannelsLast);
    if (n.op == FloatOp::kLinear) nodes[i].weight = from_values(n.weight, {n.shape.c, in.c}, n.name);
    if (!n.bias.empty()) nodes[i].bias = from_values(n.bias, {n.shape.c}, n.name);
    if (winograd && suits_winograd(n)) nodes[i].taps = winograd_taps(nodes[i].weight);
  }
  return nodes;
}

}  // namespace eqo
