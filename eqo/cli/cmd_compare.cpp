#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <tuple>

#include "eqo/cli/bench_process.h"
#include "eqo/cli/command.h"
#include "eqo/cli/compare.h"
#include "eqo/cli/compare_table.h"
#include "eqo/cli/preprocess_flags.h"
#include "eqo/cli/progress.h"
#include "eqo/cli/run_page.h"
#include "eqo/core/error.h"
#include "eqo/data/dataset.h"
#include "eqo/importer/atomic_file.h"
#include "eqo/importer/onnx_import.h"
#include "eqo/importer/zoo.h"
#include "eqo/model/eval.h"
#include "eqo/model/model_io.h"

namespace eqo::cli {
namespace {

using nlohmann::json;

struct Args {
  std::vector<std::string> models{"minionn", "resnet20", "resnet32", "resnet18"};
  std::vector<std::string> networks{"loopback", "lan", "wan"};
  std::vector<std::string> frameworks;
  std::string calibration, data, csv, report;
  std::size_t limit = 0;
  unsigned weights = 0, activations = 0, fixed_point_bits = 0;
  std::uint64_t max_memory_mib = 4096;
  QuantizeOptions quantize;
  PreprocessFlags preprocess;
  CompareOptions options;
};

// A network of the zoo or a file: with weights in floating point, to be quantized for each system, or as it is.
class Subject {
 public:
  Subject(const std::string& name, const std::string& shown, const Args& args) : name_(shown) {
    const std::vector<std::string> zoo = zoo_names();
    if (name.ends_with(".eqo")) {
      quantized_ = in_child<Bytes>([&] { return serialize_model(load_model(name)); });
      question_ = random_images(parse_model(*quantized_).plan.nodes.front().type.shape, 1, args.quantize.seed).question;
    } else if (name.ends_with(".onnx")) {
      graph_ = import_onnx(name);
    } else if (std::find(zoo.begin(), zoo.end(), name) != zoo.end()) {
      zoo_ = true;
      graph_ = make_zoo(name, {name == "resnet32" ? 100 : 0, 0, args.quantize.seed});
    } else {
      throw usage_error(fmt::format("'{}' is no model", name), "name networks of 'eqo zoo', .onnx or .eqo files");
    }
    if (!graph_) return;
    quantize_ = args.quantize;
    quantize_.preprocess = make_preprocess(args.preprocess, graph_->input_shape());
    images_ = zoo_ || args.calibration.empty()
                  ? random_images(graph_->input_shape(), quantize_.calibration_images, quantize_.seed)
                  : images_of(*open_dataset(args.calibration, Split::kTrain), quantize_.calibration_images,
                              quantize_.preprocess);
    question_ = images_.question;
  }
  const std::string& name() const { return name_; }
  bool zoo() const { return zoo_; }
  bool quantized() const { return quantized_.has_value(); }
  const std::vector<float>& question() const { return question_; }

  const Bytes& model(const CompareSetting& setting) {
    if (quantized_) return *quantized_;
    // With the convolutions given, the product changes nothing.
    const Products products =
        setting.conv == ConvChoice::kAuto ? ProductFlags{setting.products}.options().kind : Products::kOt;
    const auto key = std::tuple(setting.weights_bits, setting.activation_bits, setting.conv, products);
    auto known = models_.find(key);
    if (known == models_.end()) {
      quantize_.weights_bits = setting.weights_bits;
      quantize_.activation_bits = setting.activation_bits;
      quantize_.conv = setting.conv;
      quantize_.products.kind = products;
      known = models_.emplace(key, quantized_bytes(*graph_, images_, quantize_)).first;
    }
    return known->second;
  }

 private:
  std::string name_;
  bool zoo_ = false;
  std::optional<FloatGraph> graph_;
  std::optional<Bytes> quantized_;
  QuantizeOptions quantize_;
  BenchImages images_;
  std::vector<float> question_;
  std::map<std::tuple<unsigned, unsigned, ConvChoice, Products>, Bytes> models_;
};

std::vector<CompareSetting> settings_for(const Args& args, const Subject& subject) {
  std::vector<CompareSetting> list = compare_settings(args.frameworks);
  for (CompareSetting& s : list) {
    if (args.weights != 0) s.weights_bits = args.weights;
    if (args.activations != 0) s.activation_bits = args.activations;
    if (args.fixed_point_bits != 0 && s.fixed_point_bits != 0) s.fixed_point_bits = args.fixed_point_bits;
    if (args.weights != 0 || args.activations != 0 || subject.quantized()) s.why = "as asked for";
    if (subject.quantized()) s.weights_bits = s.activation_bits = 0;  // the model's own
  }
  // What two settings differed in may be what was given for all.
  const auto same = [](const CompareSetting& a, const CompareSetting& b) {
    return a.framework == b.framework && a.weights_bits == b.weights_bits && a.activation_bits == b.activation_bits &&
           (a.weights_bits == 0 || a.conv == b.conv) && std::string_view(a.products) == b.products;
  };
  std::vector<CompareSetting> unique;
  for (const CompareSetting& s : list)
    if (std::none_of(unique.begin(), unique.end(), [&](const CompareSetting& u) { return same(s, u); }))
      unique.push_back(s);
  return unique;
}

double accuracy_of(const Bytes& model, const Args& args) {
  const auto text = in_child<std::string>([&] {
    const auto data = open_dataset(args.data, Split::kTest);
    return json(evaluate(parse_model(model), *data, args.limit, args.quantize.threads).accuracy).dump();
  });
  return json::parse(text);
}

// Without those that are there twice.
std::vector<std::string> unique(const std::vector<std::string>& names) {
  std::vector<std::string> list;
  for (const std::string& name : names)
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  return list;
}

std::vector<Subject> subjects_of(const Args& args) {
  const auto file_name = [](const std::string& path) { return std::filesystem::path(path).filename().string(); };
  const std::vector<std::string> models = unique(args.models);
  std::vector<Subject> subjects;
  subjects.reserve(models.size());
  for (const std::string& model : models) {
    const auto alike = std::count_if(models.begin(), models.end(),
                                     [&](const std::string& other) { return file_name(other) == file_name(model); });
    subjects.emplace_back(model, alike == 1 ? file_name(model) : model, args);
  }
  return subjects;
}

void compare_command(const Output& out, const Args& args) {
  const std::vector<std::string> networks = unique(args.networks);
  for (const std::string& network : networks) compare_link(network);
  for (const std::string& file : {args.csv, args.report})
    if (!file.empty()) check_can_write(file);
  CompareOptions options = args.options;
  options.max_memory_bytes = args.max_memory_mib << 20;
  std::vector<Subject> subjects = subjects_of(args);
  const BenchRates rates = bench_rates();

  json rows = json::array(), left_out = json::array();
  std::optional<Error> failure;
  Progress progress("comparing", !out.quiet);
  std::size_t done = 0, all = 0;
  for (const Subject& subject : subjects) all += settings_for(args, subject).size();
  for (Subject& subject : subjects) {
    for (const CompareSetting& setting : settings_for(args, subject)) {
      const std::string framework(framework_name(setting.framework));
      progress.update(done++, all, subject.name() + ", " + framework);
      const Bytes& model = subject.model(setting);
      const bool judged = !args.data.empty() && !subject.zoo();  // random weights have no accuracy
      const double accuracy = judged ? accuracy_of(model, args) : 0;
      json its;
      try {
        its = compare_rows(subject.name(), model, setting, subject.question(), networks, rates, options);
      } catch (const Error& e) {  // the other rows are still worth having
        its = {{"left_out", one_line(e.what())}};
        if (!failure) failure = Error(e.category(), fmt::format("{} as {}: {}", subject.name(), framework, e.what()));
      }
      if (its.is_object()) {
        left_out.push_back({{"model", subject.name()}, {"framework", framework}, {"reason", its["left_out"]}});
        continue;
      }
      for (json& row : its) {
        if (judged) row["accuracy"] = accuracy;
        if (row.contains("difference") && !failure)
          failure = Error(Category::kVerification, fmt::format("{} as {} is not what was planned: {}", subject.name(),
                                                               framework, row["difference"].get<std::string>()));
        rows.push_back(std::move(row));
      }
    }
  }

  if (rows.empty() && !failure) failure = usage_error("no system of the list can run any of the models");
  json document{{"rows", rows}, {"ratios", compare_ratios(rows)}, {"left_out", left_out}, {"threads", options.threads}};
  if (!args.csv.empty()) write_file_atomically(args.csv, compare_csv(rows));
  if (!args.report.empty() && !rows.empty()) write_file_atomically(args.report, to_html(compare_page(document)));
  if (failure) document["error"] = error_json(*failure);
  out.document(document);
  for (const std::string& line : compare_text(rows)) out.text(line);
  for (const json& x : left_out)
    out.text(fmt::format("left out: {} as {}: {}", x["model"].get<std::string>(), x["framework"].get<std::string>(),
                         x["reason"].get<std::string>()));
  if (failure) throw *failure;
}

}  // namespace

void add_compare(CLI::App& bench, Session& session) {
  auto* cmd = bench.add_subcommand("compare", "EQO and the systems it is compared with, on the same networks");
  auto args = std::make_shared<Args>();
  QuantizeOptions& q = args->quantize;
  q.threads = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::string> names;
  for (const Framework f : kFrameworks) names.emplace_back(framework_name(f));
  cmd->add_option("--models", args->models, "Networks of 'eqo zoo' (random weights), .onnx or .eqo files")
      ->delimiter(',')
      ->capture_default_str();
  cmd->add_option("--networks", args->networks, "loopback, lan, wan, or BITS_PER_S:RTT such as 100M:20ms")
      ->delimiter(',')
      ->capture_default_str();
  cmd->add_option("--frameworks", args->frameworks, "Systems (default: all)")
      ->delimiter(',')
      ->check(CLI::IsMember(names));
  cmd->add_option("--weights", args->weights, "Bits of weights for every system (0: each its own)")
      ->check(CLI::Range(0, 8));
  cmd->add_option("--activations", args->activations, "Bits of activations for every system (0: each its own)")
      ->check(CLI::Range(0, 8));
  cmd->add_option("--fixed-point-bits", args->fixed_point_bits, "Ring of cryptflow2 and copriv (0: 37)")
      ->check(CLI::Range(0, 64));
  cmd->add_option("--calib", args->calibration, "DATA to calibrate .onnx files on (default: random images)");
  cmd->add_option("--calibration-images", q.calibration_images, "How many (0: 8)")->check(CLI::Range(0, 65536));
  cmd->add_option("--data", args->data, "DATA to measure the accuracy of .onnx and .eqo files on");
  cmd->add_option("--limit", args->limit, "--data: only the first N images (0: all)");
  cmd->add_option("--seed", q.seed, "Seed of random weights and images")->capture_default_str();
  cmd->add_flag("--plan-only", args->options.plan_only, "Run nothing: exact bytes and flights, estimated seconds");
  add_seconds_flag(*cmd, "--max-seconds", args->options.max_seconds, 0,
                   "Runs that are predicted to take longer are only planned");
  cmd->add_option("--max-memory-mib", args->max_memory_mib, "So are those whose parties need more, each")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  cmd->add_option("--threads", args->options.threads, "Threads of each party")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  cmd->add_option("--csv", args->csv, "Also write the table to this file");
  add_report_flag(*cmd, args->report);
  add_preprocess_flags(*cmd, args->preprocess);
  cmd->callback([&session, args] { session.action = [&session, args] { compare_command(session.output, *args); }; });
}

}  // namespace eqo::cli
