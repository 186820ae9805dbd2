#include "eqo/train/trainer.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/importer/passes.h"
#include "eqo/train/checkpoint.h"
#include "eqo/train/torch_net.h"

namespace eqo {
namespace {

void check(const TrainOptions& o) {
  if (o.epochs < 1 || o.epochs > 100000) throw usage_error("epochs must be in 1..100000");
  if (o.batch < 1 || o.batch > 65536) throw usage_error("the batch must be in 1..65536");
  if (o.threads < 1 || o.threads > o.batch) throw usage_error("threads must be in 1..the batch's size");
  if (!(o.learning_rate > 0) || !(o.learning_rate <= 100)) throw usage_error("the learning rate must be in (0, 100]");
  if (!(o.warmup_epochs >= 0) || !(o.warmup_epochs <= o.epochs)) {
    throw usage_error("the warm-up must be between 0 and all epochs");
  }
  if (o.augmentation.pad < 0 || o.augmentation.pad > 64) throw usage_error("the augmentation's padding is 0..64");
  if (o.test_every < 1) throw usage_error("the test set is evaluated every 1 or more epochs");
}

// Everything that the result of a run depends on.
std::uint64_t run_digest(const FloatGraph& graph, const Sampler& data, const TrainOptions& o) {
  RunDigest d;
  d.add(std::int64_t{graph.output});
  for (const FloatNode& n : graph.nodes) {
    d.add(static_cast<std::uint64_t>(n.op));
    for (const std::int64_t v : {n.shape.c, n.shape.h, n.shape.w, n.window.kernel_h, n.window.kernel_w,
                                 n.window.stride_h, n.window.stride_w, n.groups}) {
      d.add(v);
    }
    for (const int i : n.inputs) d.add(std::int64_t{i});
  }
  for (const std::int64_t v :
       {std::int64_t{o.epochs}, std::int64_t{o.batch}, std::int64_t{o.nesterov}, std::int64_t{o.augmentation.pad},
        std::int64_t{o.augmentation.flip}, std::int64_t{o.bfloat16}, std::int64_t{o.threads}}) {
    d.add(v);
  }
  for (const double v : {o.learning_rate, o.warmup_epochs, o.momentum, o.weight_decay, o.label_smoothing, o.mean[0],
                         o.mean[1], o.mean[2], o.std[0], o.std[1], o.std[2]}) {
    d.add(v);
  }
  d.add(o.seed);
  d.add(static_cast<std::uint64_t>(data.size()));
  return d.value();
}

double accuracy(const TorchNet& net, const Sampler& data, std::size_t classes) {
  constexpr std::size_t kChunk = 250;
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  std::vector<std::uint32_t> indices;
  std::size_t correct = 0;
  for (std::size_t begin = 0; begin < data.size(); begin += indices.size()) {
    indices.resize(std::min(kChunk, data.size() - begin));
    for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::uint32_t>(begin + i);
    data.batch(indices, images, labels);
    const std::vector<float> logits = net.logits(images, indices.size());
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i * classes);
      const auto best = std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) - row;
      correct += best == labels[i] ? 1 : 0;
    }
  }
  return static_cast<double>(correct) / static_cast<double>(data.size());
}

}  // namespace

bool processor_has_bfloat16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

TrainResult train(FloatGraph& graph, const Dataset& train, const Dataset* test, const TrainOptions& options,
                  const std::function<void(const TrainProgress&)>& report) {
  check(options);
  validate(graph);
  const Preprocess preprocess{graph.input_shape(), 0, options.mean, options.std};
  const std::int64_t outputs = graph.output_shape().size();
  if (outputs < 2 || outputs > 1 << 20) throw model_error("the model's output is not a vector of classes");
  const auto classes = static_cast<int>(outputs);
  const Sampler data(train, preprocess, classes);
  std::optional<Sampler> test_data;
  if (test != nullptr) test_data.emplace(*test, preprocess, classes);

  TorchNet net(graph, {options.momentum, options.weight_decay, options.nesterov, options.label_smoothing,
                       options.bfloat16, options.threads});
  const std::uint64_t run = run_digest(graph, data, options);
  TrainResult result;
  if (!options.checkpoint.empty() && options.resume && std::filesystem::exists(options.checkpoint)) {
    const Checkpoint c = load_checkpoint(options.checkpoint, run, net.state_size(), options.epochs);
    net.set_state(c.state);
    result.epochs_done = result.resumed_from = c.epochs_done;
  }

  // Batch norm needs full batches, and the loop gives no others.
  const EpochLoop loop(data, options.augmentation, options.seed, options.epochs, options.batch);
  const auto warmup = static_cast<std::size_t>(options.warmup_epochs * static_cast<double>(loop.steps()) /
                                               static_cast<double>(options.epochs));
  TrainProgress p;
  const auto tell = [&](const EpochProgress& now) {
    static_cast<EpochProgress&>(p) = now;
    if (report) report(p);
  };
  loop.run(
      result.epochs_done,
      [&](std::span<const float> images, std::span<const std::int32_t> labels, std::size_t step) {
        p.learning_rate = learning_rate_at(options.learning_rate, step, warmup, loop.steps());
        p.test_accuracy = -1;
        const TorchNet::StepResult r = net.step(images, labels, p.learning_rate);
        return EpochLoop::Result{r.loss, r.correct};
      },
      tell,
      [&](const EpochProgress& now) {
        result.epochs_done = now.epoch;
        result.loss = now.loss;
        result.train_accuracy = now.train_accuracy;
        if (!options.checkpoint.empty()) save_checkpoint(options.checkpoint, {run, run, now.epoch, net.state()});
        if (test_data && (now.epoch == options.epochs || now.epoch % options.test_every == 0))
          p.test_accuracy = result.test_accuracy = accuracy(net, *test_data, static_cast<std::size_t>(classes));
        tell(now);
      });
  if (test_data && result.resumed_from == options.epochs) {
    result.test_accuracy = accuracy(net, *test_data, static_cast<std::size_t>(classes));
  }
  net.write_back(graph);
  return result;
}

}  // namespace eqo
