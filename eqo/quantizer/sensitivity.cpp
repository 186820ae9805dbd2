#include "eqo/quantizer/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/fisher.h"
#include "eqo/quantizer/layer_choice.h"
#include "eqo/quantizer/rounding.h"

namespace eqo::quant {
namespace {

constexpr std::size_t kEffectImages = 128;
constexpr double kEffectMacs = 2e10;    // of the images together
constexpr double kErrorFloats = 1.5e8;  // of errors that are worked on together
constexpr double kInputLevels = 4095;   // that a layer's inputs are rounded to, for their correlations
constexpr double kUnclipped = 1e6;
constexpr int kFormat = 4;

std::size_t at(int i) { return static_cast<std::size_t>(i); }

double best_step(const StepCurve& curve) {
  const auto least = std::min_element(curve.cost.begin(), curve.cost.end());
  return std::exp2(static_cast<double>(curve.first + (least - curve.cost.begin())) / kStepsPerOctave);
}

IntBatch to_integers(const FloatBatch& x) {
  float most = 0;
  for (const float v : x.data) most = std::max(most, std::abs(v));
  IntBatch out(x.shape, x.count);
  const double scale = most > 0 ? kInputLevels / static_cast<double>(most) : 1;
  for (std::size_t i = 0; i < x.data.size(); ++i) out.data[i] = std::llrint(static_cast<double>(x.data[i]) * scale);
  return out;
}

// The weights' errors of one layer, one entry a width.
std::vector<WeightError> weight_errors(CalibratedNet& net, std::size_t node, ConvDomain domain, const IntBatch& input,
                                       const SensitivityOptions& options) {
  const FloatNode& layer = net.graph().nodes[node];
  const LinearWeights w = layer_weights(layer, *net.stats().layers[node], domain);
  const std::vector<unsigned> widths(options.weights_bits.begin(), options.weights_bits.end());
  std::vector<double> steps;
  for (const unsigned bits : widths) steps.push_back(best_step(net.curve(node, domain, bits, options.codes, w)));
  std::vector<QuantizedWeights> rounded(widths.size());
  net.pool().parallel_for(widths.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) rounded[i] = quantize_weights(w, widths[i], steps[i], options.codes);
  });
  if (options.compensate) {
    const RoundingCompensation compensation(layer, w, input, options.centered);
    for (std::size_t i = 0; i < widths.size(); ++i) compensation.round(steps[i], net.pool(), rounded[i]);
  }
  std::vector<WeightError> out;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    WeightError& e = out.emplace_back(WeightError{node, domain, {}});
    for (std::size_t j = 0; j < w.values.size(); ++j)
      e.error.push_back(static_cast<float>(static_cast<double>(rounded[i].value[j]) * steps[i] - w.values[j]));
  }
  return out;
}

// Of the activations that a layer's input is made of.
RoundingError activation_error(const CalibratedNet& net, std::size_t node, unsigned bits, bool clip) {
  RoundingError out;
  for (const int point : activation_points(net.graph(), net.plan(), net.graph().nodes[node].inputs[0])) {
    const std::optional<Histogram>& histogram = net.stats().tensors[at(point)];
    if (!histogram) continue;
    const double levels = std::exp2(bits);
    const bool is_signed = histogram->lo() < 0;
    const bool image = net.graph().nodes[at(point)].op == FloatOp::kInput;  // always clipped
    const double least = !clip && !image ? -kUnclipped : is_signed ? -levels / 2 : 0;
    const double greatest = !clip && !image ? kUnclipped : is_signed ? levels / 2 - 1 : levels - 1;
    out.tensors.push_back({at(point), best_step(histogram->curve(bits)), least, greatest});
  }
  return out;
}

double half_squares(const std::vector<float>& v) {
  double sum = 0;
  for (const float x : v) sum += static_cast<double>(x) * static_cast<double>(x);
  return sum / 2;
}

// Errors are collected until there are many, and their effects measured together.
class Measurement {
 public:
  Measurement(CalibratedNet& net, const SensitivityOptions& options, std::vector<LayerSensitivity>& out)
      : net_(net), options_(options), out_(out) {
    double macs = 0;
    for (const FloatNode& node : net.graph().nodes)
      if (is_linear(node.op))
        macs += static_cast<double>(node.shape.h * node.shape.w) * static_cast<double>(node.weight.size());
    const auto affordable = static_cast<std::size_t>(std::max(1.0, kEffectMacs / std::max(macs, 1.0)));
    images_ = FloatBatch(net.images().shape, std::min({net.images().count, kEffectImages, affordable}));
    std::copy_n(net.images().data.begin(), images_.data.size(), images_.data.begin());
    if (options.measure != SensitivityMeasure::kHessian) return;
    if (!options.hessian) throw usage_error("sensitivity by the Hessian needs the training part");
    diagonals_ = options.hessian(net.graph(), images_.data, images_.count);
    if (diagonals_.size() != out.size()) throw internal_error("the Hessian of another network");
  }

  void add_layer(std::size_t layer, std::size_t node, const FloatBatch& input) {
    const IntBatch x = to_integers(input);
    for (const ConvDomain domain : {ConvDomain::kDirect, ConvDomain::kWinograd}) {
      if (domain == ConvDomain::kWinograd && !winograd_possible(net_.graph().nodes[node])) continue;
      std::vector<WeightError> errors = weight_errors(net_, node, domain, x, options_);
      std::size_t i = 0;
      for (const unsigned bits : options_.weights_bits) {
        double& effect = (domain == ConvDomain::kWinograd ? out_[layer].winograd : out_[layer].direct)[bits];
        WeightError& error = errors[i++];
        if (!diagonals_.empty()) {
          const QuantizeOptions::MeanDiagonal& d = diagonals_[layer];
          effect = half_squares(error.error) * (domain == ConvDomain::kWinograd ? d.winograd : d.direct);
          continue;
        }
        floats_ += static_cast<double>(error.error.size());
        pending_.weights.push_back(std::move(error));
        weights_to_.push_back(&effect);
      }
    }
    for (const unsigned bits : options_.activation_bits) {
      pending_.activations.push_back(activation_error(net_, node, bits, options_.clip));
      activations_to_.push_back(&out_[layer].activations[bits]);
    }
    if (floats_ > kErrorFloats) finish();
  }

  void finish() {
    const ErrorEffects effects =
        error_effects(net_.graph(), images_, pending_,
                      {.measure = diagonals_.empty() ? options_.measure : SensitivityMeasure::kFisher,
                       .seed = options_.seed,
                       .centered = options_.centered},
                      net_.pool());
    for (std::size_t i = 0; i < weights_to_.size(); ++i) *weights_to_[i] = effects.weights[i];
    for (std::size_t i = 0; i < activations_to_.size(); ++i) *activations_to_[i] = effects.activations[i];
    pending_ = {};
    weights_to_.clear();
    activations_to_.clear();
    floats_ = 0;
  }

 private:
  CalibratedNet& net_;
  const SensitivityOptions& options_;
  std::vector<LayerSensitivity>& out_;
  FloatBatch images_;
  QuantizationErrors pending_;
  std::vector<QuantizeOptions::MeanDiagonal> diagonals_;  // of the Hessian, by layer, if that is the measure
  std::vector<double*> weights_to_, activations_to_;      // where the effects go
  double floats_ = 0;
};

// Of everything that sensitivities depend on. Not a secret's, nor an opponent's: any good mixing will do.
class Digest64 {
 public:
  void add(std::uint64_t v) {
    hash_ = (hash_ ^ v) * 0x9E3779B97F4A7C15U;
    hash_ ^= hash_ >> 29;
  }
  void add(const std::vector<float>& values) {
    add(values.size());
    for (const float v : values) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &v, sizeof bits);
      add(bits);
    }
  }
  void add(const std::string& text) {
    add(text.size());
    for (const char c : text) add(static_cast<unsigned char>(c));
  }
  std::string text() const {
    std::ostringstream out;
    out << std::hex << hash_;
    return out.str();
  }

 private:
  std::uint64_t hash_ = 0x5EED;
};

std::string key_of(CalibratedNet& net, const SensitivityOptions& options) {
  Digest64 digest;
  digest.add(options.seed);
  digest.add(static_cast<std::uint64_t>(options.measure));
  digest.add(static_cast<std::uint64_t>(options.codes.choice));
  for (const bool flag : {options.codes.tap_exponents, options.compensate, options.centered, options.clip})
    digest.add(std::uint64_t{flag});
  for (const auto* widths : {&options.weights_bits, &options.activation_bits}) {
    digest.add(widths->size());
    for (const unsigned b : *widths) digest.add(b);
  }
  digest.add(net.images().data);
  for (const FloatNode& node : net.graph().nodes) {
    digest.add(static_cast<std::uint64_t>(node.op));
    digest.add(node.name);
    for (const int i : node.inputs) digest.add(static_cast<std::uint64_t>(i));
    digest.add(static_cast<std::uint64_t>(node.window.stride_h));
    digest.add(node.weight);
    digest.add(node.bias);
  }
  return digest.text();
}

nlohmann::json widths_json(const std::map<unsigned, double>& values) {
  nlohmann::json out = nlohmann::json::object();
  for (const auto& [bits, value] : values) out[std::to_string(bits)] = value;
  return out;
}

std::map<unsigned, double> widths_from(const nlohmann::json& json) {
  std::map<unsigned, double> out;
  for (const auto& [bits, value] : json.items()) out[static_cast<unsigned>(std::stoul(bits))] = value.get<double>();
  return out;
}

// What the file holds, if it was made with the same key; a damaged one is made anew.
std::optional<std::vector<LayerSensitivity>> read_cache(const std::string& path, const std::string& key) {
  std::ifstream in(path);
  if (!in) return {};
  try {
    const nlohmann::json json = nlohmann::json::parse(in);
    if (json.at("format") != kFormat || json.at("key") != key) return {};
    std::vector<LayerSensitivity> out;
    for (const nlohmann::json& l : json.at("layers"))
      out.push_back({l.at("name").get<std::string>(), widths_from(l.at("direct")), widths_from(l.at("winograd")),
                     widths_from(l.at("activations"))});
    return out;
  } catch (const std::exception&) {
    return {};
  }
}

void write_cache(const std::string& path, const std::string& key, const std::vector<LayerSensitivity>& layers) {
  nlohmann::json list = nlohmann::json::array();
  for (const LayerSensitivity& l : layers)
    list.push_back({{"name", l.name},
                    {"direct", widths_json(l.direct)},
                    {"winograd", widths_json(l.winograd)},
                    {"activations", widths_json(l.activations)}});
  const std::string text = nlohmann::json{{"format", kFormat}, {"key", key}, {"layers", list}}.dump(1);
  std::ofstream out(path, std::ios::trunc);
  out << text << '\n';
  if (!out.flush()) throw resource_error("can't write '" + path + "'", "choose another file for the sensitivities");
}

}  // namespace

std::vector<LayerSensitivity> measure_sensitivities(CalibratedNet& net, const SensitivityOptions& options) {
  const FloatGraph& graph = net.graph();
  std::vector<LayerSensitivity> out;
  for (const FloatNode& node : graph.nodes)
    if (is_linear(node.op)) out.push_back({node.name, {}, {}, {}});
  Measurement measurement(net, options, out);
  const std::vector<std::size_t> last = last_uses(graph);
  std::vector<FloatBatch> values(graph.nodes.size());
  values[0] = net.images();
  std::size_t layer = 0;
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    const FloatNode& node = graph.nodes[i];
    std::vector<const FloatBatch*> inputs;
    for (const int in : node.inputs) inputs.push_back(&values[at(in)]);
    if (is_linear(node.op)) measurement.add_layer(layer++, i, *inputs[0]);
    values[i] = run_float_node(node, inputs, net.pool());
    for (const int in : node.inputs)
      if (last[at(in)] == i) values[at(in)] = {};
  }
  measurement.finish();
  return out;
}

std::vector<LayerSensitivity> layer_sensitivities(CalibratedNet& net, const SensitivityOptions& options,
                                                  const std::string& cache) {
  if (cache.empty()) return measure_sensitivities(net, options);
  const std::string key = key_of(net, options);
  if (auto found = read_cache(cache, key)) return *found;
  std::vector<LayerSensitivity> made = measure_sensitivities(net, options);
  write_cache(cache, key, made);
  return made;
}

}  // namespace eqo::quant
