#include "eqo/train/quant_net.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/train/quant_ops.h"
#include "eqo/train/quant_program.h"
#include "eqo/train/torch_forward.h"
#include "eqo/train/torch_nodes.h"
#include "eqo/train/torch_util.h"

namespace eqo {
namespace {

using at::Tensor;

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
constexpr double kBiasPace = 0.01;   // of the largest magnitude that the layer's outputs had in calibration
constexpr double kLeastPace = 0.01;  // of a tap's weights, as a share of the layer's largest
constexpr double kTapPace = 0.5;     // of weights of which an output adds up nine taps

// A parameter, Adam's moments of it, and one differentiable alias of its memory for each worker.
struct Trained {
  Tensor value, first, second;
  std::vector<Tensor> leaves;
  Tensor pace;  // what a step at the rate 1 moves it by, about
};

// Of weights [taps][...]: the root mean square of each tap's, as [taps, 1].
Tensor weights_pace(const Tensor& weights) {
  const Tensor rms = weights.square().mean(1, true).sqrt_();
  const double most = rms.max().item<double>();
  if (most == 0) return at::ones_like(rms);
  return rms.clamp_min(kLeastPace * most) * (weights.size(0) > 1 ? kTapPace : 1.0);
}

}  // namespace

struct QuantNet::Impl {
  Impl(const quant::TuneProblem& p, const QuantNetOptions& o)
      : options(o),
        program(p),
        graph(p.graph),
        teacher(torch_nodes(p.graph, true)),
        input_scale(p.input_scale),
        input_most(std::exp2(static_cast<double>(p.input_bits) - 1)),
        output_scale(p.output_scale),
        output_group(static_cast<std::int64_t>(p.output_group)),
        pool(static_cast<unsigned>(o.threads)) {}

  QuantNetOptions options;
  QuantProgram program;
  FloatGraph graph;  // the teacher's
  std::vector<TorchNode> teacher;
  double input_scale, input_most, output_scale;
  std::int64_t output_group;
  std::vector<Trained> trained;  // logarithms of the factors, then weights and bias of every layer
  Tensor scale_gradient;         // by which the gradient of the factors is multiplied
  double steps = 0;
  mutable ThreadPool pool;

  void build(const quant::TuneProblem& problem);
  // The program's parameters: a worker's aliases, or the masters.
  QuantParameters parameters(int worker) const;
  Tensor integers(std::span<const float> images, std::int64_t count) const;
  StepResult backward(std::size_t worker, std::span<const float> images, std::span<const std::int32_t> labels,
                      std::size_t batch, unsigned halvings);
  void update(double rate, double scale_rate);

  template <typename F>
  void for_each_shard(std::size_t batch, F body) const {
    const auto workers = static_cast<std::size_t>(options.threads);
    pool.parallel_for(workers, 1, [&](std::size_t first, std::size_t last) {
      at::init_num_threads();
      for (std::size_t w = first; w < last; ++w) {
        const auto [begin, end] = shard(batch, w, workers);
        if (begin < end) body(w, begin, end);
      }
    });
  }

  template <typename F>
  void visit_state(F f) const {
    for (const Trained& t : trained)
      for (const Tensor* p : {&t.value, &t.first, &t.second}) f(*p);
  }
};

void QuantNet::Impl::build(const quant::TuneProblem& problem) {
  const auto add = [&](const Tensor& value, const Tensor& pace) {
    Trained t{value, at::zeros_like(value), at::zeros_like(value), {}, pace};
    for (int w = 0; w < options.threads; ++w) {
      t.leaves.push_back(value.detach());  // the same memory, another gradient
      t.leaves.back().set_requires_grad(true);
    }
    trained.push_back(std::move(t));
  };
  const auto groups = static_cast<std::int64_t>(problem.fixed_group.size());
  add(at::zeros({groups}, at::kFloat), at::ones({1}));
  // 1 / sqrt(N Q) for the N weights whose steps a factor scales and the largest level Q (LSQ, section 2.2).
  std::vector<double> weights(problem.fixed_group.size(), 0);
  for (const quant::TuneLayer& layer : problem.layers) {
    const double n = static_cast<double>(layer.weights.size()) * static_cast<double>(layer.levels.front().size()) / 2;
    weights[layer.in_group] += n;
    weights[layer.out_group] += n;
    std::vector<float> real(layer.weights.size());
    for (std::size_t i = 0; i < real.size(); ++i)
      real[i] = static_cast<float>(static_cast<double>(layer.weights[i]) * layer.step);
    const auto taps = static_cast<std::int64_t>(layer.levels.size());
    const Tensor weights_of_taps = from_values(real, {taps, static_cast<std::int64_t>(real.size()) / taps}, "weights");
    add(weights_of_taps, weights_pace(weights_of_taps));
    const DraftBias bias = draft_bias(problem, layer);
    std::vector<float> real_bias;
    for (const std::int64_t b : bias.values)
      real_bias.push_back(static_cast<float>(static_cast<double>(b) * bias.scale));
    const quant::DraftNode& output = problem.nodes[static_cast<std::size_t>(layer.draft_node)];
    const auto most = static_cast<double>(std::max({std::int64_t{1}, -output.lo, output.hi}));
    add(from_values(real_bias, {static_cast<std::int64_t>(real_bias.size())}, "bias"),
        at::full({1}, kBiasPace * most * bias.scale));
  }
  std::vector<float> factors;
  for (std::size_t g = 0; g < weights.size(); ++g)
    factors.push_back(problem.fixed_group[g] || weights[g] == 0 ? 0.0F : static_cast<float>(1 / std::sqrt(weights[g])));
  scale_gradient = from_values(factors, {groups}, "scales");
}

QuantParameters QuantNet::Impl::parameters(int worker) const {
  const auto pick = [&](const Trained& t) { return worker < 0 ? t.value : t.leaves[static_cast<std::size_t>(worker)]; };
  QuantParameters p{pick(trained[0]), {}, {}};
  for (std::size_t i = 1; i + 1 < trained.size(); i += 2) {
    p.weights.push_back(pick(trained[i]));
    p.biases.push_back(pick(trained[i + 1]));
  }
  return p;
}

// The quantized images, as the quantizer and quantize_image() make them.
Tensor QuantNet::Impl::integers(std::span<const float> images, std::int64_t count) const {
  std::vector<float> x(images.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(
        std::clamp(std::nearbyint(static_cast<double>(images[i]) / input_scale), -input_most, input_most - 1));
  return image_tensor(x, count, graph.input_shape());
}

// Leaves the gradient of this worker's part of the mean loss in its aliases.
QuantNet::StepResult QuantNet::Impl::backward(std::size_t worker, std::span<const float> images,
                                              std::span<const std::int32_t> labels, std::size_t batch,
                                              unsigned halvings) {
  const auto count = static_cast<std::int64_t>(labels.size());
  for (Trained& t : trained) t.leaves[worker].mutable_grad().reset();
  Tensor y = at::empty({count}, at::kLong);
  std::copy(labels.begin(), labels.end(), y.data_ptr<std::int64_t>());
  Tensor taught;
  {
    const at::NoGradGuard no_grad;
    const Tensor real = torch_forward(graph, teacher, image_tensor(images, count, graph.input_shape()), false);
    taught = at::softmax(real / options.temperature, 1);
  }
  const QuantParameters p = parameters(static_cast<int>(worker));
  const double penalty = options.range_penalty / static_cast<double>(batch);
  const Tensor integer = program.run(p, integers(images, count), {penalty, halvings});
  const Tensor logits = integer * (p.log_factor.select(0, output_group).exp() * output_scale);
  const Tensor hard = at::cross_entropy_loss(logits, y, {}, at::Reduction::Sum);
  const Tensor soft = at::kl_div(at::log_softmax(logits / options.temperature, 1), taught, at::Reduction::Sum);
  const double t = options.temperature, d = options.distillation;
  const Tensor loss = (hard * (1 - d) + soft * (d * t * t)) / static_cast<double>(batch);
  loss.backward();
  return {loss.item<double>(), static_cast<std::size_t>(integer.argmax(1).eq(y).sum().item<std::int64_t>())};
}

void QuantNet::Impl::update(double rate, double scale_rate) {
  ++steps;
  const double correct1 = 1 - std::pow(kBeta1, steps), correct2 = 1 - std::pow(kBeta2, steps);
  for (std::size_t i = 0; i < trained.size(); ++i) {
    Trained& t = trained[i];
    Tensor gradient;  // undefined for what the output does not depend on
    for (const Tensor& leaf : t.leaves) {
      if (!leaf.grad().defined()) continue;
      gradient = gradient.defined() ? gradient.add(leaf.grad()) : leaf.grad();
    }
    if (!gradient.defined()) continue;
    if (i == 0) gradient = gradient * scale_gradient;
    t.first.mul_(kBeta1).add_(gradient, 1 - kBeta1);
    t.second.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
    const Tensor scale = (t.second / correct2).sqrt_().add_(kEpsilon);
    t.value.addcdiv_(t.first * t.pace, scale, -(i == 0 ? scale_rate : rate) / correct1);
  }
}

QuantNet::QuantNet(const quant::TuneProblem& problem, const QuantNetOptions& o) {
  if (!(o.temperature > 0) || !(o.temperature <= 1000)) throw usage_error("the temperature must be in (0, 1000]");
  if (!(o.distillation >= 0) || !(o.distillation <= 1)) throw usage_error("the distillation's share is 0 to 1");
  if (!(o.range_penalty >= 0) || !(o.range_penalty <= 1e6)) throw usage_error("the range penalty is 0 to 1e6");
  if (o.threads < 1 || o.threads > 1024) throw usage_error("threads must be in 1..1024");
  guarded([&] {
    at::set_num_threads(1);  // the workers are the threads
    impl_ = std::make_unique<Impl>(problem, o);
    impl_->build(problem);
  });
}

QuantNet::~QuantNet() = default;

QuantNet::StepResult QuantNet::step(std::span<const float> images, std::span<const std::int32_t> labels, double rate,
                                    double scale_rate, unsigned halvings) {
  if (halvings > QuantProgram::kMostHalvings) throw usage_error("the levels of a weight are halved too often");
  const std::int64_t classes = impl_->graph.output_shape().size();
  const auto one = static_cast<std::size_t>(impl_->graph.input_shape().size());
  if (labels.empty() || images.size() != labels.size() * one)
    throw usage_error("images and labels of a training step do not match");
  if (std::any_of(labels.begin(), labels.end(), [&](std::int32_t l) { return l < 0 || l >= classes; }))
    throw usage_error("a label is not a class of the model");
  return guarded([&]() -> StepResult {
    std::vector<StepResult> results(static_cast<std::size_t>(impl_->options.threads));
    impl_->for_each_shard(labels.size(), [&](std::size_t w, std::size_t begin, std::size_t end) {
      results[w] = impl_->backward(w, images.subspan(begin * one, (end - begin) * one),
                                   labels.subspan(begin, end - begin), labels.size(), halvings);
    });
    const at::NoGradGuard no_grad;
    impl_->update(rate, scale_rate);
    StepResult total;
    for (const StepResult& r : results) {
      total.loss += r.loss;
      total.correct += r.correct;
    }
    return total;
  });
}

std::vector<std::int64_t> QuantNet::logits(std::span<const float> images, std::size_t count) const {
  const auto one = static_cast<std::size_t>(impl_->graph.input_shape().size());
  const auto classes = static_cast<std::size_t>(impl_->graph.output_shape().size());
  if (count == 0 || images.size() != count * one) throw usage_error("images and their count do not match");
  return guarded([&] {
    std::vector<std::int64_t> out(count * classes);
    impl_->for_each_shard(count, [&](std::size_t, std::size_t begin, std::size_t end) {
      const at::NoGradGuard no_grad;
      const Tensor x =
          impl_->integers(images.subspan(begin * one, (end - begin) * one), static_cast<std::int64_t>(end - begin));
      const Tensor y = impl_->program.run(impl_->parameters(-1), x, {}).contiguous();
      const float* from = y.data_ptr<float>();
      for (std::size_t i = 0; i < (end - begin) * classes; ++i) out[begin * classes + i] = std::llrint(from[i]);
    });
    return out;
  });
}

quant::Tuned QuantNet::tuned() const {
  return guarded([&] {
    const at::NoGradGuard no_grad;
    return impl_->program.tuned(impl_->parameters(-1));
  });
}

std::size_t QuantNet::state_size() const {
  std::size_t n = 1;
  impl_->visit_state([&](const Tensor& t) { n += static_cast<std::size_t>(t.numel()); });
  return n;
}

std::vector<float> QuantNet::state() const {
  std::vector<float> all{static_cast<float>(impl_->steps)}, one;
  impl_->visit_state([&](const Tensor& t) {
    to_values(t, one);
    all.insert(all.end(), one.begin(), one.end());
  });
  return all;
}

void QuantNet::set_state(std::span<const float> values) {
  if (values.size() != state_size()) throw usage_error("a training state of the wrong size");
  impl_->steps = static_cast<double>(values[0]);
  values = values.subspan(1);
  impl_->visit_state([&](const Tensor& t) {
    const auto n = static_cast<std::size_t>(t.numel());
    std::copy_n(values.begin(), n, t.data_ptr<float>());
    values = values.subspan(n);
  });
}

void QuantNet::start_from(std::span<const float> values) {
  set_state(values);
  const at::NoGradGuard no_grad;
  impl_->steps = 0;
  for (const Trained& t : impl_->trained) {
    t.first.zero_();
    t.second.zero_();
  }
}

}  // namespace eqo
