#include "eqo/train/fine_tuner.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/train/checkpoint.h"
#include "eqo/train/quant_net.h"

namespace eqo {
namespace {

void check_options(const FineTuneOptions& o) {
  if (o.epochs < 1 || o.epochs > 100000) throw usage_error("epochs must be in 1..100000");
  if (o.batch < 1 || o.batch > 65536) throw usage_error("the batch must be in 1..65536");
  if (o.threads < 1 || o.threads > o.batch) throw usage_error("threads must be in 1..the batch's size");
  if (!(o.learning_rate > 0) || !(o.learning_rate <= 1)) throw usage_error("the learning rate must be in (0, 1]");
  if (!(o.scale_rate >= 0) || !(o.scale_rate <= 1)) throw usage_error("the scales' learning rate must be in 0..1");
  if (!(o.warmup >= 0) || !(o.warmup <= 1)) throw usage_error("the warm-up's share is 0 to 1");
  if (o.gradual < 0 || o.gradual > 3) throw usage_error("weights begin with at most 3 more bits");
  if (!(o.gradual_share >= 0) || !(o.gradual_share <= 1)) throw usage_error("the gradual share is 0 to 1");
  if (o.augmentation.pad < 0 || o.augmentation.pad > 64) throw usage_error("the augmentation's padding is 0..64");
  if (o.test_every < 1) throw usage_error("the test set is evaluated every 1 or more epochs");
}

std::uint64_t problem_digest(const quant::TuneProblem& problem) {
  RunDigest d;
  for (const quant::DraftNode& n : problem.nodes) {
    d.add(static_cast<std::uint64_t>(n.node.op));
    d.add(n.node.constant);
    d.add(n.lo);
    d.add(n.hi);
    for (const int i : n.node.inputs) d.add(std::int64_t{i});
    for (const std::int64_t b : n.secrets.bias) d.add(b);
    d.add(n.secrets.scale);
  }
  for (const quant::TuneLayer& l : problem.layers) {
    for (const float w : l.weights) d.add(static_cast<double>(w));
    for (const std::vector<std::int64_t>& tap : l.levels)
      for (const std::int64_t v : tap) d.add(v);
  }
  return d.value();
}

// Everything that the result of a run depends on.
std::uint64_t run_digest(std::uint64_t problem, const std::vector<float>& state, const Preprocess& preprocess,
                         const Sampler& data, const FineTuneOptions& o) {
  RunDigest d;
  d.add(problem);
  for (const float v : state) d.add(static_cast<double>(v));
  for (const std::int64_t v : {std::int64_t{o.epochs}, std::int64_t{o.batch}, std::int64_t{o.augmentation.pad},
                               std::int64_t{o.augmentation.flip}, std::int64_t{o.threads}, std::int64_t{o.gradual}})
    d.add(v);
  for (const double v : {o.learning_rate, o.scale_rate, o.warmup, o.temperature, o.distillation, o.range_penalty,
                         o.gradual_share, preprocess.mean[0], preprocess.mean[1], preprocess.mean[2], preprocess.std[0],
                         preprocess.std[1], preprocess.std[2]})
    d.add(v);
  d.add(std::int64_t{preprocess.resize_shorter});
  d.add(o.seed);
  d.add(static_cast<std::uint64_t>(data.size()));
  return d.value();
}

// Extra bits of a weight after `done` of all steps.
unsigned halvings_at(const FineTuneOptions& o, double done) {
  if (done >= o.gradual_share) return 0;
  return static_cast<unsigned>(std::ceil(o.gradual * (1 - done / o.gradual_share)));
}

std::vector<int> labels_of(const QuantNet& net, const Sampler& data, std::size_t classes) {
  constexpr std::size_t kChunk = 100;
  std::vector<float> images;
  std::vector<std::int32_t> unused;
  std::vector<std::uint32_t> indices;
  std::vector<int> labels;
  for (std::size_t begin = 0; begin < data.size(); begin += indices.size()) {
    indices.resize(std::min(kChunk, data.size() - begin));
    for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::uint32_t>(begin + i);
    data.batch(indices, images, unused);
    const std::vector<std::int64_t> logits = net.logits(images, indices.size());
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i * classes);
      labels.push_back(static_cast<int>(std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) - row));
    }
  }
  return labels;
}

}  // namespace

FineTuneResult fine_tune(const quant::TuneProblem& problem, const Preprocess& preprocess, const Dataset& train,
                         const Dataset* test, const FineTuneOptions& options, const TwinCheck& check,
                         const std::function<void(const FineTuneProgress&)>& report) {
  check_options(options);
  const std::int64_t outputs = problem.graph.output_shape().size();
  if (outputs < 2 || outputs > 1 << 20) throw model_error("the model's output is not a vector of classes");
  const auto classes = static_cast<int>(outputs);
  const Sampler data(train, preprocess, classes);
  std::optional<Sampler> test_data;
  if (test != nullptr && check) test_data.emplace(*test, preprocess, classes);

  QuantNet net(problem, {options.temperature, options.distillation, options.range_penalty, options.threads});
  const std::uint64_t subject = problem_digest(problem);
  if (!options.start.empty()) net.start_from(load_state(options.start, subject, net.state_size()));
  const std::uint64_t run = run_digest(subject, net.state(), preprocess, data, options);
  FineTuneResult result;
  if (!options.checkpoint.empty() && options.resume && std::filesystem::exists(options.checkpoint)) {
    const Checkpoint c = load_checkpoint(options.checkpoint, run, net.state_size(), options.epochs);
    net.set_state(c.state);
    result.epochs_done = result.resumed_from = c.epochs_done;
  }

  const EpochLoop loop(data, options.augmentation, options.seed, options.epochs, options.batch);
  const auto warmup = static_cast<std::size_t>(options.warmup * static_cast<double>(loop.steps()));
  const auto verdict = [&] {
    return check(net.tuned(), labels_of(net, *test_data, static_cast<std::size_t>(classes)));
  };
  FineTuneProgress p;
  const auto tell = [&](const EpochProgress& now) {
    static_cast<EpochProgress&>(p) = now;
    if (report) report(p);
  };
  loop.run(
      result.epochs_done,
      [&](std::span<const float> images, std::span<const std::int32_t> labels, std::size_t step) {
        const double cycle = learning_rate_at(1, step, warmup, loop.steps());
        p.test.reset();
        const QuantNet::StepResult r =
            net.step(images, labels, cycle * options.learning_rate, cycle * options.scale_rate,
                     halvings_at(options, static_cast<double>(step) / static_cast<double>(loop.steps())));
        return EpochLoop::Result{r.loss, r.correct};
      },
      tell,
      [&](const EpochProgress& now) {
        result.epochs_done = now.epoch;
        result.loss = now.loss;
        result.train_accuracy = now.train_accuracy;
        if (!options.checkpoint.empty()) save_checkpoint(options.checkpoint, {run, subject, now.epoch, net.state()});
        if (test_data && (now.epoch == options.epochs || now.epoch % options.test_every == 0))
          p.test = result.test = verdict();
        tell(now);
      });
  if (test_data && result.resumed_from == options.epochs) result.test = verdict();
  result.tuned = net.tuned();
  return result;
}

}  // namespace eqo
