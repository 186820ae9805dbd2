#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "eqo/quantizer/calibrated_net.h"
#include "eqo/quantizer/weight_quantizer.h"

namespace eqo::quant {

// By how much the measure is expected to rise if one layer alone is quantized, by the width: its weights in either
// domain, rounded as they will be (re-weighted and compensated, where the options say so, with their own best step), or
// the activations that its input is made of. The effect of these very errors on the logits, to second order (fisher.h).
struct LayerSensitivity {
  std::string name;
  std::map<unsigned, double> direct, winograd, activations;  // winograd is empty where that is impossible

  const std::map<unsigned, double>& weights(ConvDomain d) const {
    return d == ConvDomain::kWinograd ? winograd : direct;
  }
};

// What sensitivities depend on beside the network and its images.
struct SensitivityOptions {
  std::set<unsigned> weights_bits, activation_bits;
  SensitivityMeasure measure = SensitivityMeasure::kFisher;
  std::uint64_t seed = 1;
  CodeRules codes = CodeChoice::kReweighted;        // of the weights
  bool compensate = true;                           // weights are rounded so
  bool centered = true;                             // biases are corrected
  bool clip = false;                                // activations are
  decltype(QuantizeOptions::hessian) hessian = {};  // for SensitivityMeasure::kHessian
};

// One entry a linear layer, in the graph's order. With a `cache` (a JSON file) they are read from it if it was made for
// the same network, images and options; else it is written. Throws resource_error if that fails.
std::vector<LayerSensitivity> layer_sensitivities(CalibratedNet& net, const SensitivityOptions& options,
                                                  const std::string& cache = {});

// As above, never cached.
std::vector<LayerSensitivity> measure_sensitivities(CalibratedNet& net, const SensitivityOptions& options);

}  // namespace eqo::quant
