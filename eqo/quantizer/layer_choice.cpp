#include "eqo/quantizer/layer_choice.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/conv_batch.h"

namespace eqo::quant {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

unsigned checked_bits(unsigned bits, const std::string& name) {
  if (bits < 1 || bits > 8)
    throw usage_error("layer '" + name + "': a width of " + std::to_string(bits) + " bits", "widths are 1 to 8 bits");
  return bits;
}

// The step that the curve alone would like best.
double best_log2_step(const StepCurve& curve) {
  const auto least = std::min_element(curve.cost.begin(), curve.cost.end());
  return static_cast<double>(curve.first + (least - curve.cost.begin())) / kStepsPerOctave;
}

// Step of the activation that a layer's input is made of, as its own curve would like it.
double input_log2_step(const FloatGraph& graph, const ScaleCosts& activations, int tensor) {
  while (!activations.activation[at(tensor)] && !graph.nodes[at(tensor)].inputs.empty())
    tensor = graph.nodes[at(tensor)].inputs[0];
  return activations.activation[at(tensor)] ? best_log2_step(*activations.activation[at(tensor)]) : 0;
}

// Bytes of the product if the layer were quantized on its own.
double estimated_bytes(const FloatNode& node, const LayerStats& stats, const LinearWeights& w, unsigned bits,
                       double input_log2) {
  const double step = best_log2_step(weight_curve(w, bits, stats.output_energy)) + input_log2;
  const double ring = std::ceil(std::log2(std::max(stats.output_magnitude, 1e-30F)) - step) + 2;
  double rows = 0;
  for (unsigned i = 0; i < bits; ++i) rows += std::max(1.0, ring - i);
  const std::int64_t columns =
      w.taps > 1 ? winograd_tile_count(node.shape.h, node.shape.w) : node.shape.h * node.shape.w;
  return static_cast<double>(w.taps * w.filters * w.inner) * static_cast<double>(columns) * rows / 8;
}

}  // namespace

LinearWeights layer_weights(const FloatNode& node, const LayerStats& stats, ConvDomain domain) {
  LinearWeights w;
  w.filters = static_cast<std::size_t>(node.shape.c);
  if (domain == ConvDomain::kWinograd) {
    w.taps = 16;
    w.inner = node.weight.size() / w.filters / 9;
    w.values = winograd_weights(node.weight, w.filters, w.inner);
    w.importance = stats.winograd;
  } else {
    w.inner = node.weight.size() / w.filters;
    w.groups = node.op == FloatOp::kConv ? static_cast<std::size_t>(node.groups) : 1;
    w.values = node.weight;
    w.importance = stats.direct;
  }
  // Where nothing comes in nothing matters; a floor keeps the search defined.
  const double most = *std::max_element(w.importance.begin(), w.importance.end());
  const double floor = most > 0 ? most * 1e-6 : 1.0;
  for (double& i : w.importance) i = std::max(i, floor);
  return w;
}

void apply_layer_options(const FloatGraph& graph, const QuantizeOptions& options, GraphPlan& plan) {
  std::set<std::string> unknown;
  for (const auto& [name, unused] : options.layers) unknown.insert(name);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const FloatNode& node = graph.nodes[i];
    const auto found = options.layers.find(node.name);
    if (!is_linear(node.op) || found == options.layers.end()) continue;
    unknown.erase(node.name);
    if (found->second.weights_bits) plan.layers[i].weights_bits = checked_bits(*found->second.weights_bits, node.name);
    if (!found->second.activation_bits) continue;
    plan.layers[i].activation_bits = checked_bits(*found->second.activation_bits, node.name);
  }
  if (!unknown.empty()) throw usage_error("the network has no layer '" + *unknown.begin() + "'");
  assign_activation_bits(graph, options.activation_bits, plan);
}

ScaleCosts activation_costs(const FloatGraph& graph, const GraphPlan& plan, const FloatStats& stats) {
  ScaleCosts costs;
  costs.weight.resize(graph.nodes.size());
  costs.activation.resize(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (stats.tensors[i])
      costs.activation[i] = stats.tensors[i]->curve(plan.tensors[i].requantize ? plan.tensors[i].bits : 8);
  return costs;
}

std::vector<LayerChoice> choose_layers(const FloatGraph& graph, const GraphPlan& plan, const FloatStats& stats,
                                       const ScaleCosts& activations, const QuantizeOptions& options) {
  std::vector<LayerChoice> choices(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const FloatNode& node = graph.nodes[i];
    if (!is_linear(node.op)) continue;
    const LayerStats& s = *stats.layers[i];
    LayerChoice& choice = choices[i];
    choice.weights = layer_weights(node, s, ConvDomain::kDirect);
    const auto found = options.layers.find(node.name);
    const bool fixed = found != options.layers.end() && found->second.domain.has_value();
    const bool asked = fixed ? *found->second.domain == ConvDomain::kWinograd : options.conv != ConvChoice::kDirect;
    if (!winograd_possible(node)) {
      if (fixed && asked)
        throw usage_error("layer '" + node.name + "' can't use Winograd's algorithm",
                          "it needs a 3x3 kernel, stride 1, dilation 1 and one group");
      continue;
    }
    if (!asked) continue;
    LinearWeights winograd = layer_weights(node, s, ConvDomain::kWinograd);
    if (!fixed && options.conv == ConvChoice::kAuto) {
      const double input = input_log2_step(graph, activations, node.inputs[0]);
      const unsigned bits = plan.layers[i].weights_bits;
      if (estimated_bytes(node, s, winograd, bits, input) >= estimated_bytes(node, s, choice.weights, bits, input))
        continue;
    }
    choice.domain = ConvDomain::kWinograd;
    choice.weights = std::move(winograd);
  }
  return choices;
}

ScaleCosts weight_costs(const FloatGraph& graph, const GraphPlan& plan, const FloatStats& stats,
                        const std::vector<LayerChoice>& choices, ScaleCosts costs, CodeRules codes, CurveCache& curves,
                        ThreadPool& pool) {
  curves.resize(graph.nodes.size());
  pool.parallel_for(graph.nodes.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      if (!is_linear(graph.nodes[i].op)) continue;
      const unsigned bits = plan.layers[i].weights_bits;
      const auto [found, added] = curves[i].try_emplace({choices[i].domain, bits, codes});
      if (added) found->second = weight_curve(choices[i].weights, bits, stats.layers[i]->output_energy, codes);
      costs.weight[i] = found->second;
    }
  });
  return costs;
}

QuantizeReport describe(const FloatGraph& graph, const GraphPlan& plan, const Lowered& lowered, const Model& model) {
  std::map<std::string, const Node*> convs;
  for (const Node& node : model.plan.nodes)
    if (node.op == Op::kConv) convs[node.layer] = &node;
  QuantizeReport report;
  for (const LoweredLayer& l : lowered.layers) {
    const FloatNode& node = graph.nodes[at(l.float_node)];
    const Node& conv = *convs.at(node.name);
    QuantizeReport::Layer layer;
    layer.name = node.name;
    layer.weights_bits = plan.layers[at(l.float_node)].weights_bits;
    layer.activation_bits = plan.layers[at(l.float_node)].activation_bits;
    layer.ring_bits = conv.type.ring_bits;
    layer.conv = conv.domain;
    layer.sensitivity = l.error;
    layer.bytes = product_bytes(conv, model.plan.nodes[at(conv.inputs[0])].type.shape);
    report.total_bytes += layer.bytes;
    report.layers.push_back(std::move(layer));
  }
  return report;
}

}  // namespace eqo::quant

namespace eqo {

std::uint64_t product_bytes(const Node& conv, const Shape& input) {
  const bool winograd = conv.domain == ConvDomain::kWinograd;
  const Shape& out = conv.type.shape;
  const std::int64_t inner = winograd ? input.c : input.c / conv.groups * conv.window.kernel_h * conv.window.kernel_w;
  const std::int64_t columns = winograd ? quant::winograd_tile_count(out.h, out.w) : out.h * out.w;
  std::uint64_t bits = 0;  // a weight of every tap, a column
  const std::size_t products = winograd ? 16 : 1;
  for (std::size_t p = 0; p < products; ++p) {
    const WeightCode& code = conv.codes.size() == 1 ? conv.codes[0] : conv.codes.at(p);
    for (unsigned i = 0; i < code.bits(); ++i)
      if (code.place(i) < conv.type.ring_bits) bits += conv.type.ring_bits - code.place(i);
  }
  return (bits * static_cast<std::uint64_t>(out.c * inner * columns) + 7) / 8;
}

}  // namespace eqo
