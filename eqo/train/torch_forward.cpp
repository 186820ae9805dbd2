#include "eqo/train/torch_forward.h"

#include <ATen/ATen.h>

#include <array>
#include <cstddef>
#include <limits>

#include "eqo/core/error.h"
#include "eqo/train/quant_ops.h"
#include "eqo/train/tap_convolution.h"

namespace eqo {
namespace {

using at::Tensor;

constexpr double kRunningMomentum = 0.1;

Tensor run_node(const FloatGraph& graph, std::size_t i, const TorchNode& t, const std::vector<Tensor>& values,
                bool training) {
  const FloatNode& node = graph.nodes[i];
  const Window& w = node.window;
  const auto in = [&](std::size_t k) -> const Tensor& { return values[static_cast<std::size_t>(node.inputs[k])]; };
  const auto padded = [&](const Tensor& x, double value) {
    return at::constant_pad_nd(x, {w.pad_left, w.pad_right, w.pad_top, w.pad_bottom}, value);
  };
  const bool symmetric = w.pad_top == w.pad_bottom && w.pad_left == w.pad_right;
  const bool unpadded = symmetric && w.pad_top == 0 && w.pad_left == 0;
  const std::array<std::int64_t, 2> kernel{w.kernel_h, w.kernel_w}, stride{w.stride_h, w.stride_w},
      dilation{w.dilation_h, w.dilation_w}, none{0, 0};
  const std::int64_t batch = in(0).size(0);

  switch (node.op) {
    case FloatOp::kInput:
      throw internal_error("an input node that is not the first");
    case FloatOp::kConv:
      if (t.taps.defined() && t.taps_by_kernels) return tap_convolution(in(0), t.taps, t.bias, w);
      if (t.taps.defined()) return winograd_convolution(in(0), t.taps, t.bias, w);
      if (symmetric) {
        return at::conv2d(in(0), t.weight, t.bias, stride, {w.pad_top, w.pad_left}, dilation, node.groups);
      }
      return at::conv2d(padded(in(0), 0), t.weight, t.bias, stride, none, dilation, node.groups);
    case FloatOp::kBatchNorm:
      return at::batch_norm(in(0), t.weight, t.bias, t.mean, t.variance, training, kRunningMomentum,
                            static_cast<double>(node.epsilon), false);
    case FloatOp::kRelu: {
      if (!t.relu_in_place) return at::relu(in(0));
      Tensor x = in(0);
      return at::relu_(x);
    }
    case FloatOp::kClip:
      return at::clamp(in(0), static_cast<double>(node.clip_lo), static_cast<double>(node.clip_hi));
    case FloatOp::kMaxPool:
      return at::max_pool2d(unpadded ? in(0) : padded(in(0), -std::numeric_limits<double>::infinity()), kernel, stride,
                            none, dilation);
    case FloatOp::kAvgPool: {
      if (unpadded && node.shape.h == 1 && node.shape.w == 1 && w.kernel_h == in(0).size(2) &&
          w.kernel_w == in(0).size(3)) {
        return in(0).mean({2, 3}, true);
      }
      if (unpadded) return at::avg_pool2d(in(0), kernel, stride);
      const Tensor sums = at::avg_pool2d(padded(in(0), 0), kernel, stride);
      if (node.count_include_pad) return sums;
      const Tensor ones = at::ones({1, 1, in(0).size(2), in(0).size(3)}, in(0).options());
      return sums / at::avg_pool2d(padded(ones, 0), kernel, stride);
    }
    case FloatOp::kAdd:
      return in(0) + in(1);
    case FloatOp::kConcat: {
      std::vector<Tensor> parts;
      for (std::size_t k = 0; k < node.inputs.size(); ++k) parts.push_back(in(k));
      return at::cat(parts, 1);
    }
    case FloatOp::kLinear:
      return at::linear(in(0).reshape({batch, -1}), t.weight, t.bias).reshape({batch, node.shape.c, 1, 1});
    case FloatOp::kReshape:
      return in(0).reshape({batch, node.shape.c, node.shape.h, node.shape.w});
    case FloatOp::kPad:
      return at::constant_pad_nd(in(0),
                                 {node.pad_before[2], node.pad_after[2], node.pad_before[1], node.pad_after[1],
                                  node.pad_before[0], node.pad_after[0]},
                                 0)
          .contiguous(at::MemoryFormat::ChannelsLast);
    case FloatOp::kSlice: {
      Tensor x = in(0);
      const std::array<std::int64_t, 3> count{node.shape.c, node.shape.h, node.shape.w};
      for (std::size_t d = 0; d < 3; ++d) {
        const std::int64_t end = node.start[d] + (count[d] - 1) * node.step[d] + 1;
        if (node.start[d] == 0 && node.step[d] == 1 && end == x.size(static_cast<std::int64_t>(d) + 1)) continue;
        x = x.slice(static_cast<std::int64_t>(d) + 1, node.start[d], end, node.step[d]);
      }
      return x;
    }
  }
  throw internal_error("an unknown operator in the graph");
}

}  // namespace

at::Tensor torch_forward(const FloatGraph& graph, const std::vector<TorchNode>& nodes, const at::Tensor& images,
                         bool training) {
  std::vector<Tensor> values(graph.nodes.size());
  values[0] = images;
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) values[i] = run_node(graph, i, nodes[i], values, training);
  const Tensor& out = values[static_cast<std::size_t>(graph.output)];
  return out.reshape({images.size(0), graph.output_shape().size()});
}

}  // namespace eqo
