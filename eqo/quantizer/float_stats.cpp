#include "eqo/quantizer/float_stats.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/conv_batch.h"
#include "eqo/quantizer/gemm.h"

namespace eqo::quant {
namespace {

constexpr std::size_t kTransformedImages = 48;  // for the variances in the Winograd domain
constexpr std::size_t kSamples = 4096;

struct Moments {
  double sum = 0, squares = 0;
  std::size_t count = 0;
  template <class It>
  void add(It begin, It end) {
    for (It it = begin; it != end; ++it) {
      sum += *it;
      squares += static_cast<double>(*it) * *it;
    }
    count += static_cast<std::size_t>(end - begin);
  }
  double mean() const { return count == 0 ? 0 : sum / static_cast<double>(count); }
  double variance() const {
    return count == 0 ? 0 : std::max(0.0, squares / static_cast<double>(count) - mean() * mean());
  }
};

std::vector<Moments> channel_moments(const FloatBatch& x, ThreadPool& pool) {
  const auto channels = static_cast<std::size_t>(x.shape.c), plane = x.stride() / channels;
  std::vector<Moments> out(channels);
  pool.parallel_for(channels, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t c = begin; c < end; ++c)
      for (std::size_t n = 0; n < x.count; ++n) {
        const float* p = x.image(n) + c * plane;
        out[c].add(p, p + plane);
      }
  });
  return out;
}

std::vector<double> winograd_importance(const FloatBatch& x, const Window& window, ThreadPool& pool) {
  static constexpr double kOutputs[4] = {1, 2, 2, 1};  // of a tile's rows that a row of taps reaches
  const auto channels = static_cast<std::size_t>(x.shape.c);
  const auto tiles = static_cast<std::size_t>(winograd_tile_count(window.out_h(x.shape.h), window.out_w(x.shape.w)));
  const std::size_t images = std::min(x.count, kTransformedImages), rows = 16 * channels;
  std::vector<Moments> moments(rows);
  std::vector<float> v(rows * tiles);
  for (std::size_t n = 0; n < images; ++n) {
    winograd_tiles(x.image(n), x.shape, window, v.data(), tiles);
    pool.parallel_for(rows, 16, [&](std::size_t begin, std::size_t end) {
      for (std::size_t r = begin; r < end; ++r) moments[r].add(v.data() + r * tiles, v.data() + (r + 1) * tiles);
    });
  }
  std::vector<double> out(rows);
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t tap = r / channels;
    out[r] = moments[r].variance() * kOutputs[tap / 4] * kOutputs[tap % 4] / 4;
  }
  return out;
}

LayerStats layer_stats(const FloatNode& node, const FloatBatch& in, const FloatBatch& out, std::mt19937_64& random,
                       ThreadPool& pool) {
  LayerStats stats;
  const Window window = linear_window(node);
  for (const Moments& m : channel_moments(in, pool))
    stats.direct.insert(stats.direct.end(), static_cast<std::size_t>(window.kernel_h * window.kernel_w), m.variance());
  if (winograd_possible(node)) stats.winograd = winograd_importance(in, window, pool);
  Moments all;
  for (const Moments& m : channel_moments(out, pool)) {
    stats.channel_mean.push_back(m.mean());
    all.sum += m.sum;
    all.squares += m.squares;
    all.count += m.count;
  }
  stats.output_energy = all.variance();
  for (const float v : out.data) stats.output_magnitude = std::max(stats.output_magnitude, std::abs(v));
  for (std::size_t i = 0; i < std::min(kSamples, out.data.size()); ++i) {
    stats.sample_at.push_back(random() % out.data.size());
    stats.sample.push_back(out.data[stats.sample_at.back()]);
  }
  return stats;
}

}  // namespace

std::vector<std::size_t> last_uses(const FloatGraph& graph) {
  std::vector<std::size_t> last(graph.nodes.size(), 0);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    last[i] = std::max(last[i], i);
    for (const int in : graph.nodes[i].inputs) last[static_cast<std::size_t>(in)] = i;
  }
  last[static_cast<std::size_t>(graph.output)] = graph.nodes.size();
  return last;
}

FloatBatch run_float_node(const FloatNode& node, std::vector<const FloatBatch*> inputs, ThreadPool& pool) {
  const FloatBatch& x = *inputs.at(0);
  switch (node.op) {
    case FloatOp::kConv:
    case FloatOp::kLinear:
      return convolve(x, ConvSpec{linear_window(node), node.op == FloatOp::kLinear ? 1 : node.groups, node.shape.c},
                      node.weight, node.bias, pool);
    case FloatOp::kRelu: {
      FloatBatch out = x;
      relu_batch(out);
      return out;
    }
    case FloatOp::kClip: {
      FloatBatch out = x;
      for (float& v : out.data) v = std::min(std::max(v, node.clip_lo), node.clip_hi);
      return out;
    }
    case FloatOp::kMaxPool:
      return max_pool_batch(x, node.window, std::numeric_limits<float>::lowest(), pool);
    case FloatOp::kAvgPool: {
      FloatBatch out = sum_pool_batch(x, node.window, pool);
      const auto scale = 1.0F / static_cast<float>(node.window.kernel_h * node.window.kernel_w);
      for (float& v : out.data) v *= scale;
      return out;
    }
    case FloatOp::kAdd: {
      FloatBatch out = x;
      for (std::size_t k = 1; k < inputs.size(); ++k)
        std::transform(out.data.begin(), out.data.end(), inputs[k]->data.begin(), out.data.begin(), std::plus<>());
      return out;
    }
    case FloatOp::kConcat:
      return concat_batch<float>(inputs);
    case FloatOp::kReshape: {
      FloatBatch out = x;
      out.shape = node.shape;
      return out;
    }
    case FloatOp::kPad:
      return pad_batch(x, node.pad_before, node.pad_after);
    case FloatOp::kSlice:
      return slice_batch(x, node.start, node.step, node.shape);
    case FloatOp::kInput:
    case FloatOp::kBatchNorm:
      break;
  }
  throw internal_error(std::string("calibration can't run a ") + float_op_name(node.op));
}

FloatStats collect_stats(const FloatGraph& graph, const GraphPlan& plan, const FloatBatch& images, std::uint64_t seed,
                         ThreadPool& pool, const std::function<void(std::size_t)>& after_node) {
  const std::size_t n = graph.nodes.size();
  FloatStats stats;
  stats.tensors.resize(n);
  stats.layers.resize(n);
  std::mt19937_64 random(seed);
  const std::vector<std::size_t> last = last_uses(graph);
  std::vector<FloatBatch> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    const FloatNode& node = graph.nodes[i];
    std::vector<const FloatBatch*> inputs;
    for (const int in : node.inputs) inputs.push_back(&values[static_cast<std::size_t>(in)]);
    values[i] = node.op == FloatOp::kInput ? images : run_float_node(node, inputs, pool);
    if (is_linear(node.op)) stats.layers[i] = layer_stats(node, *inputs[0], values[i], random, pool);
    if (node.op == FloatOp::kInput || plan.tensors[i].requantize) stats.tensors[i].emplace(values[i].data);
    for (const int in : node.inputs)
      if (last[static_cast<std::size_t>(in)] == i) values[static_cast<std::size_t>(in)] = {};
    if (last[i] == i) values[i] = {};
    after_node(i);
  }
  return stats;
}

}  // namespace eqo::quant
