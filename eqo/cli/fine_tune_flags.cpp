#include "eqo/cli/fine_tune_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "eqo/cli/progress.h"
#include "eqo/cli/train_plugin.h"
#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/model/quantize.h"
#include "eqo/model/twin.h"

namespace eqo::cli {
namespace {

TwinVerdict judge(const Model& model, const Dataset& data, std::span<const int> labels, unsigned threads) {
  constexpr std::size_t kBatch = 8;
  const Twin twin(model);
  std::atomic<std::size_t> correct = 0, differing = 0;
  std::atomic<std::uint64_t> overflowed = 0;
  ThreadPool pool(threads);
  pool.parallel_for((data.size() + kBatch - 1) / kBatch, 1, [&](std::size_t begin, std::size_t end) {
    ThreadPool one(1);
    for (std::size_t b = begin; b < end; ++b) {
      const std::size_t first = b * kBatch, last = std::min(first + kBatch, data.size());
      std::vector<Word> images;
      for (std::size_t i = first; i < last; ++i) {
        const std::vector<Word> image = quantize_image(model.plan, data.input(i, model.plan.preprocess));
        images.insert(images.end(), image.begin(), image.end());
      }
      const std::vector<Twin::Result> results = twin.run_batch(images, last - first, &one);
      for (std::size_t i = first; i < last; ++i) {
        const Twin::Result& r = results[i - first];
        correct += r.label == data.label(i) ? 1 : 0;
        differing += r.label != labels[i] ? 1 : 0;
        overflowed += r.overflowed;
      }
    }
  });
  return {static_cast<double>(correct) / static_cast<double>(data.size()), data.size(), differing, overflowed};
}

nlohmann::json describe(const FineTuneResult& r) {
  nlohmann::json d{{"epochs", r.epochs_done},
                   {"resumed_from", r.resumed_from},
                   {"loss", r.loss},
                   {"train_accuracy", r.train_accuracy}};
  if (r.test) {
    d["test_accuracy"] = r.test->accuracy;
    d["test_images"] = r.test->count;
    d["overflowed"] = r.test->overflowed;
    d["labels_differing"] = r.test->differing;
  }
  return d;
}

}  // namespace

void add_fine_tune_flags(CLI::App& cmd, FineTuneFlags& flags) {
  FineTuneOptions& o = flags.options;
  const char* group = "Fine-tuning (libtorch)";
  auto* epochs = cmd.add_option("--finetune", o.epochs, "Epochs of quantization-aware training")
                     ->check(CLI::Range(1, 100000))
                     ->group(group);
  cmd.add_option("--train", flags.train, "DATA to train on")->needs(epochs)->group(group);
  cmd.add_option("--test", flags.test, "DATA that the quantized model is tested on")->needs(epochs)->group(group);
  cmd.add_option("--batch-size", o.batch, "Images a step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str()
      ->needs(epochs)
      ->group(group);
  cmd.add_option("--learning-rate", o.learning_rate,
                 "Peak of the weights' one-cycle schedule, relative to their magnitude")
      ->capture_default_str()
      ->needs(epochs)
      ->group(group);
  cmd.add_option("--scale-rate", o.scale_rate, "Peak of the steps' schedule")
      ->capture_default_str()
      ->needs(epochs)
      ->group(group);
  cmd.add_option("--distillation", o.distillation, "Share of the float model's logits in the loss, 0 to 1")
      ->capture_default_str()
      ->needs(epochs)
      ->group(group);
  cmd.add_option("--temperature", o.temperature, "Of the distillation")
      ->capture_default_str()
      ->needs(epochs)
      ->group(group);
  cmd.add_option("--range-penalty", o.range_penalty, "Weight of values that leave their calibrated range")
      ->capture_default_str()
      ->needs(epochs)
      ->group(group);
  cmd.add_option("--gradual", o.gradual, "Bits more that weights begin with")
      ->check(CLI::Range(0, 3))
      ->capture_default_str()
      ->needs(epochs)
      ->group(group);
  cmd.add_option("--checkpoint", o.checkpoint, "File written after every epoch")->needs(epochs)->group(group);
  cmd.add_option("--start", o.start, "Checkpoint of an earlier run, whose weights this one begins with")
      ->needs(epochs)
      ->group(group);
  cmd.add_flag("--resume,!--no-resume", o.resume, "Go on from the checkpoint if there is one (default)")->group(group);
  cmd.add_option("--test-every", o.test_every, "Epochs between tests")
      ->check(CLI::Range(1, 100000))
      ->needs(epochs)
      ->group(group);
}

decltype(QuantizeOptions::hessian) hessian_measure(std::uint64_t seed) {
  const auto plugin = reinterpret_cast<HessianPlugin>(train_plugin_symbol(kHessianPluginSymbol));
  return [plugin, seed](const FloatGraph& graph, std::span<const float> images, std::size_t count) {
    const HessianOptions options{.seed = seed};
    HessianCall call{&graph, images, count, &options, {}};
    plugin(&call);
    std::vector<QuantizeOptions::MeanDiagonal> out;
    for (const HessianTrace& t : call.result) out.push_back({t.direct, t.winograd});
    return out;
  };
}

quant::Tuner fine_tuner(const FineTuneFlags& flags, const QuantizeOptions& options, const Output& out,
                        nlohmann::json& document) {
  const auto plugin = reinterpret_cast<FineTunePlugin>(train_plugin_symbol(kFineTunePluginSymbol));
  if (flags.train.empty()) throw usage_error("--finetune needs data to train on", "give --train DATA");
  const std::shared_ptr<const Dataset> train = open_dataset(flags.train, Split::kTrain);
  const std::shared_ptr<const Dataset> test = flags.test.empty() ? nullptr : open_dataset(flags.test, Split::kTest);
  if (test && test->size() == 0) throw usage_error("the test set is empty");
  FineTuneOptions o = flags.options;
  o.seed = options.seed;
  o.threads = static_cast<int>(options.threads);
  return [plugin, train, test, o, &options, &out, &document](const quant::TuneProblem& problem,
                                                             const quant::TuneBuild& build) {
    Progress progress("fine-tuning", !out.quiet);
    const std::function<void(const FineTuneProgress&)> report = [&](const FineTuneProgress& p) {
      progress.update(static_cast<std::uint64_t>(p.epoch - 1) * p.batches + p.batch,
                      static_cast<std::uint64_t>(p.epochs) * p.batches,
                      fmt::format("epoch {}, loss {:.4f}, accuracy {:.2f} %", p.epoch, p.loss, 100 * p.train_accuracy));
      if (!p.epoch_done) return;
      std::string line = fmt::format("epoch {}/{}: loss {:.4f}, training accuracy {:.2f} %", p.epoch, p.epochs, p.loss,
                                     100 * p.train_accuracy);
      if (p.test)
        line += fmt::format(", test accuracy {:.2f} % ({} overflows, {} labels unlike in training)",
                            100 * p.test->accuracy, p.test->overflowed, p.test->differing);
      out.message(fmt::format("{}, {:.0f} s", line, p.seconds));
    };
    const TwinCheck check = [&](const quant::Tuned& tuned, std::span<const int> labels) {
      return judge(build(tuned), *test, labels, options.threads);
    };
    FineTuneCall call{&problem, &options.preprocess, train.get(), test.get(), &o, &check, &report, {}};
    plugin(&call);
    document = describe(call.result);
    return call.result.tuned;
  };
}

}  // namespace eqo::cli
