#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "eqo/data/dataset.h"
#include "eqo/data/preprocess.h"
#include "eqo/importer/float_graph.h"
#include "eqo/model/graph.h"
#include "eqo/passes/passes.h"
#include "eqo/quantizer/budget.h"
#include "eqo/quantizer/quant_pass.h"
#include "eqo/quantizer/tuning.h"

namespace eqo {

enum class ConvChoice : std::uint8_t {
  kAuto,  // per layer, the one whose product costs fewer bytes; direct where it will be homomorphic
  kDirect,
  kWinograd  // wherever it applies: 3x3, stride 1, dilation 1, one group
};

// What the widths of the rings are derived from; the plan's leakage statement says which it was.
enum class AccumulatorRule : std::uint8_t {
  kCalibration,  // the calibration images' largest values and a guard bit; narrowest, overflow is possible in principle
  kWeights,      // the weights' magnitudes: never overflows. Activations are clipped to their width, by two more ReLUs
  kShapes        // shapes and bit widths alone: the same, and tells nothing about the weights
};

struct QuantizeOptions {
  unsigned weights_bits = 8;     // 1..8, of all layers but the first and the last
  unsigned activation_bits = 8;  // 1..8, of all layers' inputs but theirs
  unsigned edge_bits = 8;        // 1..8, of the first and the last layer: weights and inputs
  ConvChoice conv = ConvChoice::kAuto;
  ProductOptions products;  // what convolutions will be computed by: ConvChoice::kAuto and the budget count on it
  AccumulatorRule accumulators = AccumulatorRule::kCalibration;
  bool bias_correction = true;         // put the layers' mean error on the calibration images into their bias
  bool compensate_rounding = true;     // round each weight so that it makes up for the errors of those before it
  std::size_t calibration_images = 0;  // 0: 256, fewer for large networks; never more than the data has
  std::set<QuantPass> disabled;        // passes that are left out, to see what each is worth
  Preprocess preprocess;               // its shape must be the graph's input
  std::vector<std::string> classes;    // names for the plan; ignored unless there is one for every logit
  std::uint64_t seed = 1;
  unsigned threads = 1;
  // Called with 0..1 as the work goes on; may be empty.
  std::function<void(double)> progress;

  // Choices for single layers, by name; they win over the fields above.
  struct Layer {
    std::optional<unsigned> weights_bits, activation_bits;
    std::optional<ConvDomain> domain;
  };
  std::map<std::string, Layer> layers;

  // Changes the weights and steps once they are quantized, e.g. fine_tune() of train/fine_tuner.h; empty: nobody does.
  // Needs the pass that adds residuals as they are.
  quant::Tuner tuner;

  // Widths and domains of all layers that `layers` does not fix are those that cost the least accuracy within it; the
  // fields weights_bits, activation_bits and edge_bits count for nothing then.
  std::optional<Budget> budget;
  SensitivityMeasure sensitivity = SensitivityMeasure::kFisher;
  // For kHessian: the mean diagonal entries of the Hessian by linear layer, in both domains, of a graph without batch
  // norms on some of its inputs. E.g. hessian_traces() of train/hessian.h.
  struct MeanDiagonal {
    double direct = 0, winograd = 0;
  };
  std::function<std::vector<MeanDiagonal>(const FloatGraph& graph, std::span<const float> images, std::size_t count)>
      hessian;
  std::size_t check_images = 1024;  // of the data, none of those for calibration: what candidates are compared on
  unsigned search_networks = 40;    // candidates that are made, at most
  std::string sensitivity_cache;    // a file for what the search measures first; empty: none
};

struct QuantizeReport {
  struct Layer {
    std::string name;
    unsigned weights_bits = 0;
    unsigned activation_bits = 0;  // of the layer's input
    unsigned ring_bits = 0;        // of its product
    ConvDomain conv = ConvDomain::kDirect;
    bool homomorphic = false;
    double sensitivity = 0;   // squared error of its output over the output's variance, all errors before included
    std::uint64_t bytes = 0;  // of its product, online, for one image
  };
  std::vector<Layer> layers;
  std::uint64_t total_bytes = 0;
  std::size_t calibration_images = 0;
  std::set<QuantPass> disabled;
  std::optional<BudgetReport> budget;  // if there was one
};

// Post-training quantization of a float network (batch norms are folded first). Deterministic for the same inputs,
// options and seed, whatever the number of threads. The result passes validate() and, unless the graph ends in ArgMax,
// gives the logits; then too, because whether only the label is revealed is the server's policy.
// Throws usage_error for options out of range, model_error for a network that can't be expressed in integers (it names
// the node), data_error if the calibration data doesn't fit.
Model quantize(const FloatGraph& graph, const Dataset& calibration, const QuantizeOptions& options,
               QuantizeReport* report = nullptr);

// The same with the network's real inputs in place of a data set: `count` images of the input shape.
Model quantize(const FloatGraph& graph, const std::vector<float>& images, std::size_t count,
               const QuantizeOptions& options, QuantizeReport* report = nullptr);

// Bytes on the wire of a convolution's product for one image, both directions, without setup: K * C * T * sum(l - e_i).
std::uint64_t product_bytes(const Node& conv, const Shape& input);

}  // namespace eqo
