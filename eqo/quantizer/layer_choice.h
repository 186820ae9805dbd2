#pragma once
#include <map>
#include <tuple>
#include <vector>

#include "eqo/quantizer/float_stats.h"
#include "eqo/quantizer/graph_analysis.h"
#include "eqo/quantizer/lowering.h"
#include "eqo/quantizer/quantizer.h"
#include "eqo/quantizer/scale_solver.h"

namespace eqo::quant {

// Replaces widths by those that options.layers gives for single layers. Throws usage_error for a layer that the graph
// doesn't have or a width out of range.
void apply_layer_options(const FloatGraph& graph, const QuantizeOptions& options, GraphPlan& plan);

// Error curves of all activations.
ScaleCosts activation_costs(const FloatGraph& graph, const GraphPlan& plan, const FloatStats& stats);

// The domain of every linear layer, and its weights there. ConvChoice::kAuto compares the products' bytes with the ring
// that each domain's own best step would need.
std::vector<LayerChoice> choose_layers(const FloatGraph& graph, const GraphPlan& plan, const FloatStats& stats,
                                       const ScaleCosts& activations, const QuantizeOptions& options);

// The weights of a linear node in the domain of its product.
LinearWeights layer_weights(const FloatNode& node, const LayerStats& stats, ConvDomain domain);

// Error curves of weights by node: domain, width, rules of their codes.
using CurveCache = std::vector<std::map<std::tuple<ConvDomain, unsigned, CodeRules>, StepCurve>>;

// `activations` and the error curves of all layers' weights.
ScaleCosts weight_costs(const FloatGraph& graph, const GraphPlan& plan, const FloatStats& stats,
                        const std::vector<LayerChoice>& choices, ScaleCosts activations, CodeRules codes,
                        CurveCache& curves, ThreadPool& pool);

// What became of the layers.
QuantizeReport describe(const FloatGraph& graph, const GraphPlan& plan, const Lowered& lowered, const Model& model);

}  // namespace eqo::quant
