#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "eqo/cli/command.h"
#include "eqo/cli/progress.h"
#include "eqo/cli/train_plugin.h"
#include "eqo/core/error.h"
#include "eqo/importer/onnx_export.h"
#include "eqo/importer/onnx_import.h"
#include "eqo/importer/passes.h"

namespace eqo::cli {
namespace {

struct Args {
  std::string model, output, train, test;
  double warmup = -1;  // negative: not given
  TrainOptions options;
  std::vector<double> mean, std;
};

void train_command(const Output& out, const Args& args) {
  const auto plugin = reinterpret_cast<TrainPlugin>(train_plugin_symbol(kTrainPluginSymbol));
  FloatGraph graph = import_onnx(args.model, {.fold_batch_norm = false});
  const auto train_set = open_dataset(args.train, Split::kTrain);
  const auto test_set = args.test.empty() ? nullptr : open_dataset(args.test, Split::kTest);
  TrainOptions options = args.options;
  if (args.warmup < 0) options.warmup_epochs = std::min(options.warmup_epochs, 0.2 * options.epochs);
  if (args.warmup >= 0) options.warmup_epochs = args.warmup;
  if (!args.mean.empty()) std::copy_n(args.mean.begin(), 3, options.mean.begin());
  if (!args.std.empty()) std::copy_n(args.std.begin(), 3, options.std.begin());

  Progress progress("training", !out.quiet);
  const std::function<void(const TrainProgress&)> report = [&](const TrainProgress& p) {
    progress.update(static_cast<std::uint64_t>(p.epoch - 1) * p.batches + p.batch,
                    static_cast<std::uint64_t>(p.epochs) * p.batches,
                    fmt::format("epoch {}, loss {:.4f}, accuracy {:.2f} %", p.epoch, p.loss, 100 * p.train_accuracy));
    if (p.epoch_done)
      out.message(fmt::format("epoch {}/{}: loss {:.4f}, training accuracy {:.2f} %{}, {:.0f} s", p.epoch, p.epochs,
                              p.loss, 100 * p.train_accuracy,
                              p.test_accuracy < 0 ? "" : fmt::format(", test accuracy {:.2f} %", 100 * p.test_accuracy),
                              p.seconds));
  };
  TrainCall call{&graph, train_set.get(), test_set.get(), &options, &report, {}};
  plugin(&call);
  export_onnx(fold_batch_norm(graph), args.output);

  nlohmann::json document{{"model", args.output},
                          {"epochs", call.result.epochs_done},
                          {"resumed_from", call.result.resumed_from},
                          {"loss", call.result.loss},
                          {"train_accuracy", call.result.train_accuracy}};
  if (call.result.test_accuracy >= 0) document["test_accuracy"] = call.result.test_accuracy;
  out.document(document);
  out.text(fmt::format(
      "{}: {} epochs, loss {:.4f}{}", args.output, call.result.epochs_done, call.result.loss,
      call.result.test_accuracy < 0 ? "" : fmt::format(", test accuracy {:.2f} %", 100 * call.result.test_accuracy)));
}

}  // namespace

void add_train(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("train", "Train an ONNX model on labelled images (libtorch)");
  auto args = std::make_shared<Args>();
  TrainOptions& o = args->options;
  o.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  cmd->add_option("model", args->model, "MODEL.onnx, its weights are the start")->required();
  cmd->add_option("--train", args->train, "DATA to train on")->required();
  cmd->add_option("--test", args->test, "DATA to test on");
  cmd->add_option("-o,--output", args->output, "OUT.onnx")->required();
  cmd->add_option("--epochs", o.epochs, "Epochs")->check(CLI::Range(1, 100000))->capture_default_str();
  cmd->add_option("--batch-size", o.batch, "Images a step")->check(CLI::Range(1, 65536))->capture_default_str();
  cmd->add_option("--learning-rate", o.learning_rate, "Peak of the cosine schedule")->capture_default_str();
  cmd->add_option("--warmup-epochs", args->warmup, "Epochs of linear warm-up (default 2, at most a fifth)");
  cmd->add_option("--momentum", o.momentum, "SGD's momentum")->capture_default_str();
  cmd->add_option("--weight-decay", o.weight_decay, "Not of biases and batch norm")->capture_default_str();
  cmd->add_option("--label-smoothing", o.label_smoothing, "0 to 1")->capture_default_str();
  cmd->add_option("--seed", o.seed, "Seed of order and augmentation")->capture_default_str();
  cmd->add_option("--threads", o.threads, "Threads")->check(CLI::Range(1, 1024))->capture_default_str();
  cmd->add_option("--checkpoint", o.checkpoint, "File written after every epoch");
  cmd->add_flag("--resume,!--no-resume", o.resume, "Go on from the checkpoint if there is one (default)");
  cmd->add_flag("--bf16", o.bfloat16, "bfloat16 arithmetic where the processor has it");
  cmd->add_option("--test-every", o.test_every, "Epochs between tests")->check(CLI::Range(1, 100000));
  cmd->add_option("--mean", args->mean, "R,G,B")->delimiter(',')->expected(3);
  cmd->add_option("--std", args->std, "R,G,B")->delimiter(',')->expected(3);
  cmd->callback([&session, args] { session.action = [&session, args] { train_command(session.output, *args); }; });
}

}  // namespace eqo::cli
