#include "eqo/quantizer/graph_analysis.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/importer/passes.h"

namespace eqo::quant {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

std::vector<int> count_consumers(const FloatGraph& graph) {
  std::vector<int> count(graph.nodes.size(), 0);
  for (const FloatNode& node : graph.nodes)
    for (const int i : node.inputs) ++count[at(i)];
  ++count[at(graph.output)];
  return count;
}

bool is_activation_function(const FloatNode& node) {
  return node.op == FloatOp::kRelu || (node.op == FloatOp::kClip && node.clip_lo >= 0);
}

bool has_padding(const Window& w) { return w.pad_top > 0 || w.pad_left > 0 || w.pad_bottom > 0 || w.pad_right > 0; }

// Whether pooling before the activation function costs fewer bits than after it: for accumulators of 16 bits and
// activations of 8, where a requantization takes 97 bits an element and a maximum 104 or 46 (docs/cost-model.md), the
// later ones by rows and then by columns. With padding, pooling comes second: a zero must not win.
bool pooling_first(const Window& w, const Shape& in) {
  constexpr double kRequantize = 97, kWideMaximum = 104, kNarrowMaximum = 46;
  if (has_padding(w)) return false;
  const auto h = static_cast<double>(in.h), columns = static_cast<double>(w.out_w(in.w));
  const double outputs = static_cast<double>(w.out_h(in.h)) * columns;
  const auto kh = static_cast<double>(w.kernel_h), kw = static_cast<double>(w.kernel_w);
  const double first = outputs * ((kh * kw - 1) * kWideMaximum + kRequantize);
  const double apart = (kw - 1) * h * columns + (kh - 1) * outputs, whole = outputs * (kh * kw - 1);
  const double second = h * static_cast<double>(in.w) * kRequantize + std::min(apart, whole) * kNarrowMaximum;
  return first < second;
}

// first -> second becomes second -> first, in place; both have one input, and second is first's only consumer.
void swap_with_successor(FloatGraph& graph, std::size_t first, std::size_t second) {
  FloatNode& a = graph.nodes[first];
  FloatNode& b = graph.nodes[second];
  std::swap(a, b);
  a.inputs = b.inputs;
  b.inputs = {static_cast<int>(first)};
  const Shape in = graph.nodes[at(a.inputs[0])].shape;
  a.shape = a.op == FloatOp::kMaxPool ? Shape{in.c, a.window.out_h(in.h), a.window.out_w(in.w)} : in;
  b.shape = b.op == FloatOp::kMaxPool ? Shape{in.c, b.window.out_h(in.h), b.window.out_w(in.w)} : a.shape;
}

void order_pools(FloatGraph& graph) {
  const std::vector<int> consumers = count_consumers(graph);
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].inputs.size() != 1) continue;
    const std::size_t before = at(graph.nodes[i].inputs[0]);
    if (before == 0 || consumers[before] != 1 || graph.nodes[before].inputs.size() != 1) continue;
    const FloatNode& first = graph.nodes[before];
    const FloatNode& second = graph.nodes[i];
    const Shape& in = graph.nodes[at(first.inputs[0])].shape;
    const bool relu_then_pool =
        is_activation_function(first) && second.op == FloatOp::kMaxPool && pooling_first(second.window, in);
    const bool pool_then_relu =
        first.op == FloatOp::kMaxPool && is_activation_function(second) && !pooling_first(first.window, in);
    if (relu_then_pool || pool_then_relu) swap_with_successor(graph, before, i);
  }
}

// The activations that a tensor is made of; `image` if the image is one of them.
struct Sources {
  std::vector<int> points;
  bool image = false;
};

Sources sources_of(const FloatGraph& graph, const GraphPlan& plan, int tensor) {
  Sources found;
  std::vector<int> todo{tensor};
  std::unordered_set<int> seen;
  while (!todo.empty()) {
    const int t = todo.back();
    todo.pop_back();
    if (!seen.insert(t).second) continue;
    const FloatNode& node = graph.nodes[at(t)];
    if (node.op == FloatOp::kInput) found.image = true;
    if (plan.tensors[at(t)].requantize) {
      found.points.push_back(t);
    } else if (!is_linear(node.op)) {
      todo.insert(todo.end(), node.inputs.begin(), node.inputs.end());
    }
  }
  return found;
}

void plan_tensors(const FloatGraph& graph, GraphPlan& plan) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const FloatNode& node = graph.nodes[i];
    TensorPlan& t = plan.tensors[i];
    const auto all = [&](bool TensorPlan::*flag) {
      return std::all_of(node.inputs.begin(), node.inputs.end(), [&](int n) { return plan.tensors[at(n)].*flag; });
    };
    if (node.op == FloatOp::kInput) {
      t.quantized = true;
    } else if (is_linear(node.op)) {
      TensorPlan& in = plan.tensors[at(node.inputs[0])];
      if (!in.quantized) in.requantize = true;
    } else if (node.op == FloatOp::kRelu || node.op == FloatOp::kClip) {
      t.non_negative = node.op == FloatOp::kRelu || node.clip_lo >= 0;
      const bool is_output = static_cast<int>(i) == graph.output;
      t.quantized = all(&TensorPlan::quantized) || !is_output;
      t.requantize = t.quantized && !all(&TensorPlan::quantized);
    } else {
      t.non_negative = all(&TensorPlan::non_negative);
      t.quantized = is_passive(node.op) && all(&TensorPlan::quantized);
      const bool some =
          std::any_of(node.inputs.begin(), node.inputs.end(), [&](int n) { return plan.tensors[at(n)].quantized; });
      if (node.op == FloatOp::kConcat && some && !t.quantized) {
        for (const int n : node.inputs)
          if (!plan.tensors[at(n)].quantized) plan.tensors[at(n)].requantize = true;
        t.quantized = true;
      }
    }
  }
}

}  // namespace

bool is_linear(FloatOp op) { return op == FloatOp::kConv || op == FloatOp::kLinear; }

bool is_passive(FloatOp op) {
  return op == FloatOp::kMaxPool || op == FloatOp::kAvgPool || op == FloatOp::kConcat || op == FloatOp::kReshape ||
         op == FloatOp::kPad || op == FloatOp::kSlice;
}

Window linear_window(const FloatNode& node) { return node.op == FloatOp::kLinear ? Window{} : node.window; }

bool winograd_possible(const FloatNode& node) {
  const Window& w = node.window;
  const auto narrow = [](std::int64_t pad) { return pad <= 2; };
  return node.op == FloatOp::kConv && node.groups == 1 && w.kernel_h == 3 && w.kernel_w == 3 && w.stride_h == 1 &&
         w.stride_w == 1 && w.dilation_h == 1 && w.dilation_w == 1 && narrow(w.pad_top) && narrow(w.pad_left) &&
         narrow(w.pad_bottom) && narrow(w.pad_right);
}

bool window_touches_padding(const Window& w, const Shape& in) {
  const auto last = [](std::int64_t out, std::int64_t stride, std::int64_t pad, std::int64_t kernel,
                       std::int64_t dilation) { return (out - 1) * stride - pad + (kernel - 1) * dilation; };
  return w.pad_top > 0 || w.pad_left > 0 ||
         last(w.out_h(in.h), w.stride_h, w.pad_top, w.kernel_h, w.dilation_h) >= in.h ||
         last(w.out_w(in.w), w.stride_w, w.pad_left, w.kernel_w, w.dilation_w) >= in.w;
}

FloatGraph prepare_graph(FloatGraph graph, bool order) {
  validate(graph);
  graph = remove_dead_nodes(fold_batch_norm(std::move(graph)));
  if (order) order_pools(graph);
  for (const FloatNode& node : graph.nodes) {
    if (node.op != FloatOp::kAvgPool || node.count_include_pad) continue;
    if (window_touches_padding(node.window, graph.nodes[at(node.inputs[0])].shape))
      throw model_error("average pooling '" + node.name + "' divides by fewer values at its padded border",
                        "export it with count_include_pad=1, or pool without padding");
  }
  validate(graph);
  return graph;
}

void assign_activation_bits(const FloatGraph& graph, unsigned otherwise, GraphPlan& plan) {
  for (TensorPlan& t : plan.tensors) t.bits = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!is_linear(graph.nodes[i].op)) continue;
    for (const int p : sources_of(graph, plan, graph.nodes[i].inputs[0]).points)
      plan.tensors[at(p)].bits = std::max(plan.tensors[at(p)].bits, plan.layers[i].activation_bits);
  }
  for (TensorPlan& t : plan.tensors)
    if (t.requantize && t.bits == 0) t.bits = otherwise;
}

std::vector<int> activation_points(const FloatGraph& graph, const GraphPlan& plan, int tensor) {
  return sources_of(graph, plan, tensor).points;
}

GraphPlan analyze(const FloatGraph& graph, const Widths& widths) {
  for (const unsigned b : {widths.weights, widths.activations, widths.edge})
    if (b < 1 || b > 8) throw usage_error("a width of " + std::to_string(b) + " bits", "widths are 1 to 8 bits");
  GraphPlan plan;
  plan.tensors.resize(graph.nodes.size());
  plan.layers.resize(graph.nodes.size());
  plan_tensors(graph, plan);

  // Whether a tensor reaches the output without another layer in between.
  std::vector<bool> last(graph.nodes.size(), false);
  last[at(graph.output)] = true;
  for (std::size_t i = graph.nodes.size(); i-- > 0;)
    if (last[i] && !is_linear(graph.nodes[i].op))
      for (const int n : graph.nodes[i].inputs) last[at(n)] = true;

  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const FloatNode& node = graph.nodes[i];
    if (!is_linear(node.op)) continue;
    const Sources sources = sources_of(graph, plan, node.inputs[0]);
    LayerPlan& layer = plan.layers[i];
    layer.first = sources.image;
    layer.last = last[i];
    layer.weights_bits = layer.first || layer.last ? widths.edge : widths.weights;
    layer.activation_bits = layer.first || layer.last ? widths.edge : widths.activations;
  }
  assign_activation_bits(graph, widths.activations, plan);
  return plan;
}

}  // namespace eqo::quant
