#include "eqo/train/quant_program.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "eqo/core/error.h"

namespace eqo {
namespace {

using at::Tensor;

constexpr std::int64_t kMostExact = std::int64_t{1} << 22;  // of a value, so that no sum on the way to it reaches 2^24

std::size_t at_(int i) { return static_cast<std::size_t>(i); }

// 2^n > |v| for all of a range, as signed numbers of n + 1 bits.
float range_limit(std::int64_t lo, std::int64_t hi) {
  std::int64_t limit = 1;
  while (lo < -limit || hi >= limit) limit *= 2;
  return static_cast<float>(limit);
}

// With the points halfway between.
std::vector<float> halved(const std::vector<float>& levels) {
  std::vector<float> out{levels.front()};
  for (std::size_t i = 1; i < levels.size(); ++i) {
    out.push_back((levels[i - 1] + levels[i]) / 2);
    out.push_back(levels[i]);
  }
  return out;
}

}  // namespace

DraftBias draft_bias(const quant::TuneProblem& problem, const quant::TuneLayer& layer) {
  const NodeSecrets& secrets = problem.nodes[at_(layer.draft_node)].secrets;
  return {secrets.bias, secrets.scale};
}

QuantProgram::QuantProgram(const quant::TuneProblem& problem) : output_(problem.output) {
  for (const quant::DraftNode& d : problem.nodes) {
    Step step;
    step.node = d.node;
    if (d.lo <= -kMostExact || d.hi >= kMostExact)
      throw model_error("the values of '" + d.node.name + "' need more than 22 bits, too many to train them exactly",
                        "quantize with fewer bits");
    if (d.node.op == Op::kSlice && *std::min_element(d.node.step.begin(), d.node.step.end()) < 1)
      throw model_error(d.node.name + ": a slice with a negative step cannot be trained", "slice forwards");
    steps_.push_back(std::move(step));
  }
  for (const quant::TuneLayer& l : problem.layers) {
    Layer layer{static_cast<std::int64_t>(l.in_group),
                static_cast<std::int64_t>(l.out_group),
                l.step,
                draft_bias(problem, l).scale,
                {},
                {}};
    for (const std::vector<std::int64_t>& tap : l.levels) layer.levels[0].emplace_back(tap.begin(), tap.end());
    for (std::size_t h = 1; h < layer.levels.size(); ++h)
      for (const std::vector<float>& tap : layer.levels[h - 1]) layer.levels[h].push_back(halved(tap));
    const Node& conv = problem.nodes[at_(l.draft_node)].node;
    const Shape& in = problem.nodes[at_(conv.inputs[0])].node.type.shape;
    if (conv.domain == ConvDomain::kDirect)
      layer.kernel = {conv.type.shape.c, in.c / conv.groups, conv.window.kernel_h, conv.window.kernel_w};
    steps_[at_(l.draft_node)].layer = static_cast<int>(layers_.size());
    layers_.push_back(std::move(layer));
  }

  std::vector<int> readers(steps_.size(), 0);
  readers[at_(output_)] = 1;
  for (std::size_t i = steps_.size(); i-- > 0;)
    if (readers[i] > 0)
      for (const int in : steps_[i].node.inputs) ++readers[at_(in)];
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    steps_[i].used = readers[i] > 0;
    if (steps_[i].used) plan_requantization(problem, i, readers);
  }
}

void QuantProgram::plan_requantization(const quant::TuneProblem& problem, std::size_t i,
                                       const std::vector<int>& readers) {
  Step& step = steps_[i];
  const Op op = step.node.op;
  if (op != Op::kAddConstant && op != Op::kRelu && op != Op::kTruncateReduce) return;
  const int in = step.node.inputs[0];
  const quant::DraftNode& from = problem.nodes[at_(in)];
  step.source = in;
  step.requantization.limit = range_limit(from.lo, from.hi);
  Step& before = steps_[at_(in)];
  const bool chained = before.source >= 0 && readers[at_(in)] == 1 && before.requantization.shift == 0 &&
                       op != Op::kAddConstant && (op == Op::kTruncateReduce || !before.requantization.relu);
  if (chained) {
    const float limit = before.requantization.relu ? before.requantization.limit : step.requantization.limit;
    step.source = before.source;
    step.requantization = before.requantization;
    step.requantization.limit = limit;
    before.used = false;
  }
  if (op == Op::kAddConstant) {
    if (std::abs(step.node.constant) >= kMostExact)
      throw model_error("the constant of '" + step.node.name + "' is too large to train with", "use fewer bits");
    step.requantization.constant = static_cast<float>(step.node.constant);
    const quant::DraftNode& sum = problem.nodes[i];
    step.requantization.limit = range_limit(sum.lo, sum.hi);
  }
  if (op == Op::kRelu) step.requantization.relu = true;
  if (op == Op::kTruncateReduce) step.requantization.shift = step.node.shift;
}

Tensor QuantProgram::weights(const Layer& l, const QuantParameters& p, std::size_t i, unsigned halvings) const {
  const Tensor factor = (p.log_factor.select(0, l.in_group) - p.log_factor.select(0, l.out_group)).exp();
  return round_to_levels(p.weights[i] * (factor / l.step), l.levels.at(halvings));
}

Tensor QuantProgram::bias(const Layer& l, const QuantParameters& p, std::size_t i) const {
  const Tensor factor = p.log_factor.select(0, l.out_group).neg().exp();
  return round_to_integer(p.biases[i] * (factor / l.bias_scale));
}

Tensor QuantProgram::run_step(const Step& step, const QuantParameters& p, const std::vector<Tensor>& values,
                              const Training& training) const {
  const Node& n = step.node;
  const Window& w = n.window;
  const auto in = [&](std::size_t k) -> const Tensor& { return values[at_(n.inputs[k])]; };
  const auto padded = [&](const Tensor& x) {
    return at::constant_pad_nd(x, {w.pad_left, w.pad_right, w.pad_top, w.pad_bottom}, 0);
  };
  const bool unpadded = w.pad_top == 0 && w.pad_left == 0 && w.pad_bottom == 0 && w.pad_right == 0;
  const std::array<std::int64_t, 2> kernel{w.kernel_h, w.kernel_w}, stride{w.stride_h, w.stride_w},
      dilation{w.dilation_h, w.dilation_w}, none{0, 0};
  switch (n.op) {
    case Op::kConv: {
      const auto i = at_(step.layer);
      const Layer& layer = layers_[i];
      const Tensor kernels = weights(layer, p, i, training.halvings), b = bias(layer, p, i);
      if (layer.kernel.empty()) return winograd_convolution(in(0), kernels, b, w);
      const Tensor shaped = kernels.reshape(layer.kernel).contiguous(at::MemoryFormat::ChannelsLast);
      if (w.pad_top == w.pad_bottom && w.pad_left == w.pad_right)
        return at::conv2d(in(0), shaped, b, stride, {w.pad_top, w.pad_left}, dilation, n.groups);
      return at::conv2d(padded(in(0)), shaped, b, stride, none, dilation, n.groups);
    }
    case Op::kAddConstant:
    case Op::kRelu:
    case Op::kTruncateReduce: {
      Requantization how = step.requantization;
      how.penalty = static_cast<float>(training.penalty);
      return requantize(values[at_(step.source)], how);
    }
    case Op::kAdd: {
      Tensor sum;
      for (std::size_t k = 0; k < n.inputs.size(); ++k) {
        const double unit = std::ldexp(static_cast<double>(n.input_signs[k]), static_cast<int>(n.input_shifts[k]));
        if (sum.defined())
          sum = sum.add(in(k), unit);
        else
          sum = unit == 1 ? in(k) : in(k)*unit;
      }
      return sum;
    }
    case Op::kMaxPool:
      return at::max_pool2d(unpadded ? in(0) : padded(in(0)), kernel, stride, none, dilation);
    case Op::kSumPool:
      if (unpadded && n.type.shape.h == 1 && n.type.shape.w == 1 && w.kernel_h == in(0).size(2) &&
          w.kernel_w == in(0).size(3))
        return in(0).sum({2, 3}, true);
      if (w.dilation_h != 1 || w.dilation_w != 1)
        throw model_error(n.name + ": dilated average pooling cannot be trained", "use another pooling");
      return at::avg_pool2d(unpadded ? in(0) : padded(in(0)), kernel, stride, none, false, false, 1);
    case Op::kConcat: {
      std::vector<Tensor> parts;
      for (std::size_t k = 0; k < n.inputs.size(); ++k)
        parts.push_back(n.input_shifts[k] == 0 ? in(k) : in(k)*std::ldexp(1.0, static_cast<int>(n.input_shifts[k])));
      return at::cat(parts, 1);
    }
    case Op::kPad:
      return at::constant_pad_nd(
                 in(0),
                 {n.pad_before[2], n.pad_after[2], n.pad_before[1], n.pad_after[1], n.pad_before[0], n.pad_after[0]}, 0)
          .contiguous(at::MemoryFormat::ChannelsLast);
    case Op::kSlice: {
      Tensor x = in(0);
      const std::array<std::int64_t, 3> count{n.type.shape.c, n.type.shape.h, n.type.shape.w};
      for (std::size_t d = 0; d < 3; ++d)
        x = x.slice(static_cast<std::int64_t>(d) + 1, n.start[d], n.start[d] + (count[d] - 1) * n.step[d] + 1,
                    n.step[d]);
      return x;
    }
    case Op::kReshape:
      return in(0).reshape({in(0).size(0), n.type.shape.c, n.type.shape.h, n.type.shape.w});
    default:
      throw internal_error("a step that a draft does not have: " + n.name);
  }
}

Tensor QuantProgram::run(const QuantParameters& parameters, const Tensor& images, const Training& training) const {
  std::vector<Tensor> values(steps_.size());
  values[0] = images;
  for (std::size_t i = 1; i < steps_.size(); ++i)
    if (steps_[i].used) values[i] = run_step(steps_[i], parameters, values, training);
  const Tensor& out = values[at_(output_)];
  return out.reshape({images.size(0), out.numel() / images.size(0)});
}

quant::Tuned QuantProgram::tuned(const QuantParameters& parameters) const {
  const auto rounded = [](const Tensor& t) {
    const Tensor flat = t.contiguous();
    std::vector<std::int64_t> out;
    for (std::int64_t i = 0; i < flat.numel(); ++i) out.push_back(std::llrint(flat.data_ptr<float>()[i]));
    return out;
  };
  quant::Tuned result;
  for (std::size_t i = 0; i < layers_.size(); ++i)
    result.layers.push_back({rounded(weights(layers_[i], parameters, i, 0)), rounded(bias(layers_[i], parameters, i))});
  const Tensor factors = parameters.log_factor.contiguous();
  for (std::int64_t g = 0; g < factors.numel(); ++g)
    result.factor.push_back(std::exp(static_cast<double>(factors.data_ptr<float>()[g])));
  return result;
}

}  // namespace eqo
