#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "eqo/quantizer/calibrated_net.h"

namespace eqo::quant {

// By how much the measure is expected to rise if one layer alone is quantized, by the width: its
// weights in either domain with their own best step, or the activations that its input is made of.
// For an independent error d of every value that is F d^2 / 2, F the diagonal of the Fisher information (fisher.h):
// weights sum over their rounding errors in the domain of the product, activations over the elements with the mean
// squared error of their histogram. Activations with several readers count for each.
struct LayerSensitivity {
  std::string name;
  std::map<unsigned, double> direct, winograd, activations;  // winograd is empty where that is impossible

  const std::map<unsigned, double>& weights(ConvDomain d) const {
    return d == ConvDomain::kWinograd ? winograd : direct;
  }
};

// One entry a linear layer, in the graph's order. With a `cache` (a JSON file) they are read from it if it was made for
// the same network, images, seed and widths; else it is written. Throws resource_error if that fails.
std::vector<LayerSensitivity> layer_sensitivities(CalibratedNet& net, const std::set<unsigned>& weights_bits,
                                                  const std::set<unsigned>& activation_bits, SensitivityMeasure measure,
                                                  std::uint64_t seed, const std::string& cache = {});

// As above, never cached.
std::vector<LayerSensitivity> measure_sensitivities(CalibratedNet& net, const std::set<unsigned>& weights_bits,
                                                    const std::set<unsigned>& activation_bits,
                                                    SensitivityMeasure measure, std::uint64_t seed);

}  // namespace eqo::quant
