#include "eqo/train/trainer.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <optional>
#include <span>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/importer/passes.h"
#include "eqo/train/checkpoint.h"
#include "eqo/train/torch_net.h"

namespace eqo {
namespace {

using Clock = std::chrono::steady_clock;

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

double learning_rate_at(double peak, std::size_t step, std::size_t warmup, std::size_t steps) {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double done =
      static_cast<double>(step - warmup) / static_cast<double>(std::max<std::size_t>(1, steps - warmup));
  return peak * 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(done, 1.0)));
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

  // Without this every large tensor is mapped and unmapped anew, and its pages are zeroed each time.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  TorchNet net(graph, {options.momentum, options.weight_decay, options.nesterov, options.label_smoothing,
                       options.bfloat16, options.threads});
  const std::uint64_t run = run_digest(graph, data, options);
  TrainResult result;
  if (!options.checkpoint.empty() && options.resume && std::filesystem::exists(options.checkpoint)) {
    const Checkpoint c = load_checkpoint(options.checkpoint, run, net.state_size(), options.epochs);
    net.set_state(c.state);
    result.epochs_done = result.resumed_from = c.epochs_done;
  }

  // Batch norm needs full batches: what is left over at an epoch's end waits for the next shuffle.
  const std::size_t batch = std::min(data.size(), static_cast<std::size_t>(options.batch));
  const std::size_t batches = data.size() / batch, steps = batches * static_cast<std::size_t>(options.epochs);
  const auto warmup = static_cast<std::size_t>(options.warmup_epochs * static_cast<double>(batches));
  const Clock::time_point start = Clock::now();
  Clock::time_point last_report = start;
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  for (int epoch = result.epochs_done; epoch < options.epochs; ++epoch) {
    const std::vector<std::uint32_t> order = data.order(options.seed, epoch);
    std::mt19937_64 generator = Sampler::generator(options.seed, epoch);
    TrainProgress p{.epoch = epoch + 1, .epochs = options.epochs, .batches = batches};
    double loss = 0;
    std::size_t correct = 0;
    for (std::size_t b = 0; b < batches; ++b) {
      data.augmented_batch(std::span(order).subspan(b * batch, batch), options.augmentation, generator, images, labels);
      const std::size_t step = static_cast<std::size_t>(epoch) * batches + b;
      p.learning_rate = learning_rate_at(options.learning_rate, step, warmup, steps);
      const TorchNet::StepResult r = net.step(images, labels, p.learning_rate);
      if (!std::isfinite(r.loss)) {
        throw data_error("the training diverged in epoch " + std::to_string(epoch + 1), "use a lower learning rate");
      }
      loss += r.loss;
      correct += r.correct;
      p.batch = b + 1;
      p.loss = loss / static_cast<double>(b + 1);
      p.train_accuracy = static_cast<double>(correct) / static_cast<double>((b + 1) * batch);
      if (report && b + 1 < batches && Clock::now() - last_report > std::chrono::milliseconds(300)) {
        last_report = Clock::now();
        p.seconds = seconds();
        report(p);
      }
    }
    result.epochs_done = epoch + 1;
    result.loss = p.loss;
    result.train_accuracy = p.train_accuracy;
    if (!options.checkpoint.empty()) save_checkpoint(options.checkpoint, {run, epoch + 1, net.state()});
    const bool last = epoch + 1 == options.epochs;
    if (test_data && (last || (epoch + 1) % options.test_every == 0)) {
      p.test_accuracy = result.test_accuracy = accuracy(net, *test_data, static_cast<std::size_t>(classes));
    }
    p.epoch_done = true;
    p.seconds = seconds();
    if (report) report(p);
  }
  if (test_data && result.resumed_from == options.epochs) {
    result.test_accuracy = accuracy(net, *test_data, static_cast<std::size_t>(classes));
  }
  net.write_back(graph);
  return result;
}

}  // namespace eqo
