#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string>

#include "eqo/core/error.h"
#include "eqo/importer/passes.h"

namespace eqo {

const char* float_op_name(FloatOp op) {
  switch (op) {
    case FloatOp::kInput:
      return "Input";
    case FloatOp::kConv:
      return "Conv";
    case FloatOp::kBatchNorm:
      return "BatchNorm";
    case FloatOp::kRelu:
      return "Relu";
    case FloatOp::kClip:
      return "Clip";
    case FloatOp::kMaxPool:
      return "MaxPool";
    case FloatOp::kAvgPool:
      return "AvgPool";
    case FloatOp::kAdd:
      return "Add";
    case FloatOp::kConcat:
      return "Concat";
    case FloatOp::kLinear:
      return "Linear";
    case FloatOp::kReshape:
      return "Reshape";
    case FloatOp::kPad:
      return "Pad";
    case FloatOp::kSlice:
      return "Slice";
  }
  return "unknown";
}

namespace {

constexpr std::int64_t kMaxKernel = 4096;                   // rows or columns of a convolution's kernel
constexpr std::int64_t kMaxFilter = std::int64_t{1} << 22;  // weights of one filter

[[noreturn]] void fail(const FloatNode& node, const std::string& what) {
  throw model_error(std::string(float_op_name(node.op)) + " '" + node.name + "': " + what);
}

bool in_range(std::int64_t value, std::int64_t lo, std::int64_t hi) { return value >= lo && value <= hi; }

void check_shape(const FloatNode& node, const Shape& s) {
  for (const std::int64_t d : {s.c, s.h, s.w}) {
    if (!in_range(d, 1, kMaxGraphDimension)) fail(node, "dimension " + std::to_string(d) + " is out of range");
  }
  if (s.c * s.h > kMaxActivation || s.c * s.h * s.w > kMaxActivation) {
    fail(node, "shape " + s.to_string() + " is larger than " + std::to_string(kMaxActivation) + " elements");
  }
}

void check_axis(const FloatNode& node, std::int64_t size, std::int64_t kernel, std::int64_t stride,
                std::int64_t dilation, std::int64_t before, std::int64_t after) {
  for (const std::int64_t v : {kernel, stride, dilation}) {
    if (!in_range(v, 1, kMaxGraphDimension))
      fail(node, "kernel, stride or dilation " + std::to_string(v) + " is out of range");
  }
  for (const std::int64_t v : {before, after}) {
    if (!in_range(v, 0, kMaxGraphDimension)) fail(node, "padding " + std::to_string(v) + " is out of range");
  }
  if (dilation * (kernel - 1) + 1 > size + before + after) {
    fail(node, "a window of " + std::to_string(dilation * (kernel - 1) + 1) + " doesn't fit into " +
                   std::to_string(size + before + after) + " padded elements");
  }
}

// A pooling window that sees only padding has no maximum and no mean.
void check_pool_axis(const FloatNode& node, std::int64_t size, std::int64_t kernel, std::int64_t stride,
                     std::int64_t dilation, std::int64_t before, std::int64_t outputs) {
  for (std::int64_t o = 0; o < outputs; ++o) {
    const std::int64_t first = o * stride - before;
    // The smallest tap at or after 0, if the window starts before it.
    const std::int64_t tap = first >= 0 ? 0 : (-first + dilation - 1) / dilation;
    if (tap >= kernel || first + tap * dilation >= size) fail(node, "a pooling window lies wholly in the padding");
  }
}

Shape window_shape(const FloatNode& node, const Shape& in, std::int64_t channels, bool pool) {
  const Window& w = node.window;
  check_axis(node, in.h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom);
  check_axis(node, in.w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right);
  check_shape(node, {in.c, in.h + w.pad_top + w.pad_bottom, in.w + w.pad_left + w.pad_right});
  const Shape out{channels, w.out_h(in.h), w.out_w(in.w)};
  check_shape(node, out);
  if (pool) {
    check_pool_axis(node, in.h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, out.h);
    check_pool_axis(node, in.w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, out.w);
  }
  return out;
}

void check_bias(const FloatNode& node, std::int64_t channels) {
  if (!node.bias.empty() && static_cast<std::int64_t>(node.bias.size()) != channels) {
    fail(node, "has " + std::to_string(node.bias.size()) + " biases for " + std::to_string(channels) + " channels");
  }
}

Shape conv_shape(const FloatNode& node, const Shape& in) {
  if (!in_range(node.groups, 1, in.c) || in.c % node.groups != 0) {
    fail(node, std::to_string(in.c) + " channels can't be split into " + std::to_string(node.groups) + " groups");
  }
  const Window& w = node.window;
  if (!in_range(w.kernel_h, 1, kMaxKernel) || !in_range(w.kernel_w, 1, kMaxKernel))
    fail(node, "the kernel's size is out of range");
  const std::int64_t per_filter = in.c / node.groups * w.kernel_h * w.kernel_w;
  if (per_filter > kMaxFilter) fail(node, "a filter of " + std::to_string(per_filter) + " weights is too large");
  const auto size = static_cast<std::int64_t>(node.weight.size());
  if (size == 0 || size % per_filter != 0) {
    fail(node, "has " + std::to_string(size) + " weights, not a multiple of " + std::to_string(per_filter) +
                   " (one filter over " + in.to_string() + ")");
  }
  const std::int64_t filters = size / per_filter;
  if (filters % node.groups != 0) {
    fail(node, std::to_string(filters) + " filters can't be split into " + std::to_string(node.groups) + " groups");
  }
  check_bias(node, filters);
  return window_shape(node, in, filters, false);
}

Shape linear_shape(const FloatNode& node, const Shape& in) {
  if (in.h != 1 || in.w != 1) fail(node, "needs a vector, got " + in.to_string());
  const auto size = static_cast<std::int64_t>(node.weight.size());
  if (size == 0 || size % in.c != 0) {
    fail(node, "has " + std::to_string(size) + " weights, not a multiple of its " + std::to_string(in.c) + " inputs");
  }
  check_bias(node, size / in.c);
  const Shape out{size / in.c, 1, 1};
  check_shape(node, out);
  return out;
}

Shape concat_shape(const FloatNode& node, std::span<const Shape> inputs) {
  Shape out = inputs.front();
  for (const Shape& s : inputs.subspan(1)) {
    if (s.h != out.h || s.w != out.w) fail(node, "inputs of different size: " + out.to_string() + ", " + s.to_string());
    out.c += s.c;
    check_shape(node, out);
  }
  return out;
}

Shape batch_norm_shape(const FloatNode& node, const Shape& in) {
  for (const auto* v : {&node.scale, &node.shift, &node.mean, &node.variance}) {
    if (static_cast<std::int64_t>(v->size()) != in.c) {
      fail(node,
           "has parameters for " + std::to_string(v->size()) + " channels, its input has " + std::to_string(in.c));
    }
  }
  if (!(node.epsilon >= 0 && node.epsilon <= 1)) fail(node, "epsilon must be in [0, 1]");
  return in;
}

Shape pad_shape(const FloatNode& node, const Shape& in) {
  for (const auto& pads : {node.pad_before, node.pad_after}) {
    for (const std::int64_t p : pads) {
      if (!in_range(p, 0, kMaxGraphDimension)) fail(node, "padding " + std::to_string(p) + " is out of range");
    }
  }
  const Shape out{in.c + node.pad_before[0] + node.pad_after[0], in.h + node.pad_before[1] + node.pad_after[1],
                  in.w + node.pad_before[2] + node.pad_after[2]};
  check_shape(node, out);
  return out;
}

Shape slice_shape(const FloatNode& node, const Shape& in) {
  const std::array<std::int64_t, 3> from{in.c, in.h, in.w};
  const std::array<std::int64_t, 3> to{node.shape.c, node.shape.h, node.shape.w};
  check_shape(node, node.shape);
  for (std::size_t i = 0; i < 3; ++i) {
    if (!in_range(node.start[i], 0, from[i] - 1) || !in_range(node.step[i], 1, kMaxGraphDimension) ||
        node.start[i] + (to[i] - 1) * node.step[i] >= from[i]) {
      fail(node, "takes elements outside of " + in.to_string());
    }
  }
  return node.shape;
}

}  // namespace

Shape infer_shape(const FloatNode& node, std::span<const Shape> inputs) {
  std::size_t low = 1;
  std::size_t high = 1;
  if (node.op == FloatOp::kInput) low = high = 0;
  if (node.op == FloatOp::kAdd) low = high = 2;
  if (node.op == FloatOp::kConcat) high = std::numeric_limits<std::size_t>::max();
  if (inputs.size() < low || inputs.size() > high) fail(node, "has " + std::to_string(inputs.size()) + " inputs");
  switch (node.op) {
    case FloatOp::kInput:
      check_shape(node, node.shape);
      return node.shape;
    case FloatOp::kConv:
      return conv_shape(node, inputs[0]);
    case FloatOp::kBatchNorm:
      return batch_norm_shape(node, inputs[0]);
    case FloatOp::kRelu:
      return inputs[0];
    case FloatOp::kClip:
      if (!(node.clip_lo < node.clip_hi)) fail(node, "the lower bound isn't below the upper one");
      return inputs[0];
    case FloatOp::kMaxPool:
    case FloatOp::kAvgPool:
      return window_shape(node, inputs[0], inputs[0].c, true);
    case FloatOp::kAdd:
      if (inputs[0] != inputs[1]) {
        fail(node, "inputs of different shape: " + inputs[0].to_string() + ", " + inputs[1].to_string());
      }
      return inputs[0];
    case FloatOp::kConcat:
      return concat_shape(node, inputs);
    case FloatOp::kLinear:
      return linear_shape(node, inputs[0]);
    case FloatOp::kReshape:
      check_shape(node, node.shape);
      if (node.shape.size() != inputs[0].size()) {
        fail(node, "can't make " + node.shape.to_string() + " of " + inputs[0].to_string());
      }
      return node.shape;
    case FloatOp::kPad:
      return pad_shape(node, inputs[0]);
    case FloatOp::kSlice:
      return slice_shape(node, inputs[0]);
  }
  fail(node, "is an unknown operator");
}

}  // namespace eqo
