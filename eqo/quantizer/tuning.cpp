#include "eqo/quantizer/tuning.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string>

#include "eqo/core/error.h"
#include "eqo/quantizer/graph_analysis.h"

namespace eqo::quant {
namespace {

// Of a weight from the border between two levels at the start, in their distance: at the border any step would flip it,
// and with it what the rounding of other weights compensates.
constexpr double kMargin = 0.25;

std::size_t at(int i) { return static_cast<std::size_t>(i); }

const WeightCode& code_of(const Node& conv, std::size_t tap) {
  return conv.codes.size() == 1 ? conv.codes[0] : conv.codes.at(tap);
}

std::vector<std::int64_t> levels_of(const WeightCode& code) {
  std::vector<std::int64_t> levels;
  for (unsigned c = 0; c < 1U << code.bits(); ++c) levels.push_back(code.value(c));
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  return levels;
}

// The value nearest to `real` that rounds to `level`.
double nearest_in_cell(const std::vector<std::int64_t>& levels, std::int64_t level, double real) {
  const auto found = std::lower_bound(levels.begin(), levels.end(), level);
  const auto value = static_cast<double>(level);
  double lo = -std::numeric_limits<double>::infinity(), hi = -lo;
  if (found != levels.begin()) lo = value - (0.5 - kMargin) * (value - static_cast<double>(*(found - 1)));
  if (found + 1 != levels.end()) hi = value + (0.5 - kMargin) * (static_cast<double>(*(found + 1)) - value);
  return std::clamp(real, lo, hi);
}

TuneLayer tune_layer(const LoweredLayer& lowered, const std::vector<DraftNode>& nodes, const LinearWeights& weights) {
  const DraftNode& conv = nodes[at(lowered.draft_node)];
  TuneLayer layer;
  layer.float_node = lowered.float_node;
  layer.draft_node = lowered.draft_node;
  layer.step = conv.secrets.scale / nodes[at(conv.node.inputs[0])].secrets.scale;
  const std::size_t n = weights.values.size() / weights.taps;
  layer.weights.reserve(weights.values.size());
  for (std::size_t tap = 0; tap < weights.taps; ++tap) {
    const WeightCode& code = code_of(conv.node, tap);
    layer.levels.push_back(levels_of(code));
    for (std::size_t j = tap * n; j < (tap + 1) * n; ++j)
      layer.weights.push_back(static_cast<float>(
          nearest_in_cell(layer.levels.back(), code.value(conv.secrets.weights[j]), weights.values[j] / layer.step)));
  }
  return layer;
}

QuantizedWeights encoded(const Node& conv, std::size_t taps, const std::vector<std::int64_t>& values) {
  QuantizedWeights w;
  w.value = values;
  w.code.reserve(values.size());
  const std::size_t n = values.size() / taps;
  for (std::size_t tap = 0; tap < taps; ++tap) {
    const WeightCode& code = code_of(conv, tap);
    w.codes.push_back(code);
    std::map<std::int64_t, std::uint8_t> stored;
    for (unsigned c = 0; c < 1U << code.bits(); ++c) stored.emplace(code.value(c), static_cast<std::uint8_t>(c));
    for (std::size_t j = tap * n; j < (tap + 1) * n; ++j) {
      const auto found = stored.find(values[j]);
      if (found == stored.end()) throw internal_error("a tuned weight of '" + conv.name + "' is none of its code's");
      w.code.push_back(found->second);
    }
  }
  return w;
}

}  // namespace

TuneProblem tune_problem(const FloatGraph& graph, const ScaleGroups& groups, const std::vector<LayerChoice>& choices,
                         const Lowered& lowered) {
  TuneProblem problem;
  problem.graph = graph;
  problem.nodes = lowered.unfolded;
  const int output = problem.output = lowered.output;
  if (problem.nodes.empty()) throw internal_error("tuning needs the steps before constants are folded");
  problem.fixed_group.assign(groups.count(), false);
  problem.fixed_group[groups.group(0)] = true;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (graph.nodes[i].op == FloatOp::kClip) problem.fixed_group[groups.group(static_cast<int>(i))] = true;
  problem.output_group = groups.group(graph.output);
  problem.input_scale = problem.nodes.front().secrets.scale;
  while (problem.nodes.front().hi >= std::int64_t{1} << (problem.input_bits - 1)) ++problem.input_bits;
  problem.output_scale = problem.nodes[at(output)].secrets.scale;
  for (const LoweredLayer& l : lowered.layers) {
    TuneLayer layer = tune_layer(l, problem.nodes, choices[at(l.float_node)].weights);
    layer.in_group = groups.group(graph.nodes[at(l.float_node)].inputs[0]);
    layer.out_group = groups.group(l.float_node);
    problem.layers.push_back(std::move(layer));
  }
  return problem;
}

Scales tuned_scales(const TuneProblem& problem, const ScaleGroups& groups, Scales scales, const Tuned& tuned) {
  if (tuned.factor.size() != groups.count()) throw internal_error("tuned scales of another network");
  for (std::size_t g = 0; g < groups.count(); ++g) {
    if (!(tuned.factor[g] > 0) || (problem.fixed_group[g] && tuned.factor[g] != 1))
      throw internal_error("a tuned scale is out of range");
    scales.base[g] *= tuned.factor[g];
  }
  for (std::size_t i = 0; i < scales.activation.size(); ++i)
    scales.activation[i] *= tuned.factor[groups.group(static_cast<int>(i))];
  for (const TuneLayer& l : problem.layers)
    scales.weight[at(l.float_node)] = l.step * tuned.factor[l.out_group] / tuned.factor[l.in_group];
  return scales;
}

GivenLayers given_layers(const TuneProblem& problem, const Tuned& tuned) {
  if (tuned.layers.size() != problem.layers.size()) throw internal_error("tuned layers of another network");
  GivenLayers given;
  for (std::size_t i = 0; i < problem.layers.size(); ++i) {
    const TuneLayer& layer = problem.layers[i];
    const Tuned::Layer& result = tuned.layers[i];
    const Node& conv = problem.nodes[at(layer.draft_node)].node;
    if (result.values.size() != layer.weights.size() ||
        result.bias.size() != static_cast<std::size_t>(conv.type.shape.c))
      throw internal_error("tuned weights of another size");
    given[layer.float_node] = {encoded(conv, layer.levels.size(), result.values), result.bias};
  }
  return given;
}

}  // namespace eqo::quant
