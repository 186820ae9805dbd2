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

namespace eqo::quant {
namespace {

constexpr std::size_t kFisherImages = 64;
constexpr double kFisherMacs = 1e10;  // of the images together
constexpr int kFormat = 1;

std::size_t at(int i) { return static_cast<std::size_t>(i); }

// F d^2 / 2 over all weights, each rounded with the layer's own best step.
double weight_sensitivity(const LinearWeights& w, const std::vector<double>& fisher, const StepCurve& curve,
                          unsigned bits) {
  const auto least = std::min_element(curve.cost.begin(), curve.cost.end());
  const double step = std::exp2(static_cast<double>(curve.first + (least - curve.cost.begin())) / kStepsPerOctave);
  const QuantizedWeights q = quantize_weights(w, bits, step);
  double sum = 0;
  for (std::size_t j = 0; j < q.value.size(); ++j) {
    const double d = w.values[j] - static_cast<double>(q.value[j]) * step;
    sum += fisher[j] * d * d / 2;
  }
  return sum;
}

double activation_sensitivity(const Histogram& histogram, double fisher, unsigned bits) {
  const StepCurve curve = histogram.curve(bits);
  return fisher / 2 * histogram.mean_square() * *std::min_element(curve.cost.begin(), curve.cost.end());
}

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

std::string key_of(CalibratedNet& net, const std::set<unsigned>& weights_bits,
                   const std::set<unsigned>& activation_bits, SensitivityMeasure measure, std::uint64_t seed) {
  Digest64 digest;
  digest.add(seed);
  digest.add(static_cast<std::uint64_t>(measure));
  for (const auto* widths : {&weights_bits, &activation_bits}) {
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

std::vector<LayerSensitivity> measure_sensitivities(CalibratedNet& net, const std::set<unsigned>& weights_bits,
                                                    const std::set<unsigned>& activation_bits,
                                                    SensitivityMeasure measure, std::uint64_t seed) {
  const FloatGraph& graph = net.graph();
  ThreadPool& pool = net.pool();
  double macs = 0;
  for (const FloatNode& node : graph.nodes)
    if (is_linear(node.op))
      macs += static_cast<double>(node.shape.h * node.shape.w) * static_cast<double>(node.weight.size());
  const auto affordable = static_cast<std::size_t>(std::max(1.0, kFisherMacs / std::max(macs, 1.0)));
  FloatBatch images(net.images().shape, std::min({net.images().count, kFisherImages, affordable}));
  std::copy_n(net.images().data.begin(), images.data.size(), images.data.begin());
  const Fisher fisher = output_fisher(graph, images, measure, seed, pool);

  std::vector<std::size_t> nodes;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (is_linear(graph.nodes[i].op)) nodes.push_back(i);
  std::vector<LayerSensitivity> out(nodes.size());
  pool.parallel_for(nodes.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t l = begin; l < end; ++l) {
      const std::size_t i = nodes[l];
      const FloatNode& node = graph.nodes[i];
      const LayerStats& stats = *net.stats().layers[i];
      out[l].name = node.name;
      for (const ConvDomain domain : {ConvDomain::kDirect, ConvDomain::kWinograd}) {
        const bool winograd = domain == ConvDomain::kWinograd;
        if (winograd && !winograd_possible(node)) continue;
        const LinearWeights w = layer_weights(node, stats, domain);
        for (const unsigned bits : weights_bits)
          (winograd ? out[l].winograd : out[l].direct)[bits] = weight_sensitivity(
              w, winograd ? fisher.layers[i].winograd : fisher.layers[i].direct, net.curve(i, domain, bits, w), bits);
      }
      for (const unsigned bits : activation_bits) {
        double& sum = out[l].activations[bits];
        for (const int point : activation_points(graph, net.plan(), node.inputs[0]))
          if (net.stats().tensors[at(point)])
            sum += activation_sensitivity(*net.stats().tensors[at(point)], fisher.tensors[at(point)], bits);
      }
    }
  });
  return out;
}

std::vector<LayerSensitivity> layer_sensitivities(CalibratedNet& net, const std::set<unsigned>& weights_bits,
                                                  const std::set<unsigned>& activation_bits, SensitivityMeasure measure,
                                                  std::uint64_t seed, const std::string& cache) {
  if (cache.empty()) return measure_sensitivities(net, weights_bits, activation_bits, measure, seed);
  const std::string key = key_of(net, weights_bits, activation_bits, measure, seed);
  if (auto found = read_cache(cache, key)) return *found;
  std::vector<LayerSensitivity> made = measure_sensitivities(net, weights_bits, activation_bits, measure, seed);
  write_cache(cache, key, made);
  return made;
}

}  // namespace eqo::quant
