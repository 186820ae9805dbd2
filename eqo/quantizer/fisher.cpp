#include "eqo/quantizer/fisher.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/backward.h"
#include "eqo/quantizer/float_stats.h"
#include "eqo/quantizer/graph_analysis.h"

namespace eqo::quant {
namespace {

constexpr std::size_t kParts = 4;         // of a chunk's images, summed apart and then in order
constexpr double kChunkElements = 1.5e8;  // of all tensors and their gradients
constexpr std::size_t kMaxChunk = 16;

std::size_t at(int i) { return static_cast<std::size_t>(i); }

// softmax - one_hot(a label drawn from the softmax), for every image.
FloatBatch label_gradient(const FloatBatch& logits, std::mt19937_64& random) {
  FloatBatch g(logits.shape, logits.count);
  const std::size_t classes = logits.stride();
  for (std::size_t n = 0; n < logits.count; ++n) {
    const float* x = logits.image(n);
    const double most = *std::max_element(x, x + classes);
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) sum += std::exp(static_cast<double>(x[k]) - most);
    double left = static_cast<double>(random() >> 11) * 0x1p-53 * sum;
    std::size_t label = 0;
    for (; label + 1 < classes; ++label) {
      left -= std::exp(static_cast<double>(x[label]) - most);
      if (left < 0) break;
    }
    for (std::size_t k = 0; k < classes; ++k)
      g.image(n)[k] = static_cast<float>(std::exp(static_cast<double>(x[k]) - most) / sum - (k == label ? 1 : 0));
  }
  return g;
}

FloatBatch sign_gradient(const FloatBatch& logits, std::mt19937_64& random) {
  FloatBatch g(logits.shape, logits.count);
  for (float& v : g.data) v = random() % 2 == 0 ? 1.0F : -1.0F;
  return g;
}

// Adds the squares of every image's gradient.
template <class Gradient>
void add_squares(std::size_t images, std::size_t size, std::vector<double>& sum, ThreadPool& pool, Gradient gradient) {
  std::array<std::vector<double>, kParts> parts;
  pool.parallel_for(kParts, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t part = begin; part < end; ++part) {
      parts[part].assign(size, 0.0);
      for (std::size_t n = part; n < images; n += kParts) {
        const std::vector<float> g = gradient(n);
        for (std::size_t i = 0; i < size; ++i) parts[part][i] += static_cast<double>(g[i]) * g[i];
      }
    }
  });
  sum.resize(size, 0.0);
  for (const std::vector<double>& part : parts)
    for (std::size_t i = 0; i < size; ++i) sum[i] += part[i];
}

void add_chunk(const FloatGraph& graph, const FloatBatch& images, SensitivityMeasure measure, std::mt19937_64& random,
               ThreadPool& pool, Fisher& fisher) {
  const std::size_t nodes = graph.nodes.size();
  std::vector<FloatBatch> values(nodes), gradients(nodes);
  const auto inputs_of = [&](const FloatNode& node) {
    std::vector<const FloatBatch*> in;
    for (const int i : node.inputs) in.push_back(&values[at(i)]);
    return in;
  };
  for (std::size_t i = 0; i < nodes; ++i)
    values[i] = i == 0 ? images : run_float_node(graph.nodes[i], inputs_of(graph.nodes[i]), pool);
  const FloatBatch& logits = values[at(graph.output)];
  gradients[at(graph.output)] =
      measure == SensitivityMeasure::kFisher ? label_gradient(logits, random) : sign_gradient(logits, random);
  for (std::size_t i = nodes; i-- > 0;) {
    const FloatNode& node = graph.nodes[i];
    const FloatBatch gradient = std::move(gradients[i]);
    if (gradient.data.empty()) continue;  // does not reach the output
    for (const float g : gradient.data) fisher.tensors[i] += static_cast<double>(g) * g;
    if (node.op == FloatOp::kInput) continue;
    if (is_linear(node.op)) {
      const FloatBatch& x = values[at(node.inputs[0])];
      add_squares(images.count, node.weight.size(), fisher.layers[i].direct, pool,
                  [&](std::size_t n) { return weight_gradient(node, x, gradient, n); });
      if (winograd_possible(node))
        add_squares(images.count, node.weight.size() / 9 * 16, fisher.layers[i].winograd, pool,
                    [&](std::size_t n) { return winograd_gradient(node, x, gradient, n); });
    }
    std::vector<FloatBatch*> into;
    for (const int in : node.inputs) {
      FloatBatch& g = gradients[at(in)];
      if (g.data.empty()) g = FloatBatch(values[at(in)].shape, images.count);
      into.push_back(&g);
    }
    backpropagate(node, inputs_of(node), values[i], gradient, into, pool);
  }
}

}  // namespace

Fisher output_fisher(const FloatGraph& graph, const FloatBatch& images, SensitivityMeasure measure, std::uint64_t seed,
                     ThreadPool& pool) {
  Fisher fisher;
  fisher.layers.resize(graph.nodes.size());
  fisher.tensors.assign(graph.nodes.size(), 0.0);
  double elements = 0;
  for (const FloatNode& node : graph.nodes) elements += 2 * static_cast<double>(node.shape.size());
  const std::size_t chunk = std::clamp<std::size_t>(static_cast<std::size_t>(kChunkElements / elements), 1, kMaxChunk);
  std::mt19937_64 random(seed);
  for (std::size_t first = 0; first < images.count; first += chunk) {
    FloatBatch part(images.shape, std::min(chunk, images.count - first));
    std::copy_n(images.image(first), part.data.size(), part.data.begin());
    add_chunk(graph, part, measure, random, pool, fisher);
  }
  const double count = static_cast<double>(images.count);
  for (Fisher::Layer& layer : fisher.layers)
    for (std::vector<double>* v : {&layer.direct, &layer.winograd})
      for (double& x : *v) x /= count;
  for (double& x : fisher.tensors) x /= count;
  return fisher;
}

}  // namespace eqo::quant
