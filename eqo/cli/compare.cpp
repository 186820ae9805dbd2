#include "eqo/cli/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "eqo/cli/bench_process.h"
#include "eqo/cli/report.h"
#include "eqo/model/model_io.h"
#include "eqo/model/quantize.h"
#include "eqo/runtime/local.h"

namespace eqo::cli {
namespace {

using nlohmann::json;

// Which widths a system needs, and why: docs/comparison.md.
const std::vector<CompareSetting>& all_settings() {
  static const std::vector<CompareSetting> list = [] {
    using enum Framework;
    using enum ConvChoice;
    const char* const tuned = "the published widths; two bits need fine-tuning";
    const char* const untrained = "keeps nearly all accuracy without training";
    std::vector<CompareSetting> s{
        {kEqo, 2, 6, kDirect, "auto", 0, tuned},
        {kEqo, 2, 6, kAuto, "ot", 0, tuned},
        {kEqo, 4, 6, kDirect, "auto", 0, untrained},
        {kEqoPaper, 2, 6, kWinograd, "ot", 0, tuned},
        {kSirnn, 8, 8, kDirect, "ot", 0, "the narrowest that keeps the float network's accuracy without training"},
        {kSirnn, 4, 6, kDirect, "ot", 0, "as narrow as EQO without training"},
        {kCoinn, 3, 8, kDirect, "ot", 0, "8 clusters, as its public configurations have on average"},
        {kCopriv, 8, 8, kWinograd, "ot", 37, "the fixed point of CrypTFlow2"},
        {kCryptflow2, 8, 8, kDirect, "ot", 37, "a published ring of the same accuracy as floating point"},
    };
    for (const Framework f : kFrameworks)
      if (std::none_of(s.begin(), s.end(), [&](const CompareSetting& x) { return x.framework == f; }))
        s.push_back({f, 8, 8, kDirect, "ot", 0, "widths that any network bears"});
    return s;
  }();
  return list;
}

const char* conv_name(ConvChoice conv) {
  if (conv == ConvChoice::kAuto) return "auto";
  return conv == ConvChoice::kWinograd ? "winograd" : "direct";
}

struct Verified {
  std::vector<std::vector<std::int64_t>> outputs;
  std::string difference;
};

// A plan's run on loopback in which every step is compared with the twin.
Verified verified_run(const Offer& offer, std::span<const Word> image, LocalOptions options) {
  options.verify = true;
  options.network.reset();
  const LocalResult run = run_local(offer, image, 1, options);
  Verified v{run.outputs, run.difference ? run.difference->to_string(offer.model.plan) : ""};
  if (v.difference.empty() && !run.verified.at(0)) v.difference = "the opened result";
  return v;
}

json rows_of(const std::string& name, const Bytes& model, const CompareSetting& setting,
             const std::vector<float>& question, const std::vector<std::string>& networks, const BenchRates& rates,
             const CompareOptions& options) {
  ExecFlags flags;
  flags.framework = framework_name(setting.framework);
  flags.products.kind = setting.products;
  if (setting.fixed_point_bits != 0) flags.framework_options.fixed_point_bits = setting.fixed_point_bits;
  json rows = json::array();
  std::map<std::string, Verified> verified;  // by what is executed
  for (const std::string& network : networks) {
    const std::optional<LinkSpec> link = compare_link(network);
    const Offer offer = prepare_offer(parse_model(model), flags, link);
    RunReport report = planned_run(offer, rates, link);
    const double seconds = report.setup_seconds + report.online_seconds;
    std::string note;
    if (options.plan_only) {
      note = "as asked for";
    } else if (seconds > options.max_seconds) {
      note = fmt::format("would take about {:.0f} s", seconds);
    } else if (report.peak_rss_bytes > options.max_memory_bytes) {
      note = fmt::format("would take about {} MiB a party", report.peak_rss_bytes >> 20);
    }
    json row{{"model", name},
             {"framework", flags.framework},
             {"weights", setting.weights_bits == 0 ? json(nullptr) : json(setting.weights_bits)},
             {"activations", setting.activation_bits == 0 ? json(nullptr) : json(setting.activation_bits)},
             {"products", setting.products},
             {"convolutions", setting.weights_bits == 0 ? json(nullptr) : json(conv_name(setting.conv))},
             {"fixed_point_bits", setting.fixed_point_bits == 0 ? json(nullptr) : json(setting.fixed_point_bits)},
             {"why", setting.why},
             {"network", network},
             {"measured", note.empty()},
             {"note", note},
             {"verified", nullptr},
             {"planned", {{"seconds", seconds_json(report)}, {"peak_rss_bytes", report.peak_rss_bytes}}}};
    if (note.empty()) {
      const std::vector<Word> image = quantize_image(offer.model.plan, question);
      LocalOptions local;
      local.threads = options.threads;
      const Bytes exec = serialize(offer.exec);
      std::string program(reinterpret_cast<const char*>(exec.data()), exec.size());
      program.append(reinterpret_cast<const char*>(offer.plan_bytes.data()), offer.plan_bytes.size());
      auto known = verified.find(program);
      if (known == verified.end()) known = verified.emplace(program, verified_run(offer, image, local)).first;
      local.network = link;
      const LocalResult run = run_local(offer, image, 1, local);
      std::string difference = known->second.difference;
      if (difference.empty() && run.outputs != known->second.outputs) difference = "the opened result of the timed run";
      if (difference.empty()) difference = first_difference(report, run.client.report);
      report = run.client.report;
      report.peak_rss_bytes = std::max(report.peak_rss_bytes, run.server.report.peak_rss_bytes);
      row["verified"] = difference.empty();
      if (!difference.empty()) row["difference"] = difference;
    }
    row["communication"] = communication_json(report);
    row["seconds"] = seconds_json(report);
    row["peak_rss_bytes"] = report.peak_rss_bytes;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

std::vector<CompareSetting> compare_settings(const std::vector<std::string>& frameworks) {
  if (frameworks.empty()) return all_settings();
  std::vector<CompareSetting> chosen;
  for (const CompareSetting& s : all_settings())
    if (std::find(frameworks.begin(), frameworks.end(), framework_name(s.framework)) != frameworks.end())
      chosen.push_back(s);
  return chosen;
}

std::optional<LinkSpec> compare_link(std::string name) {
  if (name == "loopback") return {};
  std::replace(name.begin(), name.end(), ':', ',');  // a list of networks is separated by commas
  return parse_link(name);
}

json compare_rows(const std::string& name, const Bytes& model, const CompareSetting& setting,
                  const std::vector<float>& question, const std::vector<std::string>& networks, const BenchRates& rates,
                  const CompareOptions& options) {
  const auto text = in_child<std::string>([&] {
    json result;
    try {
      result = rows_of(name, model, setting, question, networks, rates, options);
    } catch (const Error& e) {
      if (e.category() != Category::kUsage) throw;
      result = {{"left_out", one_line(e.what())}};
    }
    return result.dump(-1, ' ', false, json::error_handler_t::replace);
  });
  return json::parse(text);
}

}  // namespace eqo::cli
