#include "eqo/train/hessian.h"

#include <ATen/ATen.h>
#include <torch/autograd.h>

#include <algorithm>
#include <random>

#include "eqo/core/error.h"
#include "eqo/train/torch_forward.h"
#include "eqo/train/torch_nodes.h"
#include "eqo/train/torch_util.h"

namespace eqo {
namespace {

using at::Tensor;
using torch::autograd::variable_list;

constexpr std::size_t kBatch = 16;

Tensor random_signs(const Tensor& like, std::mt19937_64& random) {
  Tensor v = at::empty_like(like, at::MemoryFormat::Contiguous);
  float* p = v.data_ptr<float>();
  for (std::int64_t i = 0; i < v.numel(); ++i) p[i] = (random() >> 63) != 0 ? 1.0F : -1.0F;
  return v;
}

// v^T H v of each parameter, summed over probes, for the mean loss of the images.
void add_products(const FloatGraph& graph, const std::vector<TorchNode>& nodes, const variable_list& parameters,
                  const Tensor& images, const HessianOptions& o, std::mt19937_64& random, std::vector<double>& sums) {
  const Tensor logits = torch_forward(graph, nodes, images, false) / o.temperature;
  const Tensor unchanged = at::softmax(logits, 1).detach();
  const Tensor loss = -(unchanged * at::log_softmax(logits, 1)).sum() / images.size(0);
  const variable_list first = torch::autograd::grad({loss}, parameters, {}, true, true);
  for (int probe = 0; probe < o.probes; ++probe) {
    variable_list signs;
    for (const Tensor& p : parameters) signs.push_back(random_signs(p, random));
    const variable_list second = torch::autograd::grad(first, parameters, signs, true, false, true);
    for (std::size_t i = 0; i < parameters.size(); ++i)
      if (second[i].defined()) sums[i] += (signs[i] * second[i]).sum().item<double>();
  }
}

// The mean diagonal of each parameter's block.
std::vector<double> mean_diagonals(const FloatGraph& graph, const std::vector<TorchNode>& nodes,
                                   const variable_list& parameters, std::span<const float> images, std::size_t count,
                                   const HessianOptions& o) {
  std::mt19937_64 random(o.seed);
  const std::size_t one = images.size() / count;
  std::vector<double> total(parameters.size(), 0);
  for (std::size_t begin = 0; begin < count; begin += kBatch) {
    const std::size_t n = std::min(kBatch, count - begin);
    std::vector<double> sums(parameters.size(), 0);
    const Tensor x =
        image_tensor(images.subspan(begin * one, n * one), static_cast<std::int64_t>(n), graph.input_shape());
    add_products(graph, nodes, parameters, x, o, random, sums);
    for (std::size_t i = 0; i < sums.size(); ++i)
      total[i] += sums[i] * static_cast<double>(n) / static_cast<double>(count) / o.probes /
                  static_cast<double>(parameters[i].numel());
  }
  return total;
}

}  // namespace

std::vector<HessianTrace> hessian_traces(const FloatGraph& graph, std::span<const float> images, std::size_t count,
                                         const HessianOptions& options) {
  if (count == 0 || images.size() != count * static_cast<std::size_t>(graph.input_shape().size()))
    throw usage_error("images and their count do not match");
  if (options.probes < 1 || options.probes > 100000) throw usage_error("probes must be in 1..100000");
  if (!(options.temperature > 0) || !(options.temperature <= 1000))
    throw usage_error("the temperature must be in (0, 1000]");
  return guarded([&] {
    std::vector<HessianTrace> out;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i)
      if (graph.nodes[i].op == FloatOp::kConv || graph.nodes[i].op == FloatOp::kLinear) out.push_back({i, 0, 0});
    for (const bool winograd : {false, true}) {
      std::vector<TorchNode> nodes = torch_nodes(graph, winograd);
      variable_list parameters;
      std::vector<double*> to;
      for (HessianTrace& layer : out) {
        TorchNode& node = nodes[layer.node];
        if (winograd && !node.taps.defined()) continue;
        node.taps_by_kernels = true;
        parameters.push_back(winograd ? node.taps : node.weight);
        parameters.back().set_requires_grad(true);
        to.push_back(winograd ? &layer.winograd : &layer.direct);
      }
      if (parameters.empty()) continue;
      const std::vector<double> found = mean_diagonals(graph, nodes, parameters, images, count, options);
      for (std::size_t i = 0; i < found.size(); ++i) *to[i] = found[i];
    }
    return out;
  });
}

}  // namespace eqo
