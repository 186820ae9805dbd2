#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "eqo/quantizer/draft.h"
#include "eqo/quantizer/float_stats.h"
#include "eqo/quantizer/graph_analysis.h"
#include "eqo/quantizer/scale_solver.h"
#include "eqo/quantizer/weight_quantizer.h"

namespace eqo::quant {

// How the weights of the layers are made; one entry a float node.
struct LayerChoice {
  ConvDomain domain = ConvDomain::kDirect;
  LinearWeights weights;
};

// Weights and bias that are known already; by float node.
struct GivenLayer {
  QuantizedWeights weights;
  std::vector<std::int64_t> bias;  // in units of the accumulator
};
using GivenLayers = std::map<int, GivenLayer>;

struct LoweringOptions {
  bool bias_correction = true;
  bool compensate_rounding = true;
  CodeRules codes = CodeChoice::kEven;
  bool merge_residuals = true;  // add accumulators as they are; else every one is truncated by itself first
  std::function<void(std::size_t)> after_node;
  GivenLayers given;           // instead of rounding these layers' weights
  bool keep_unfolded = false;  // Lowered::unfolded
};

// What is known of one linear layer once it is quantized.
struct LoweredLayer {
  int float_node = -1;
  int draft_node = -1;
  double error = 0;  // squared error of the output on the samples over the output's variance
};

struct Lowered {
  int output = -1;
  std::vector<LoweredLayer> layers;
  std::vector<DraftNode> unfolded;  // the steps before constants were added to biases; only if asked for
};

// Writes the integer steps of every float node into the draft, in order, each computed on the calibration images before
// the next one is chosen: biases are corrected against what the layer really sees.
Lowered lower(const FloatGraph& graph, const GraphPlan& plan, const ScaleGroups& groups, const Scales& scales,
              const FloatStats& stats, const std::vector<LayerChoice>& choices, const FloatBatch& images,
              const LoweringOptions& options, Draft& draft);

}  // namespace eqo::quant
