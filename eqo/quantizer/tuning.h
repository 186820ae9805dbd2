#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "eqo/importer/float_graph.h"
#include "eqo/model/graph.h"
#include "eqo/quantizer/draft.h"
#include "eqo/quantizer/lowering.h"
#include "eqo/quantizer/scale_solver.h"

namespace eqo::quant {

// What fine-tuning may change of one linear layer, and where it starts.
struct TuneLayer {
  int float_node = -1;
  int draft_node = -1;
  std::size_t in_group = 0, out_group = 0;        // scale groups of its input and its output
  double step = 0;                                // real value of one unit of its weights
  std::vector<std::vector<std::int64_t>> levels;  // of each tap: the values of its code, ascending, exponent included
  std::vector<float> weights;                     // [taps][K][C/groups * kh * kw], in units of `step`: the float
                                                  // model's, moved so far that they round to the quantized ones
};

// A quantized network before its rings are chosen, as a program of exact integer steps (rounding constants are steps of
// their own). A scale group (scale_solver.h) has one learnable factor: all scales of the group change by it, so that
// their powers of two stay what they are, and a layer's step by its output's factor over its input's.
struct TuneProblem {
  FloatGraph graph;              // prepared: what the quantized network imitates, and teaches it
  std::vector<DraftNode> nodes;  // with weights, biases and the ranges seen in calibration
  int output = 0;
  std::vector<TuneLayer> layers;
  std::vector<bool> fixed_group;  // its factor is 1: the image's, and those in which a constant stands for a real value
  std::size_t output_group = 0;
  double input_scale = 0;  // of the image: round(x / scale), clamped to signed input_bits
  unsigned input_bits = 8;
  double output_scale = 0;  // of the logits, times the factor of their group
};

// What comes back.
struct Tuned {
  struct Layer {
    std::vector<std::int64_t> values;  // as TuneLayer::weights; each one of its tap's levels
    std::vector<std::int64_t> bias;    // [K], in units of the accumulator, rounding constants not included
  };
  std::vector<Layer> layers;   // as TuneProblem::layers
  std::vector<double> factor;  // of every group
};

// Called with the network as it was quantized; returns a better one. `build` makes the finished model of what is tuned
// so far: the same lowering and the same choice of rings.
using TuneBuild = std::function<Model(const Tuned&)>;
using Tuner = std::function<Tuned(const TuneProblem&, const TuneBuild&)>;

// From a lowering with LoweringOptions::keep_unfolded.
TuneProblem tune_problem(const FloatGraph& graph, const ScaleGroups& groups, const std::vector<LayerChoice>& choices,
                         const Lowered& lowered);

// The arguments of another lowering that gives the tuned network. Throws internal_error if `tuned` does not fit.
Scales tuned_scales(const TuneProblem& problem, const ScaleGroups& groups, Scales scales, const Tuned& tuned);
GivenLayers given_layers(const TuneProblem& problem, const Tuned& tuned);

}  // namespace eqo::quant
