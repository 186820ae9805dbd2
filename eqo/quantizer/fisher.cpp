#include "eqo/quantizer/fisher.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/backward.h"
#include "eqo/quantizer/float_stats.h"
#include "eqo/quantizer/graph_analysis.h"

namespace eqo::quant {
namespace {

constexpr double kChunkElements = 1.5e8;  // of all tensors and their gradients
constexpr std::size_t kMaxChunk = 16;

std::size_t at(int i) { return static_cast<std::size_t>(i); }

// (softmax - one_hot(a label drawn from the softmax)) / T of the logits over T, for every image.
FloatBatch label_gradient(const FloatBatch& logits, std::mt19937_64& random) {
  FloatBatch g(logits.shape, logits.count);
  const std::size_t classes = logits.stride();
  std::vector<double> p(classes);
  for (std::size_t n = 0; n < logits.count; ++n) {
    const float* x = logits.image(n);
    const double most = *std::max_element(x, x + classes);
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) sum += p[k] = std::exp((static_cast<double>(x[k]) - most) / kTemperature);
    double left = static_cast<double>(random() >> 11) * 0x1p-53 * sum;
    std::size_t label = 0;
    while (label + 1 < classes && (left -= p[label]) >= 0) ++label;
    for (std::size_t k = 0; k < classes; ++k)
      g.image(n)[k] = static_cast<float>((p[k] / sum - (k == label ? 1 : 0)) / kTemperature);
  }
  return g;
}

FloatBatch sign_gradient(const FloatBatch& logits, std::mt19937_64& random) {
  FloatBatch g(logits.shape, logits.count);
  for (float& v : g.data) v = random() % 2 == 0 ? 1.0F : -1.0F;
  return g;
}

class Effects {
 public:
  Effects(const FloatGraph& graph, const QuantizationErrors& errors, const EffectOptions& options, ThreadPool& pool)
      : graph_(graph), errors_(errors), options_(options), pool_(pool), weights_of_(graph.nodes.size()) {
    for (std::size_t e = 0; e < errors.weights.size(); ++e) {
      const WeightError& w = errors.weights[e];
      if (w.node >= graph.nodes.size() || !is_linear(graph.nodes[w.node].op))
        throw internal_error("an error of weights that don't exist");
      weights_of_[w.node].push_back(e);
      weight_mean_.emplace_back(static_cast<std::size_t>(graph.nodes[w.node].shape.c), 0.0);
    }
    for (const RoundingError& r : errors.activations)
      for (const RoundingError::Tensor& t : r.tensors)
        tensor_mean_.emplace_back(static_cast<std::size_t>(graph.nodes.at(t.node).shape.c), 0.0);
    weights_.resize(errors.weights.size());
    activations_.resize(errors.activations.size());
  }

  ErrorEffects run(const FloatBatch& images) {
    double elements = 0;
    for (const FloatNode& node : graph_.nodes) elements += 2 * static_cast<double>(node.shape.size());
    const std::size_t chunk =
        std::clamp<std::size_t>(static_cast<std::size_t>(kChunkElements / elements), 1, kMaxChunk);
    const auto for_each_chunk = [&](auto body) {
      for (std::size_t first = 0; first < images.count; first += chunk) {
        FloatBatch part(images.shape, std::min(chunk, images.count - first));
        std::copy_n(images.image(first), part.data.size(), part.data.begin());
        forward(std::move(part));
        body();
      }
    };
    if (options_.centered) {
      for_each_chunk([&] { add_means(); });
      for (auto* means : {&weight_mean_, &tensor_mean_})
        for (std::vector<double>& mean : *means)
          for (double& m : mean) m /= static_cast<double>(images.count);
    }
    std::mt19937_64 random(options_.seed);
    for_each_chunk([&] {
      for (unsigned draw = 0; draw < options_.draws; ++draw) add_draw(random);
    });
    const double samples = static_cast<double>(images.count) * options_.draws;
    const auto effects = [&](const std::vector<Moments>& all) {
      std::vector<double> out;
      for (const Moments& m : all) {
        const double scaling = options_.free_scale && scaling_ > 0 ? m.with_scaling * m.with_scaling / scaling_ : 0;
        out.push_back(std::max(0.0, m.square - scaling) / (2 * samples));
      }
      return out;
    };
    return {effects(weights_), effects(activations_)};
  }

 private:
  // Of gradient . error, over images and draws.
  struct Moments {
    double square = 0;
    double with_scaling = 0;  // times gradient . logits
  };

  std::vector<const FloatBatch*> inputs_of(const FloatNode& node) const {
    std::vector<const FloatBatch*> in;
    for (const int i : node.inputs) in.push_back(&values_[at(i)]);
    return in;
  }

  void forward(FloatBatch images) {
    values_.resize(graph_.nodes.size());
    values_[0] = std::move(images);
    for (std::size_t i = 1; i < graph_.nodes.size(); ++i)
      values_[i] = run_float_node(graph_.nodes[i], inputs_of(graph_.nodes[i]), pool_);
  }

  // The gradients of image n at the weights that error e is of.
  std::vector<float> gradient_for(const WeightError& e, const FloatBatch& gradient, std::size_t n) const {
    const FloatNode& node = graph_.nodes[e.node];
    const FloatBatch& x = values_[at(node.inputs[0])];
    return e.domain == ConvDomain::kWinograd ? winograd_gradient(node, x, gradient, n)
                                             : weight_gradient(node, x, gradient, n);
  }

  // Calls body(n, gradient at weights of a domain, the errors there) for every image, in parallel.
  template <class Body>
  void for_each_gradient(std::size_t node, const FloatBatch& gradient, Body body) const {
    for (const ConvDomain domain : {ConvDomain::kDirect, ConvDomain::kWinograd}) {
      std::vector<std::size_t> there;
      for (const std::size_t e : weights_of_[node])
        if (errors_.weights[e].domain == domain) there.push_back(e);
      if (there.empty()) continue;
      pool_.parallel_for(gradient.count, 1, [&](std::size_t begin, std::size_t end) {
        for (std::size_t n = begin; n < end; ++n) {
          const std::vector<float> g = gradient_for(errors_.weights[there.front()], gradient, n);
          for (const std::size_t e : there) {
            if (errors_.weights[e].error.size() != g.size()) throw internal_error("errors of other weights");
            body(n, e, g);
          }
        }
      });
    }
  }

  static double dot(const float* a, const float* b, std::size_t n) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
    return sum;
  }

  // Rounds the values of one image; d gets the errors.
  void round_image(const RoundingError::Tensor& t, std::size_t n, std::vector<float>& d) const {
    const FloatBatch& x = values_[t.node];
    d.resize(x.stride());
    const auto inverse = static_cast<float>(1 / t.step), step = static_cast<float>(t.step);
    const auto least = static_cast<float>(t.least), greatest = static_cast<float>(t.greatest);
    constexpr float kRound = 0x1.8p23F;  // adding and taking it away leaves no bits below the point
    for (std::size_t i = 0; i < d.size(); ++i) {
      const float v = std::clamp(x.image(n)[i] * inverse, least, greatest);
      d[i] = ((v + kRound) - kRound) * step - x.image(n)[i];
    }
  }

  // The outputs' mean errors, channel by channel: an error's product with the gradient of the outputs' sum is its sum.
  void add_means() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (weights_of_[i].empty()) continue;
      const FloatNode& node = graph_.nodes[i];
      const std::size_t count = values_[0].count, filters = at(static_cast<int>(node.shape.c));
      FloatBatch ones(node.shape, count);
      const double plane = static_cast<double>(ones.stride()) / static_cast<double>(filters);
      std::fill(ones.data.begin(), ones.data.end(), 1.0F);
      std::vector<std::vector<double>> sums(count * errors_.weights.size());
      for_each_gradient(i, ones, [&](std::size_t n, std::size_t e, const std::vector<float>& g) {
        std::vector<double>& sum = sums[n * errors_.weights.size() + e];
        sum.assign(filters, 0.0);
        const std::size_t taps = errors_.weights[e].domain == ConvDomain::kWinograd ? 16 : 1;
        const std::size_t inner = g.size() / filters / taps;
        for (std::size_t row = 0; row < taps * filters; ++row)
          sum[row % filters] += dot(g.data() + row * inner, errors_.weights[e].error.data() + row * inner, inner);
      });
      for (const std::size_t e : weights_of_[i])
        for (std::size_t n = 0; n < count; ++n)
          for (std::size_t k = 0; k < filters; ++k)
            weight_mean_[e][k] += sums[n * errors_.weights.size() + e][k] / plane;
    }
    std::size_t index = 0;
    std::vector<float> d;
    for (const RoundingError& r : errors_.activations)
      for (const RoundingError::Tensor& t : r.tensors) {
        std::vector<double>& mean = tensor_mean_[index++];
        const std::size_t plane = values_[t.node].stride() / mean.size();
        for (std::size_t n = 0; n < values_[0].count; ++n) {
          round_image(t, n, d);
          for (std::size_t i = 0; i < d.size(); ++i)
            mean[i / plane] += static_cast<double>(d[i]) / static_cast<double>(plane);
        }
      }
  }

  // One gradient an image, drawn at the logits and propagated back.
  void add_draw(std::mt19937_64& random) {
    const std::size_t nodes = graph_.nodes.size(), count = values_[0].count;
    std::vector<FloatBatch> gradients(nodes);
    const FloatBatch& logits = values_[at(graph_.output)];
    gradients[at(graph_.output)] = options_.measure == SensitivityMeasure::kLogits ? sign_gradient(logits, random)
                                                                                   : label_gradient(logits, random);
    std::vector<double> scaling;
    for (std::size_t n = 0; n < count; ++n) {
      const float* gradient = gradients[at(graph_.output)].image(n);
      scaling.push_back(dot(gradient, logits.image(n), logits.stride()));
      scaling_ += scaling.back() * scaling.back();
    }
    std::vector<double> weights(errors_.weights.size() * count, 0.0);
    std::vector<double> activations(errors_.activations.size() * count, 0.0);
    for (std::size_t i = nodes; i-- > 0;) {
      const FloatNode& node = graph_.nodes[i];
      const FloatBatch gradient = std::move(gradients[i]);
      if (gradient.data.empty()) continue;  // does not reach the output
      add_weights(i, gradient, weights);
      add_activations(i, gradient, activations);
      if (node.op == FloatOp::kInput) continue;
      std::vector<FloatBatch*> into;
      for (const int in : node.inputs) {
        FloatBatch& g = gradients[at(in)];
        if (g.data.empty()) g = FloatBatch(values_[at(in)].shape, count);
        into.push_back(&g);
      }
      backpropagate(node, inputs_of(node), values_[i], gradient, into, pool_);
    }
    const auto add = [&](const std::vector<double>& products, std::vector<Moments>& sums) {
      for (std::size_t i = 0; i < products.size(); ++i) {
        sums[i / count].square += products[i] * products[i];
        sums[i / count].with_scaling += products[i] * scaling[i % count];
      }
    };
    add(weights, weights_);
    add(activations, activations_);
  }

  void add_weights(std::size_t i, const FloatBatch& gradient, std::vector<double>& sums) const {
    const auto filters = static_cast<std::size_t>(gradient.shape.c);
    const std::size_t plane = gradient.stride() / filters;
    for_each_gradient(i, gradient, [&](std::size_t n, std::size_t e, const std::vector<float>& g) {
      double& sum = sums[e * gradient.count + n];
      sum = dot(g.data(), errors_.weights[e].error.data(), g.size());
      for (std::size_t k = 0; k < filters; ++k) {
        double bias = 0;
        for (std::size_t p = 0; p < plane; ++p) bias += static_cast<double>(gradient.image(n)[k * plane + p]);
        sum -= bias * weight_mean_[e][k];
      }
    });
  }

  void add_activations(std::size_t i, const FloatBatch& gradient, std::vector<double>& sums) const {
    std::size_t index = 0;
    for (std::size_t e = 0; e < errors_.activations.size(); ++e)
      for (const RoundingError::Tensor& t : errors_.activations[e].tensors) {
        const std::vector<double>& mean = tensor_mean_[index++];
        if (t.node != i) continue;
        const std::size_t plane = gradient.stride() / mean.size();
        pool_.parallel_for(gradient.count, 1, [&](std::size_t begin, std::size_t end) {
          std::vector<float> d;
          for (std::size_t n = begin; n < end; ++n) {
            round_image(t, n, d);
            for (std::size_t j = 0; j < d.size(); ++j)
              sums[e * gradient.count + n] += gradient.image(n)[j] * (static_cast<double>(d[j]) - mean[j / plane]);
          }
        });
      }
  }

  const FloatGraph& graph_;
  const QuantizationErrors& errors_;
  const EffectOptions& options_;
  ThreadPool& pool_;
  std::vector<std::vector<std::size_t>> weights_of_;  // by node
  std::vector<std::vector<double>> weight_mean_;      // of the output's channels, an error
  std::vector<std::vector<double>> tensor_mean_;      // of the channels, a tensor of all activations' errors in order
  std::vector<FloatBatch> values_;
  std::vector<Moments> weights_, activations_;
  double scaling_ = 0;  // the squares of gradient . logits
};

}  // namespace

ErrorEffects error_effects(const FloatGraph& graph, const FloatBatch& images, const QuantizationErrors& errors,
                           const EffectOptions& options, ThreadPool& pool) {
  return Effects(graph, errors, options, pool).run(images);
}

}  // namespace eqo::quant
