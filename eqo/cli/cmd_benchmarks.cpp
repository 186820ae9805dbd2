#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "eqo/cli/bench_table.h"
#include "eqo/cli/command.h"
#include "eqo/cli/exec_flags.h"
#include "eqo/cli/preprocess_flags.h"
#include "eqo/cli/progress.h"
#include "eqo/cli/run_page.h"
#include "eqo/core/error.h"
#include "eqo/data/dataset.h"
#include "eqo/importer/atomic_file.h"
#include "eqo/importer/onnx_import.h"
#include "eqo/importer/zoo.h"

namespace eqo::cli {
namespace {

struct Args {
  std::string model, zoo, calibration, network, csv, markdown, report;
  ZooOptions zoo_options;
  PreprocessFlags preprocess;
  QuantizeOptions quantize;
  MeasureOptions measure;
  ProductFlags products;
  bool no_run = false;
};

struct Subject {
  std::string name;
  FloatGraph graph;
};

Subject zoo_subject(const std::string& name, const ZooOptions& options) {
  FloatGraph graph = make_zoo(name, options);
  const std::string text =
      fmt::format("{}, {} classes, {}", name, graph.output_shape().size(), graph.input_shape().to_string());
  return {text, std::move(graph)};
}

// Without a choice: a network with residual branches, and one with overlapping maxima and concatenations.
std::vector<Subject> subjects(const Args& args) {
  if (!args.model.empty() && !args.zoo.empty()) throw usage_error("give MODEL.onnx or --zoo, not both");
  if (args.model.empty() && args.zoo.empty() && !args.calibration.empty())
    throw usage_error("--calib needs MODEL.onnx or --zoo", "the default networks take images of different sizes");
  std::vector<Subject> list;
  if (!args.model.empty()) {
    list.push_back({std::filesystem::path(args.model).filename().string(), import_onnx(args.model)});
  } else if (!args.zoo.empty()) {
    list.push_back(zoo_subject(args.zoo, args.zoo_options));
  } else {
    list.push_back(zoo_subject("resnet32", {100, 0, args.zoo_options.seed}));
    list.push_back(zoo_subject("squeezenet", {0, 64, args.zoo_options.seed}));
  }
  return list;
}

// Of the data, or random ones.
BenchImages images_for(const Args& args, const FloatGraph& graph, const Preprocess& preprocess) {
  const std::size_t count = args.quantize.calibration_images;
  return args.calibration.empty() ? random_images(graph.input_shape(), count, args.quantize.seed)
                                  : images_of(*open_dataset(args.calibration, Split::kTrain), count, preprocess);
}

bool same_costs(const Measurement& a, const Measurement& b) {
  return a.program == b.program && a.online_bytes == b.online_bytes && a.online_flights == b.online_flights;
}

void ablation_command(const Output& out, const Args& args) {
  MeasureOptions options = args.measure;
  options.network = parse_network(args.network);
  options.products = args.products.options();
  if (args.no_run) options.runs = 0;
  for (const std::string& file : {args.csv, args.markdown, args.report})
    if (!file.empty()) check_can_write(file);
  const std::vector<Subject> list = subjects(args);
  const std::vector<Variant> variants = ablation_variants();
  const BenchRates rates = bench_rates();

  std::vector<AblationRow> rows;
  std::optional<Error> failure;
  Progress progress("ablation", !out.quiet);
  for (const Subject& subject : list) {
    QuantizeOptions quantize = args.quantize;
    quantize.preprocess = make_preprocess(args.preprocess, subject.graph.input_shape());
    quantize.products = options.products;
    const BenchImages images = images_for(args, subject.graph, quantize.preprocess);
    std::map<std::set<QuantPass>, Bytes> models;
    const Measurement* full = nullptr;
    std::vector<AblationRow> table;
    table.reserve(variants.size());
    for (const Variant& variant : variants) {
      progress.update(rows.size() + table.size(), list.size() * variants.size(), variant.name);
      auto model = models.find(variant.quantizer);
      if (model == models.end()) {
        quantize.disabled = variant.quantizer;
        model = models.emplace(variant.quantizer, quantized_bytes(subject.graph, images, quantize)).first;
      }
      table.push_back({subject.name, variant, measure(model->second, variant, images.question, rates, options)});
      AblationRow& row = table.back();
      if (full == nullptr) full = &row.cost;
      row.effect = &row.cost == full || !same_costs(row.cost, *full);
      if (!failure && !row.cost.difference.empty())
        failure = Error(Category::kVerification, fmt::format("{} without '{}' is not the twin's: {}", subject.name,
                                                             variant.name, row.cost.difference));
    }
    rows.insert(rows.end(), table.begin(), table.end());
  }

  if (!args.csv.empty()) write_file_atomically(args.csv, ablation_csv(rows));
  const std::string markdown = ablation_markdown(rows);
  if (!args.markdown.empty()) write_file_atomically(args.markdown, markdown);
  const bool random = args.calibration.empty();
  nlohmann::json document{{"rows", ablation_json(rows)},
                          {"weights_bits", args.quantize.weights_bits},
                          {"activation_bits", args.quantize.activation_bits},
                          {"products", args.products.kind},
                          {"network", args.network},
                          {"runs", options.runs},
                          {"random_calibration", random}};
  if (!args.report.empty()) write_file_atomically(args.report, to_html(ablation_page(document)));
  if (failure) document["error"] = error_json(*failure);
  out.document(document);
  if (failure && out.json) throw *failure;
  out.text(fmt::format("W{}A{}, products: {}, calibrated on {}; link: {}; {}", args.quantize.weights_bits,
                       args.quantize.activation_bits, args.products.kind, random ? "random images" : args.calibration,
                       args.network.empty() ? "loopback" : args.network,
                       options.runs == 0 ? std::string("not run: bytes and flights are exact, seconds are estimates")
                                         : fmt::format("medians of {} runs, all equal to the twin's unless said "
                                                       "otherwise",
                                                       options.runs)));
  out.text("");
  std::istringstream lines(markdown);
  for (std::string line; std::getline(lines, line);) out.text(line);
  if (failure) throw *failure;
}

void add_ablation(CLI::App& bench, Session& session) {
  auto* cmd = bench.add_subcommand("ablation", "What each pass is worth: bytes, flights and seconds without it");
  auto args = std::make_shared<Args>();
  QuantizeOptions& q = args->quantize;
  q.weights_bits = 2;
  q.activation_bits = 6;
  q.threads = std::max(1U, std::thread::hardware_concurrency());
  cmd->add_option("model", args->model, "MODEL.onnx (default: resnet32 and squeezenet of the zoo)");
  cmd->add_option("--zoo", args->zoo, "A network of the zoo instead")->check(CLI::IsMember(zoo_names()));
  cmd->add_option("--classes", args->zoo_options.classes, "--zoo: number of classes (0: the network's own)")
      ->check(CLI::Range(0, 1'000'000));
  cmd->add_option("--image", args->zoo_options.image, "--zoo: image height and width (0: the network's own)")
      ->check(CLI::Range(0, 4096));
  cmd->add_option("--calib", args->calibration, "DATA to calibrate on (default: random images)");
  cmd->add_option("--calibration-images", q.calibration_images, "How many (0: 8)")->check(CLI::Range(0, 65536));
  cmd->add_option("--seed", q.seed, "Seed of the random images")->capture_default_str();
  cmd->add_option("--weights", q.weights_bits, "Bits of weights")->check(CLI::Range(1, 8))->capture_default_str();
  cmd->add_option("--activations", q.activation_bits, "Bits of activations")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  add_product_flags(*cmd, args->products);
  add_network_flag(*cmd, args->network);
  cmd->add_option("--runs", args->measure.runs, "Timed runs of each row, after a verified one")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  cmd->add_option("--threads", args->measure.threads, "Threads of each party")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  cmd->add_flag("--no-run", args->no_run, "Only what is known before a run: exact bytes and flights");
  cmd->add_option("--csv", args->csv, "Also write the table to this file");
  cmd->add_option("--markdown", args->markdown, "Also write the table to this file");
  add_report_flag(*cmd, args->report);
  add_preprocess_flags(*cmd, args->preprocess);
  cmd->callback([&session, args] { session.action = [&session, args] { ablation_command(session.output, *args); }; });
}

}  // namespace

void add_bench(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("bench", "Comparisons of whole runs");
  cmd->require_subcommand(1);
  add_ablation(*cmd, session);
  add_compare(*cmd, session);
}

}  // namespace eqo::cli
