#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "eqo/cli/command.h"
#include "eqo/cli/preprocess_flags.h"
#include "eqo/cli/progress.h"
#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/data/dataset.h"
#include "eqo/importer/float_eval.h"
#include "eqo/importer/onnx_import.h"
#include "eqo/model/eval.h"
#include "eqo/model/model_io.h"

namespace eqo::cli {
namespace {

struct Args {
  std::string model, data;
  std::size_t limit = 0;
  unsigned threads = 1;
  PreprocessFlags preprocess;
};

EvalResult evaluate_float(const FloatGraph& graph, const Dataset& data, const Preprocess& preprocess, std::size_t limit,
                          unsigned threads, Progress& progress) {
  const FloatEvaluator evaluator(graph);
  EvalResult result;
  result.count = limit == 0 ? data.size() : std::min(limit, data.size());
  if (result.count == 0) throw usage_error("the data set is empty");
  if (data.classes() > graph.output_shape().size())
    throw data_error(fmt::format("the data has {} classes, the model {}", data.classes(), graph.output_shape().size()));
  std::atomic<std::size_t> correct = 0, done = 0;
  ThreadPool pool(threads);
  pool.parallel_for(result.count, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::vector<float> logits = evaluator.logits(data.input(i, preprocess));
      if (std::max_element(logits.begin(), logits.end()) - logits.begin() == data.label(i)) ++correct;
      progress.update(++done, result.count);
    }
  });
  result.correct = correct;
  result.accuracy = static_cast<double>(result.correct) / static_cast<double>(result.count);
  return result;
}

void eval_command(const Output& out, const Args& args) {
  const auto data = open_dataset(args.data, Split::kTest);
  Progress progress("evaluating", !out.quiet);
  EvalResult result;
  const bool quantized = args.model.size() > 4 && args.model.ends_with(".eqo");
  if (quantized) {
    if (args.preprocess.given())
      throw usage_error("an .eqo model remembers its preprocessing", "leave --mean, --std and --resize out");
    result = evaluate(load_model(args.model), *data, args.limit, args.threads,
                      [&](std::size_t done, std::size_t total) { progress.update(done, total); });
  } else {
    const FloatGraph graph = import_onnx(args.model);
    result = evaluate_float(graph, *data, make_preprocess(args.preprocess, graph.input_shape()), args.limit,
                            args.threads, progress);
  }
  out.document({{"model", args.model},
                {"accuracy", result.accuracy},
                {"count", result.count},
                {"correct", result.correct},
                {"overflowed", result.overflowed}});
  out.text(fmt::format("{}: {:.2f} % ({} of {}){}", args.model, 100 * result.accuracy, result.correct, result.count,
                       quantized ? fmt::format(", {} overflowed", result.overflowed) : ""));
}

}  // namespace

void add_eval(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("eval", "Accuracy of the integer twin (.eqo) or of the float model (.onnx)");
  auto args = std::make_shared<Args>();
  args->threads = std::max(1U, std::thread::hardware_concurrency());
  cmd->add_option("model", args->model, "MODEL.eqo or MODEL.onnx")->required();
  cmd->add_option("--data", args->data, "DATA")->required();
  cmd->add_option("--limit", args->limit, "Only the first N images (0: all)");
  cmd->add_option("--threads", args->threads, "Threads")->check(CLI::Range(1, 1024))->capture_default_str();
  add_preprocess_flags(*cmd, args->preprocess);
  cmd->callback([&session, args] { session.action = [&session, args] { eval_command(session.output, *args); }; });
}

}  // namespace eqo::cli
