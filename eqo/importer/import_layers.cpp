#include <onnx/onnx_pb.h>

#include <cmath>
#include <limits>
#include <string>

#include "eqo/core/error.h"
#include "eqo/importer/import_context.h"

namespace eqo {
namespace {

std::vector<float> floats(const ConstTensor& t, const char* what) {
  if (t.integer) throw model_error(std::string("its ") + what + " is not a float tensor");
  return t.f;
}

std::vector<float> channel_floats(const ConstTensor& t, std::int64_t channels, const char* what) {
  if (t.size() != channels) {
    throw model_error(std::string("its ") + what + " has " + std::to_string(t.size()) + " elements for " +
                      std::to_string(channels) + " channels");
  }
  return floats(t, what);
}

bool is_not_negative(const FloatNode& node) {
  return node.op == FloatOp::kRelu || (node.op == FloatOp::kClip && node.clip_lo >= 0);
}

Dims batched(const Shape& s) { return {1, s.c, s.h, s.w}; }

}  // namespace

void import_conv(NodeContext& c) {
  const int input = c.images(0, 4);
  const Shape in = c.builder().shape(input);
  const ConstTensor& weight = c.constant(1);
  if (weight.dims.size() != 4) throw model_error("only two-dimensional convolutions are supported");
  const Dims kernel{weight.dims[2], weight.dims[3]};
  if (c.attrs().has("kernel_shape") && c.attrs().get_ints("kernel_shape") != kernel) {
    throw model_error("its kernel_shape and its weights differ");
  }
  FloatNode node;
  node.op = FloatOp::kConv;
  node.inputs = {input};
  node.groups = c.attrs().get_int("group", 1);
  if (node.groups < 1 || in.c % node.groups != 0 || weight.dims[1] != in.c / node.groups) {
    throw model_error("weights for " + std::to_string(weight.dims[1]) + " channels a group don't fit " +
                      std::to_string(in.c) + " channels in " + std::to_string(node.groups) + " groups");
  }
  node.window = read_window(c, kernel, in);
  node.weight = floats(weight, "weight");
  if (c.has_input(2)) node.bias = channel_floats(c.constant(2), weight.dims[0], "bias");
  const int out = c.add(std::move(node));
  c.set_activation(out, batched(c.builder().shape(out)));
}

void import_batch_norm(NodeContext& c) {
  const ImportValue& x = c.activation(0);
  if (x.dims.size() < 2 || x.dims[0] != 1) throw model_error("needs a batch of 1");
  if (c.attrs().get_int("training_mode", 0) != 0) {
    throw model_error("is in training mode", "export the model in evaluation mode");
  }
  const std::int64_t channels = x.dims[1];
  FloatNode node;
  node.op = FloatOp::kBatchNorm;
  node.inputs = {x.node};
  node.scale = channel_floats(c.constant(1), channels, "scale");
  node.shift = channel_floats(c.constant(2), channels, "shift");
  node.mean = channel_floats(c.constant(3), channels, "mean");
  node.variance = channel_floats(c.constant(4), channels, "variance");
  node.epsilon = c.attrs().get_float("epsilon", 1e-5F);
  c.set_activation(c.add(std::move(node)), x.dims);
}

void import_gemm(NodeContext& c) {
  const int input = c.images(0, 2);
  const std::int64_t inputs = c.builder().shape(input).c;
  if (c.attrs().get_int("transA", 0) != 0) throw model_error("transA is not supported");
  const ConstTensor& b = c.constant(1);
  const bool transposed = c.attrs().get_int("transB", 0) != 0;
  if (b.dims.size() != 2 || b.dims[transposed ? 1 : 0] != inputs) {
    throw model_error("its weights don't fit its " + std::to_string(inputs) + " inputs");
  }
  const std::int64_t outputs = b.dims[transposed ? 0 : 1];
  const float alpha = c.attrs().get_float("alpha", 1);
  const float beta = c.attrs().get_float("beta", 1);
  FloatNode node;
  node.op = FloatOp::kLinear;
  node.inputs = {input};
  const std::vector<float> from = floats(b, "weight");
  node.weight.resize(from.size());
  for (std::int64_t k = 0; k < outputs; ++k) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      const std::int64_t source = transposed ? k * inputs + i : i * outputs + k;
      node.weight[static_cast<std::size_t>(k * inputs + i)] = alpha * from[static_cast<std::size_t>(source)];
    }
  }
  if (c.has_input(2)) {
    const ConstTensor& bias = c.constant(2);
    const Dims to{1, outputs};
    if (broadcast_dims(bias.dims, to) != to) throw model_error("its bias doesn't fit its outputs");
    const std::vector<float> values = floats(bias, "bias");
    for (std::int64_t k = 0; k < outputs; ++k) node.bias.push_back(beta * values[broadcast_index(bias.dims, to, k)]);
  }
  c.set_activation(c.add(std::move(node)), {1, outputs});
}

void import_matmul(NodeContext& c) {
  if (!c.is_constant(1))
    throw model_error("its second factor must be a constant", "products of two activations are not supported");
  const ImportValue& x = c.activation(0);
  const ConstTensor& b = c.constant(1);
  const std::int64_t inputs = x.dims.empty() ? 0 : x.dims.back();
  if (b.dims.size() != 2 || element_count(x.dims) != inputs || b.dims[0] != inputs) {
    throw model_error("only a vector times a matrix that fits it is supported");
  }
  int input = x.node;
  const Shape vector{inputs, 1, 1};
  if (c.builder().shape(input) != vector) {
    FloatNode flat;
    flat.op = FloatOp::kReshape;
    flat.inputs = {input};
    flat.shape = vector;
    input = c.add(std::move(flat), "/flat");
  }
  const std::int64_t outputs = b.dims[1];
  FloatNode node;
  node.op = FloatOp::kLinear;
  node.inputs = {input};
  const std::vector<float> from = floats(b, "weight");
  node.weight.resize(from.size());
  for (std::int64_t i = 0; i < inputs; ++i) {
    for (std::int64_t k = 0; k < outputs; ++k) {
      node.weight[static_cast<std::size_t>(k * inputs + i)] = from[static_cast<std::size_t>(i * outputs + k)];
    }
  }
  ImportValue out;
  out.kind = ImportValue::Kind::kActivation;
  out.node = c.add(std::move(node));
  out.dims = {outputs};
  Dims dims = x.dims;
  dims.back() = outputs;
  c.set_relabelled(out, dims);
}

void import_relu(NodeContext& c) {
  const ImportValue& x = c.activation(0);
  if (is_not_negative(c.builder().node(x.node))) return c.set_output(x);
  c.set_activation(c.add(FloatOp::kRelu, {x.node}), x.dims);
}

void import_clip(NodeContext& c) {
  const ImportValue& x = c.activation(0);
  constexpr float kMax = std::numeric_limits<float>::max();
  float bounds[2] = {-kMax, kMax};
  for (std::size_t i = 0; i < 2; ++i) {
    if (c.opset() < 11) {
      bounds[i] = c.attrs().get_float(i == 0 ? "min" : "max", bounds[i]);
    } else if (c.has_input(i + 1)) {
      const ConstTensor& t = c.constant(i + 1);
      if (t.size() != 1) throw model_error("its bounds must be scalars");
      bounds[i] = t.as_float(0);
    }
  }
  if (std::isnan(bounds[0]) || std::isnan(bounds[1])) throw model_error("a bound is NaN");
  const bool below = bounds[0] <= -kMax;
  const bool above = bounds[1] >= kMax;
  if (below && above) return c.set_output(x);
  // PyTorch writes ReLU6 as Relu and Clip(-inf, 6) at times: one clip of the Relu's own input.
  int input = x.node;
  const FloatNode& from = c.builder().node(x.node);
  if (from.op == FloatOp::kRelu && bounds[0] <= 0) {
    bounds[0] = 0;
    input = from.inputs[0];
  }
  if (bounds[0] != 0) {
    throw model_error("clips below " + std::to_string(bounds[0]) + "; only 0 is supported as the lower bound",
                      "use Relu or ReLU6");
  }
  if (above) return c.set_activation(c.add(FloatOp::kRelu, {input}), x.dims);
  FloatNode node;
  node.op = FloatOp::kClip;
  node.inputs = {input};
  node.clip_lo = bounds[0];
  node.clip_hi = bounds[1];
  c.set_activation(c.add(std::move(node)), x.dims);
}

}  // namespace eqo
