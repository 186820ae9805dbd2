#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <tuple>

#include "eqo/cli/command.h"
#include "eqo/cli/exec_flags.h"
#include "eqo/cli/fine_tune_flags.h"
#include "eqo/cli/preprocess_flags.h"
#include "eqo/cli/progress.h"
#include "eqo/cli/svg.h"
#include "eqo/core/error.h"
#include "eqo/importer/atomic_file.h"
#include "eqo/importer/onnx_import.h"
#include "eqo/model/model_io.h"
#include "eqo/quantizer/budget_search.h"
#include "eqo/quantizer/quantizer.h"

namespace eqo::cli {
namespace {

struct Args {
  std::string model, output, calibration;
  PreprocessFlags preprocess;
  FineTuneFlags fine_tune;
  ProductFlags products;
  std::string budget, plot;
  std::vector<std::string> disabled;
  QuantizeOptions options;
};

const char* conv_name(ConvDomain d) { return d == ConvDomain::kWinograd ? "winograd" : "direct"; }

const char* measure_name(SensitivityMeasure m) {
  if (m == SensitivityMeasure::kHessian) return "hessian";
  return m == SensitivityMeasure::kLogits ? "logits" : "fisher";
}

std::string cost_text(const BudgetReport& b, double cost) {
  return b.seconds ? fmt::format("{:.3f} s", cost) : fmt::format("{:.3f} MB", cost / 1e6);
}

// Another choice for a layer: its widths, and what it would change.
std::string change_text(const BudgetReport& b, const BudgetReport::Option& from,
                        const std::optional<BudgetReport::Option>& to) {
  if (!to) return "-";
  const double unit = b.seconds ? 1 : 1e6;
  return fmt::format("W{}A{} {} {:+.3f} {}, {:+.2e}", to->weights_bits, to->activation_bits, conv_name(to->conv),
                     (to->cost - from.cost) / unit, b.seconds ? "s" : "MB", to->sensitivity - from.sensitivity);
}

nlohmann::json option_json(const BudgetReport::Option& o) {
  return {{"weights_bits", o.weights_bits},
          {"activation_bits", o.activation_bits},
          {"conv", conv_name(o.conv)},
          {"sensitivity", o.sensitivity},
          {"weights_sensitivity", o.weights_part},
          {"activations_sensitivity", o.activations_part},
          {"cost", o.cost}};
}

nlohmann::json candidate_json(const BudgetReport::Candidate& c) {
  const auto or_null = [](const std::optional<double>& v) { return v ? nlohmann::json(*v) : nlohmann::json(); };
  return {{"origin", c.origin},
          {"cost", c.cost},
          {"sensitivity", c.sensitivity},
          {"divergence", or_null(c.divergence)},
          {"agreement", or_null(c.agreement)}};
}

// Where even the widest choice for every layer leaves some of the budget; empty elsewhere.
std::string budget_note(const BudgetReport& b) {
  const bool wider = std::any_of(b.layers.begin(), b.layers.end(), [](const auto& l) { return l.dearer.has_value(); });
  if (wider || b.spent >= quant::kUsed * b.budget) return "";
  return fmt::format("the widest choice for every layer needs {} of the budget of {}; the rest is not needed",
                     cost_text(b, b.spent), cost_text(b, b.budget));
}

nlohmann::json budget_json(const BudgetReport& b) {
  nlohmann::json layers = nlohmann::json::array(), candidates = nlohmann::json::array();
  for (const BudgetReport::Candidate& c : b.candidates) candidates.push_back(candidate_json(c));
  for (const BudgetReport::Layer& l : b.layers) {
    nlohmann::json layer = option_json(l.chosen);
    layer["name"] = l.name;
    layer["cheaper"] = l.cheaper ? option_json(*l.cheaper) : nlohmann::json();
    layer["dearer"] = l.dearer ? option_json(*l.dearer) : nlohmann::json();
    layer["options"] = nlohmann::json::array();
    for (const BudgetReport::Option& o : l.options) layer["options"].push_back(option_json(o));
    layers.push_back(std::move(layer));
  }
  return {{"unit", b.seconds ? "seconds" : "bytes"},
          {"budget", b.budget},
          {"spent", b.spent},
          {"note", budget_note(b)},
          {"setup_bytes", b.setup_bytes},
          {"online_bytes", b.online_bytes},
          {"flights", b.flights},
          {"measure", measure_name(b.measure)},
          {"sensitivity", b.sensitivity},
          {"divergence", b.divergence},
          {"check_images", b.check_images},
          {"search_seconds", b.search_seconds},
          {"candidates", candidates},
          {"winner", b.winner},
          {"layers", layers}};
}

// Why these widths: what the nearest other choices would cost and what they would do to the loss.
void print_budget(const Output& out, const BudgetReport& b, const QuantizeReport& report) {
  out.text(fmt::format("{:<34} {:>6} {:>9} {:>5} {:>12} {:>12}   {:<38} {}", "layer", "choice", "conv", "ring",
                       "sensitivity", "all steps", "the next cheaper one", "the next dearer one"));
  for (std::size_t i = 0; i < b.layers.size(); ++i) {
    const BudgetReport::Layer& l = b.layers[i];
    out.text(fmt::format("{:<34} {:>6} {:>9} {:>5} {:>12.3e} {:>12}   {:<38} {}", l.name,
                         fmt::format("W{}A{}", l.chosen.weights_bits, l.chosen.activation_bits),
                         conv_name(l.chosen.conv), report.layers.at(i).ring_bits, l.chosen.sensitivity,
                         cost_text(b, l.chosen.cost), change_text(b, l.chosen, l.cheaper),
                         change_text(b, l.chosen, l.dearer)));
  }
  out.text(fmt::format("setup and one image {} of a budget of {} ({:.1f} %), {} flights; sensitivity {:.4f} ({})",
                       cost_text(b, b.spent), cost_text(b, b.budget), 100 * b.spent / b.budget, b.flights,
                       b.sensitivity, measure_name(b.measure)));
  if (const std::string note = budget_note(b); !note.empty()) out.text(note);
  out.text(fmt::format("{:<34} {:>12} {:>12} {:>12} {:>12}", "candidate", "in all", "sensitivity", "divergence",
                       "same label"));
  for (std::size_t i = 0; i < b.candidates.size(); ++i) {
    const BudgetReport::Candidate& c = b.candidates[i];
    out.text(fmt::format("{:<34} {:>12} {:>12.3e} {}", c.origin, cost_text(b, c.cost), c.sensitivity,
                         c.divergence ? fmt::format("{:>12.5f} {:>10.2f} %{}", *c.divergence, 100 * *c.agreement,
                                                    i == b.winner ? "  <- chosen" : "")
                                      : std::string("above the budget")));
  }
  out.text(fmt::format("{} networks compared on {} images in {:.0f} s", b.candidates.size(), b.check_images,
                       b.search_seconds));
}

// Cells of weights in both domains and of activations; what was chosen is framed.
std::string sensitivity_plot(const BudgetReport& b) {
  using Column = std::tuple<int, unsigned>;  // 0 direct, 1 Winograd, 2 activations; bits
  std::map<Column, std::size_t> index;
  const auto columns_of = [](const BudgetReport::Option& o) {
    return std::pair(Column{o.conv == ConvDomain::kWinograd ? 1 : 0, o.weights_bits}, Column{2, o.activation_bits});
  };
  for (const BudgetReport::Layer& l : b.layers)
    for (const BudgetReport::Option& o : l.options) {
      const auto [weights, activations] = columns_of(o);
      index[weights] = index[activations] = 0;
    }
  std::vector<std::string> names;
  for (auto& [column, at] : index) {
    at = names.size();
    static constexpr const char* kKinds[] = {"W{} direct", "W{} Wino.", "A{}"};
    names.push_back(fmt::format(fmt::runtime(kKinds[std::get<0>(column)]), std::get<1>(column)));
  }
  std::vector<HeatRow> rows;
  for (const BudgetReport::Layer& l : b.layers) {
    HeatRow row{l.name, std::vector<HeatRow::Cell>(names.size())};
    for (const BudgetReport::Option& o : l.options) {
      const auto [weights, activations] = columns_of(o);
      row.cells[index[weights]].value = o.weights_part;
      row.cells[index[activations]].value = o.activations_part;
    }
    const auto [weights, activations] = columns_of(l.chosen);
    row.cells[index[weights]].chosen = row.cells[index[activations]].chosen = true;
    rows.push_back(std::move(row));
  }
  return heat_map(fmt::format("Sensitivity ({}) of each layer, by width", measure_name(b.measure)), names, rows);
}

void quantize_command(const Output& out, const Args& args) {
  QuantizeOptions options = args.options;
  for (const std::string& name : args.disabled) options.disabled.insert(quant_pass(name));
  options.products = args.products.options();
  if (!args.budget.empty()) options.budget = parse_budget(args.budget);
  if (!args.plot.empty() && !options.budget)
    throw usage_error("--sensitivity-plot without --budget", "sensitivities are measured for a budget");
  const FloatGraph graph = import_onnx(args.model);
  const auto data = open_dataset(args.calibration, Split::kTrain);
  options.preprocess = make_preprocess(args.preprocess, graph.input_shape());
  options.classes = data->class_names();
  if (options.sensitivity == SensitivityMeasure::kHessian) options.hessian = hessian_measure(options.seed);
  nlohmann::json fine_tuned;
  if (args.fine_tune.asked()) options.tuner = fine_tuner(args.fine_tune, options, out, fine_tuned);
  Progress progress("quantizing", !out.quiet);
  options.progress = [&](double done) { progress.update(static_cast<std::uint64_t>(1000 * done), 1000); };
  QuantizeReport report;
  const Model model = quantize(graph, *data, options, &report);
  save_model(model, args.output);

  nlohmann::json layers = nlohmann::json::array();
  out.text(fmt::format("{:<34} {:>7} {:>11} {:>9} {:>12} {:>12} {:>14}", "layer", "weights", "activations", "ring bits",
                       "conv", "sensitivity", "bytes"));
  for (const QuantizeReport::Layer& l : report.layers) {
    layers.push_back({{"name", l.name},
                      {"weights_bits", l.weights_bits},
                      {"activation_bits", l.activation_bits},
                      {"ring_bits", l.ring_bits},
                      {"conv", conv_name(l.conv)},
                      {"product", l.homomorphic ? "he" : "ot"},
                      {"sensitivity", l.sensitivity},
                      {"bytes", l.bytes}});
    out.text(fmt::format("{:<34} {:>7} {:>11} {:>9} {:>12} {:>12.3e} {:>14}", l.name, l.weights_bits, l.activation_bits,
                         l.ring_bits, conv_name(l.conv) + std::string(l.homomorphic ? " he" : " ot"), l.sensitivity,
                         grouped(l.bytes)));
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
  if (report.budget) document["budget"] = budget_json(*report.budget);
  out.document(document);
  if (report.budget) print_budget(out, *report.budget, report);
  if (!args.plot.empty()) write_file_atomically(args.plot, sensitivity_plot(*report.budget));
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
  cmd->add_option(
      "--budget", args->budget,
      "Choose widths and algorithms layer by layer for the best accuracy within 80MB, 0.4x of the 8-bit "
      "network, or 2s@wan for a session with one image, setup included; --weights, --activations and --edge-bits do "
      "not count then");
  cmd->add_option(
         "--sensitivity", o.sensitivity,
         "What --budget keeps low: fisher (the loss; the default), logits (their squared error), or hessian (its "
         "trace in each layer times the squared error of the weights; libtorch)")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, SensitivityMeasure>{{"logits", SensitivityMeasure::kLogits},
                                                    {"fisher", SensitivityMeasure::kFisher},
                                                    {"hessian", SensitivityMeasure::kHessian}}));
  cmd->add_option("--search-networks", o.search_networks, "With --budget: candidates that are quantized and compared")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  cmd->add_option("--check-images", o.check_images,
                  "With --budget: images of --calib that candidates are compared on; none are used for calibration")
      ->check(CLI::Range(1, 10000000))
      ->capture_default_str();
  cmd->add_option("--sensitivity-cache", o.sensitivity_cache,
                  "With --budget: a file for the layers' sensitivities, which take time to measure");
  cmd->add_option("--sensitivity-plot", args->plot, "With --budget: FILE.svg, a cell for each layer and width");
  cmd->add_option("--conv", o.conv,
                  "auto: direct where the product will be homomorphic (--products), else the cheaper one")
      ->transform(CLI::CheckedTransformer(std::map<std::string, ConvChoice>{
          {"auto", ConvChoice::kAuto}, {"direct", ConvChoice::kDirect}, {"winograd", ConvChoice::kWinograd}}));
  add_product_flags(*cmd, args->products);
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
