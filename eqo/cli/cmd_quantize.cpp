#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "eqo/cli/command.h"
#include "eqo/cli/fine_tune_flags.h"
#include "eqo/cli/preprocess_flags.h"
#include "eqo/cli/progress.h"
#include "eqo/core/error.h"
#include "eqo/importer/onnx_import.h"
#include "eqo/model/model_io.h"
#include "eqo/quantizer/quantizer.h"

namespace eqo::cli {
namespace {

struct Args {
  std::string model, output, calibration;
  PreprocessFlags preprocess;
  FineTuneFlags fine_tune;
  std::vector<std::string> disabled;
  QuantizeOptions options;
};

const char* conv_name(ConvDomain d) { return d == ConvDomain::kWinograd ? "winograd" : "direct"; }

void quantize_command(const Output& out, const Args& args) {
  QuantizeOptions options = args.options;
  for (const std::string& name : args.disabled) options.disabled.insert(quant_pass(name));
  const FloatGraph graph = import_onnx(args.model);
  const auto data = open_dataset(args.calibration, Split::kTrain);
  options.preprocess = make_preprocess(args.preprocess, graph.input_shape());
  options.classes = data->class_names();
  nlohmann::json fine_tuned;
  if (args.fine_tune.asked()) options.tuner = fine_tuner(args.fine_tune, options, out, fine_tuned);
  Progress progress("quantizing", !out.quiet);
  options.progress = [&](double done) { progress.update(static_cast<std::uint64_t>(1000 * done), 1000); };
  QuantizeReport report;
  const Model model = quantize(graph, *data, options, &report);
  save_model(model, args.output);

  nlohmann::json layers = nlohmann::json::array();
  out.text(fmt::format("{:<34} {:>7} {:>11} {:>9} {:>9} {:>12} {:>14}", "layer", "weights", "activations", "ring bits",
                       "conv", "sensitivity", "bytes"));
  for (const QuantizeReport::Layer& l : report.layers) {
    layers.push_back({{"name", l.name},
                      {"weights_bits", l.weights_bits},
                      {"activation_bits", l.activation_bits},
                      {"ring_bits", l.ring_bits},
                      {"conv", conv_name(l.conv)},
                      {"sensitivity", l.sensitivity},
                      {"bytes", l.bytes}});
    out.text(fmt::format("{:<34} {:>7} {:>11} {:>9} {:>9} {:>12.3e} {:>14}", l.name, l.weights_bits, l.activation_bits,
                         l.ring_bits, conv_name(l.conv), l.sensitivity, grouped(l.bytes)));
  }
  nlohmann::json disabled = nlohmann::json::array();
  for (const QuantPass pass : report.disabled) disabled.push_back(quant_pass_name(pass));
  nlohmann::json document{{"model", args.output},
                          {"digest", to_hex(model_digest(model))},
                          {"calibration_images", report.calibration_images},
                          {"disabled_passes", disabled},
                          {"layers", layers},
                          {"total_bytes", report.total_bytes}};
  if (!fine_tuned.is_null()) document["finetune"] = fine_tuned;
  out.document(document);
  out.text(fmt::format("{}: products {} an image, calibrated on {} images", args.output, megabytes(report.total_bytes),
                       report.calibration_images));
  for (const QuantPass pass : report.disabled) out.text(fmt::format("without the pass '{}'", quant_pass_name(pass)));
}

}  // namespace

void add_quantize(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("quantize", "Turn an ONNX model into a quantized one for private inference");
  auto args = std::make_shared<Args>();
  QuantizeOptions& o = args->options;
  o.threads = std::max(1U, std::thread::hardware_concurrency());
  cmd->add_option("model", args->model, "MODEL.onnx")->required();
  cmd->add_option("--calib", args->calibration, "DATA to calibrate on")->required();
  cmd->add_option("-o,--output", args->output, "MODEL.eqo")->required();
  cmd->add_option("--weights", o.weights_bits, "Bits of weights")->check(CLI::Range(1, 8))->capture_default_str();
  cmd->add_option("--activations", o.activation_bits, "Bits of activations")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  cmd->add_option("--edge-bits", o.edge_bits, "Bits of both in the first and the last layer")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  cmd->add_option("--conv", o.conv, "auto takes the cheaper one for each layer")
      ->transform(CLI::CheckedTransformer(std::map<std::string, ConvChoice>{
          {"auto", ConvChoice::kAuto}, {"direct", ConvChoice::kDirect}, {"winograd", ConvChoice::kWinograd}}));
  cmd->add_option("--accumulators", o.accumulators, "What ring widths are derived from: calibration, weights, shapes")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, AccumulatorRule>{{"calibration", AccumulatorRule::kCalibration},
                                                                         {"weights", AccumulatorRule::kWeights},
                                                                         {"shapes", AccumulatorRule::kShapes}}));
  cmd->add_option("--calibration-images", o.calibration_images, "How many of DATA (0: 256, fewer for large networks)");
  cmd->add_option("--disable-pass", args->disabled,
                  fmt::format("Leave out a pass, to see what it is worth: {}", fmt::join(quant_pass_names(), ", ")))
      ->type_name("NAME")
      ->allow_extra_args(false);
  cmd->add_option("--seed", o.seed, "Seed of the choice of calibration images");
  cmd->add_option("--threads", o.threads, "Threads")->check(CLI::Range(1, 1024))->capture_default_str();
  add_preprocess_flags(*cmd, args->preprocess);
  add_fine_tune_flags(*cmd, args->fine_tune);
  cmd->callback([&session, args] { session.action = [&session, args] { quantize_command(session.output, *args); }; });
}

}  // namespace eqo::cli
