#include "eqo/train/torch_net.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <c10/util/Exception.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <string>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/train/torch_forward.h"
#include "eqo/train/torch_util.h"

namespace eqo {
namespace {

using at::Tensor;

// A parameter, with one differentiable alias of its memory for each worker.
struct Trained {
  Tensor value, momentum;
  double weight_decay = 0;
  std::vector<Tensor> leaves;
};

// Turns bfloat16 autocasting on for a scope of this thread. No cache: every weight is cast once per pass anyway, and
// the cache is shared between threads.
class Autocast {
 public:
  explicit Autocast(bool on) : on_(on) {
    if (!on_) return;
    at::autocast::set_autocast_cache_enabled(false);
    at::autocast::set_cpu_enabled(true);
  }
  ~Autocast() {
    if (on_) at::autocast::set_cpu_enabled(false);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool on_;
};

}  // namespace

struct TorchNet::Impl {
  Impl(const FloatGraph& g, const SgdOptions& o)
      : graph(g), options(o), tensors(g.nodes.size()), pool(static_cast<unsigned>(o.threads)) {}

  FloatGraph graph;  // structure only: its parameter vectors are emptied
  SgdOptions options;
  std::vector<TorchNode> tensors;
  std::vector<Trained> trained;
  // What each worker differentiates: aliases of the parameters, running statistics of its own.
  std::vector<std::vector<TorchNode>> replicas;
  mutable ThreadPool pool;

  void build_node(std::size_t i);
  void build_replicas();
  StepResult backward(std::size_t worker, std::span<const float> images, std::span<const std::int32_t> labels,
                      double weight);
  void merge_running_statistics();
  void update(double learning_rate);

  // Runs body(worker, begin, end) for every worker's rows of a batch, each in a thread without threads of its own.
  template <typename F>
  void for_each_shard(std::size_t batch, F body) const {
    const std::size_t workers = replicas.size();
    pool.parallel_for(workers, 1, [&](std::size_t first, std::size_t last) {
      at::init_num_threads();
      for (std::size_t w = first; w < last; ++w) {
        const auto [begin, end] = shard(batch, w, workers);
        if (begin < end) body(w, begin, end);
      }
    });
  }

  // Every tensor of the state, in order.
  template <typename F>
  void visit_state(F f) const {
    for (const TorchNode& t : tensors) {
      for (const Tensor* p : {&t.weight, &t.bias, &t.mean, &t.variance}) {
        if (p->defined()) f(*p);
      }
    }
    for (const Trained& t : trained) f(t.momentum);
  }
};

void TorchNet::Impl::build_node(std::size_t i) {
  FloatNode& node = graph.nodes[i];
  TorchNode& t = tensors[i];
  const auto input = [&]() -> const Shape& { return graph.nodes[static_cast<std::size_t>(node.inputs[0])].shape; };
  switch (node.op) {
    case FloatOp::kConv:
    case FloatOp::kLinear: {
      if (node.op == FloatOp::kConv) {
        t.weight =
            from_values(node.weight,
                        {node.shape.c, input().c / node.groups, node.window.kernel_h, node.window.kernel_w}, node.name)
                .contiguous(at::MemoryFormat::ChannelsLast);
      } else {
        t.weight = from_values(node.weight, {node.shape.c, input().c}, node.name);
      }
      trained.push_back({t.weight, at::zeros_like(t.weight), options.weight_decay, {}});
      if (!node.bias.empty()) {
        t.bias = from_values(node.bias, {node.shape.c}, node.name);
        trained.push_back({t.bias, at::zeros_like(t.bias), 0, {}});
      }
      break;
    }
    case FloatOp::kBatchNorm:
      t.weight = from_values(node.scale, {node.shape.c}, node.name);
      t.bias = from_values(node.shift, {node.shape.c}, node.name);
      t.mean = from_values(node.mean, {node.shape.c}, node.name);
      t.variance = from_values(node.variance, {node.shape.c}, node.name);
      trained.push_back({t.weight, at::zeros_like(t.weight), 0, {}});
      trained.push_back({t.bias, at::zeros_like(t.bias), 0, {}});
      break;
    case FloatOp::kAvgPool:
      if (node.window.dilation_h != 1 || node.window.dilation_w != 1) {
        throw model_error(node.name + ": dilated average pooling cannot be trained", "use another pooling");
      }
      break;
    case FloatOp::kSlice:
      if (*std::min_element(node.step.begin(), node.step.end()) < 1) {
        throw model_error(node.name + ": a slice with a negative step cannot be trained", "slice forwards");
      }
      break;
    case FloatOp::kRelu: {
      // In place only where nobody else reads the value and its producer's gradient does not need it.
      const int from = node.inputs[0];
      const FloatOp op = graph.nodes[static_cast<std::size_t>(from)].op;
      std::size_t readers = graph.output == from ? 1 : 0;
      for (const FloatNode& n : graph.nodes)
        readers += static_cast<std::size_t>(std::count(n.inputs.begin(), n.inputs.end(), from));
      t.relu_in_place = readers == 1 && (op == FloatOp::kConv || op == FloatOp::kBatchNorm || op == FloatOp::kAdd);
      break;
    }
    default:
      break;
  }
  for (std::vector<float>* v : {&node.weight, &node.bias, &node.scale, &node.shift, &node.mean, &node.variance}) {
    std::vector<float>().swap(*v);
  }
}

void TorchNet::Impl::build_replicas() {
  replicas.assign(static_cast<std::size_t>(options.threads), tensors);
  for (std::vector<TorchNode>& replica : replicas) {
    std::size_t next = 0;
    for (TorchNode& t : replica) {
      for (Tensor* p : {&t.weight, &t.bias}) {
        if (!p->defined()) continue;
        *p = p->detach();  // the same memory, another gradient
        p->set_requires_grad(true);
        trained[next++].leaves.push_back(*p);
      }
      if (t.mean.defined()) t.mean = t.mean.clone();
      if (t.variance.defined()) t.variance = t.variance.clone();
    }
  }
}

// Leaves the gradient of weight * mean loss in the worker's aliases.
TorchNet::StepResult TorchNet::Impl::backward(std::size_t worker, std::span<const float> images,
                                              std::span<const std::int32_t> labels, double weight) {
  const auto count = static_cast<std::int64_t>(labels.size());
  const Tensor x = image_tensor(images, count, graph.input_shape());
  Tensor y = at::empty({count}, at::kLong);
  std::copy(labels.begin(), labels.end(), y.data_ptr<std::int64_t>());
  for (const Trained& t : trained) t.leaves[worker].mutable_grad().reset();
  for (TorchNode& t : replicas[worker]) {
    if (!t.mean.defined()) continue;
    const TorchNode& master = tensors[static_cast<std::size_t>(&t - replicas[worker].data())];
    t.mean.copy_(master.mean);
    t.variance.copy_(master.variance);
  }
  Tensor logits;
  {
    const Autocast scope(options.bfloat16);
    logits = torch_forward(graph, replicas[worker], x, true).to(at::kFloat);
  }
  Tensor loss = at::cross_entropy_loss(logits, y, {}, at::Reduction::Mean, -100, options.label_smoothing);
  loss = loss * weight;
  loss.backward();
  return {loss.item<double>(), static_cast<std::size_t>(logits.argmax(1).eq(y).sum().item<std::int64_t>())};
}

// Each worker moved its copy of the running statistics by its own rows'; the mean of the copies moves by the mean.
void TorchNet::Impl::merge_running_statistics() {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].mean.defined()) continue;
    Tensor mean = replicas[0][i].mean.clone(), variance = replicas[0][i].variance.clone();
    for (std::size_t w = 1; w < replicas.size(); ++w) {
      mean.add_(replicas[w][i].mean);
      variance.add_(replicas[w][i].variance);
    }
    const double n = static_cast<double>(replicas.size());
    tensors[i].mean.copy_(mean.div_(n));
    tensors[i].variance.copy_(variance.div_(n));
  }
}

void TorchNet::Impl::update(double learning_rate) {
  for (Trained& t : trained) {
    Tensor gradient;  // undefined for a node that the output does not depend on
    for (const Tensor& leaf : t.leaves) {
      if (!leaf.grad().defined()) continue;
      gradient = gradient.defined() ? gradient.add(leaf.grad()) : leaf.grad();
    }
    if (!gradient.defined()) continue;
    if (t.weight_decay != 0) gradient = gradient.add(t.value, t.weight_decay);
    t.momentum.mul_(options.momentum).add_(gradient);
    t.value.sub_(options.nesterov ? gradient.add(t.momentum, options.momentum) : t.momentum, learning_rate);
  }
}

TorchNet::TorchNet(const FloatGraph& graph, const SgdOptions& options) {
  const auto in_range = [](double v, double lo, double hi) { return std::isfinite(v) && v >= lo && v < hi; };
  if (!in_range(options.momentum, 0, 1) || !in_range(options.weight_decay, 0, 1) ||
      !in_range(options.label_smoothing, 0, 1)) {
    throw usage_error("momentum, weight decay and label smoothing must be at least 0 and below 1");
  }
  if (options.threads < 1 || options.threads > 1024) throw usage_error("threads must be in 1..1024");
  impl_ = std::make_unique<Impl>(graph, options);
  guarded([&] {
    at::set_num_threads(1);  // the workers are the threads
    for (std::size_t i = 1; i < graph.nodes.size(); ++i) impl_->build_node(i);
    if (impl_->trained.empty()) throw model_error("the model has nothing to train", "give a model with weights");
    impl_->build_replicas();
  });
}

TorchNet::~TorchNet() = default;

TorchNet::StepResult TorchNet::step(std::span<const float> images, std::span<const std::int32_t> labels,
                                    double learning_rate) {
  const std::int64_t classes = impl_->graph.output_shape().size();
  const auto one = static_cast<std::size_t>(impl_->graph.input_shape().size());
  if (labels.empty() || images.size() != labels.size() * one) {
    throw usage_error("images and labels of a training step do not match");
  }
  if (std::any_of(labels.begin(), labels.end(), [&](std::int32_t l) { return l < 0 || l >= classes; })) {
    throw usage_error("a label is not a class of the model");
  }
  if (labels.size() < impl_->replicas.size()) throw usage_error("a batch of fewer images than threads");
  return guarded([&]() -> StepResult {
    std::vector<StepResult> results(impl_->replicas.size());
    impl_->for_each_shard(labels.size(), [&](std::size_t w, std::size_t begin, std::size_t end) {
      const double weight = static_cast<double>(end - begin) / static_cast<double>(labels.size());
      results[w] = impl_->backward(w, images.subspan(begin * one, (end - begin) * one),
                                   labels.subspan(begin, end - begin), weight);
    });
    const at::NoGradGuard no_grad;
    impl_->merge_running_statistics();
    impl_->update(learning_rate);
    StepResult total;
    for (const StepResult& r : results) {
      total.loss += r.loss;
      total.correct += r.correct;
    }
    return total;
  });
}

std::vector<float> TorchNet::logits(std::span<const float> images, std::size_t count) const {
  const auto one = static_cast<std::size_t>(impl_->graph.input_shape().size());
  const auto classes = static_cast<std::size_t>(impl_->graph.output_shape().size());
  if (count == 0 || images.size() != count * one) throw usage_error("images and their count do not match");
  return guarded([&] {
    std::vector<float> out(count * classes);
    impl_->for_each_shard(count, [&](std::size_t, std::size_t begin, std::size_t end) {
      const at::NoGradGuard no_grad;
      const Tensor x = image_tensor(images.subspan(begin * one, (end - begin) * one),
                                    static_cast<std::int64_t>(end - begin), impl_->graph.input_shape());
      const Tensor y = torch_forward(impl_->graph, impl_->tensors, x, false).contiguous();
      std::copy_n(y.data_ptr<float>(), y.numel(), out.begin() + static_cast<std::ptrdiff_t>(begin * classes));
    });
    return out;
  });
}

std::size_t TorchNet::state_size() const {
  std::size_t n = 0;
  impl_->visit_state([&](const Tensor& t) { n += static_cast<std::size_t>(t.numel()); });
  return n;
}

std::vector<float> TorchNet::state() const {
  std::vector<float> all, one;
  all.reserve(state_size());
  impl_->visit_state([&](const Tensor& t) {
    to_values(t, one);
    all.insert(all.end(), one.begin(), one.end());
  });
  return all;
}

void TorchNet::set_state(std::span<const float> values) {
  if (values.size() != state_size()) throw usage_error("a training state of the wrong size");
  guarded([&] {
    const at::NoGradGuard no_grad;
    impl_->visit_state([&](const Tensor& t) {
      Tensor flat = at::empty(t.sizes(), at::kFloat);
      const auto n = static_cast<std::size_t>(t.numel());
      std::copy_n(values.begin(), n, flat.data_ptr<float>());
      values = values.subspan(n);
      Tensor target = t;
      target.copy_(flat);
    });
  });
}

void TorchNet::write_back(FloatGraph& graph) const {
  if (graph.nodes.size() != impl_->graph.nodes.size()) throw usage_error("a graph of another structure");
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    FloatNode& node = graph.nodes[i];
    const TorchNode& t = impl_->tensors[i];
    if (node.op != impl_->graph.nodes[i].op) throw usage_error("a graph of another structure");
    const bool norm = node.op == FloatOp::kBatchNorm;
    if (t.weight.defined()) to_values(t.weight, norm ? node.scale : node.weight);
    if (t.bias.defined()) to_values(t.bias, norm ? node.shift : node.bias);
    if (t.mean.defined()) to_values(t.mean, node.mean);
    if (t.variance.defined()) to_values(t.variance, node.variance);
  }
}

}  // namespace eqo
