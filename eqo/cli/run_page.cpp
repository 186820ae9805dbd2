#include "eqo/cli/run_page.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "eqo/cli/output.h"
#include "eqo/importer/atomic_file.h"

namespace eqo::cli {
namespace {

using nlohmann::json;
using Unit = Chart::Unit;

std::size_t index_of(std::vector<std::string>& list, const std::string& name) {
  const auto found = std::find(list.begin(), list.end(), name);
  if (found != list.end()) return static_cast<std::size_t>(found - list.begin());
  list.push_back(name);
  return list.size() - 1;
}

struct Phase {
  const char *name, *bytes, *seconds;
};
constexpr std::array<Phase, 3> kPhases{{{"setup", "setup_bytes", "setup"},
                                        {"prepared", "prepared_bytes", "prepared"},
                                        {"online", "online_bytes", "online"}}};

// One row of communication.layers, and the layer it is a step of.
struct Step {
  std::string name, layer, op;
  std::array<double, 3> bytes{};  // by phase
  double flights = 0, seconds = 0;
  double total() const { return bytes[0] + bytes[1] + bytes[2]; }
};

std::vector<Step> steps_of(const PublicPlan& plan, const json& communication) {
  std::map<std::string, std::string> layers;
  for (const Node& node : plan.nodes) layers[node.name] = node.layer.empty() ? node.name : node.layer;
  std::vector<Step> steps;
  for (const json& row : communication.at("layers")) {
    Step step{row.at("name"), row.at("name"), row.at("op"), {}, row.at("flights"), row.at("seconds")};
    const auto layer = layers.find(step.name);
    if (step.op != "session" && layer != layers.end()) step.layer = layer->second;
    for (std::size_t p = 0; p < kPhases.size(); ++p) step.bytes[p] = row.value(kPhases[p].bytes, 0.0);
    steps.push_back(step);
  }
  return steps;
}

Section bytes_by_kind(const std::vector<Step>& steps) {
  Bars bars;
  for (std::size_t p = 0; p < kPhases.size(); ++p)
    for (const Step& s : steps)
      if (s.bytes[p] > 0) bars.add(s.op, kPhases[p].name, s.bytes[p]);
  return {"Bytes by kind of step",
          "Setup is paid once a session, prepared material before an image is known, online for every image.",
          {bars.chart(Chart::Kind::kStacked, Unit::kBytes, "Bytes by kind of step and phase")},
          bars.table("kind of step", Unit::kBytes)};
}

Section bytes_by_layer(const std::vector<Step>& steps) {
  Bars bars;
  for (const Step& s : steps)
    if (s.total() > 0) bars.add(s.layer, s.op, s.total());
  return {"Bytes by layer",
          "All phases together; both directions, frame headers included.",
          {bars.chart(Chart::Kind::kStacked, Unit::kBytes, "Bytes by layer and kind of step")},
          bars.table("layer", Unit::kBytes),
          true};
}

// Steps one after another; short ones would be invisible, but a layer without any is left out.
Section time_line(const std::vector<Step>& steps, bool measured) {
  Chart chart{Chart::Kind::kTimeline, Unit::kSeconds, "Time line by layer and kind of step"};
  Table table{{"layer", "begins at", "seconds", "flights"}, {}};
  struct Layer {
    double begin = 0, seconds = 0, flights = 0;
  };
  std::vector<std::string> names, kinds;
  std::vector<Layer> layers;
  double now = 0;
  for (const Step& s : steps) {
    if (s.seconds > 0) {
      const std::size_t layer = index_of(chart.labels, s.layer), kind = index_of(kinds, s.op);
      if (chart.series.size() < kinds.size()) chart.series.push_back({s.op});
      chart.series[kind].spans.push_back({layer, now, now + s.seconds});
    }
    if (s.seconds > 0 || s.flights > 0) {
      const std::size_t row = index_of(names, s.layer);
      if (layers.size() < names.size()) layers.push_back({now});
      layers[row].seconds += s.seconds;
      layers[row].flights += s.flights;
    }
    now += s.seconds;
  }
  for (std::size_t i = 0; i < names.size(); ++i)
    table.rows.push_back({names[i], figure(layers[i].begin, Unit::kSeconds), figure(layers[i].seconds, Unit::kSeconds),
                          fmt::format("{:.0f}", layers[i].flights)});
  return {"Time line",
          fmt::format("Seconds {}, one step behind another; a step's share of the setup is in its bar. Waiting for the "
                      "other party is part of them.",
                      measured ? "measured at the client" : "predicted on a simulated clock"),
          {chart},
          table,
          true};
}

Section flights_by_layer(const std::vector<Step>& steps) {
  Bars bars;
  for (const Step& s : steps)
    if (s.flights > 0) bars.add(s.layer, s.op, s.flights);
  return {"Flights by layer",
          "A flight is a change of direction: on a slow link each costs half a round trip.",
          {bars.chart(Chart::Kind::kStacked, Unit::kCount, "Flights by layer and kind of step")},
          bars.table("layer", Unit::kCount),
          true};
}

Section every_step(const std::vector<Step>& steps) {
  Table table{{"step", "kind", "setup bytes", "prepared bytes", "online bytes", "flights", "seconds"}, {}, {1}};
  const auto count = [](double v) { return grouped(static_cast<unsigned long long>(v)); };
  for (const Step& s : steps)
    table.rows.push_back({s.name, s.op, count(s.bytes[0]), count(s.bytes[1]), count(s.bytes[2]), count(s.flights),
                          fmt::format("{:.4f}", s.seconds)});
  return {"Every step", "In the order of the plan, to the byte.", {}, table, true};
}

Section answers(const json& images) {
  Table table{{"image", "answer", "probability", "truth", "equal to the twin"}, {}, {1}};
  for (const json& image : images) {
    const std::string name = image.at("class"), label = image.at("label").dump();
    double probability = 0;
    for (const json& p : image.value("probabilities", json::array()))
      probability = std::max(probability, p.get<double>());
    table.rows.push_back({image.at("image"), name.empty() ? "class " + label : name,
                          probability > 0 ? figure(100 * probability, Unit::kPercent) : "",
                          image.contains("truth") ? image["truth"].dump() : "",
                          image.contains("verified") ? image["verified"].get<bool>() ? "yes" : "NO" : "not compared"});
  }
  return {"Answers", "", {}, table};
}

// `digits` significant ones, no trailing zeros.
std::string significant(double value, int digits) {
  const int decimals =
      value == 0 ? 0 : std::max(0, digits - 1 - static_cast<int>(std::floor(std::log10(std::abs(value)))));
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

}  // namespace

void add_report_flag(CLI::App& cmd, std::string& file) {
  cmd.add_option("--report", file, "Also write an HTML report with charts to this file; it needs no network");
}

void Bars::add(const std::string& label, const std::string& series, double value) {
  const std::size_t l = index_of(labels_, label), s = index_of(series_, series);
  values_.resize(series_.size());
  for (std::vector<double>& v : values_) v.resize(labels_.size());
  values_[s][l] += value;
}

Chart Bars::chart(Chart::Kind kind, Unit unit, std::string title) const {
  Chart chart{kind, unit, std::move(title), labels_};
  for (std::size_t s = 0; s < series_.size(); ++s) chart.series.push_back({series_[s], values_[s]});
  return chart;
}

Table Bars::table(const std::string& first, Unit unit) const {
  Table table{{first}, {}};
  table.columns.insert(table.columns.end(), series_.begin(), series_.end());
  if (series_.size() > 1) table.columns.emplace_back("together");
  for (std::size_t l = 0; l < labels_.size(); ++l) {
    std::vector<std::string> row{labels_[l]};
    double sum = 0;
    for (const std::vector<double>& v : values_) {
      row.push_back(v[l] == 0 ? "" : figure(v[l], unit));
      sum += v[l];
    }
    if (series_.size() > 1) row.push_back(figure(sum, unit));
    table.rows.push_back(row);
  }
  return table;
}

std::string figure(double value, Unit unit) {
  switch (unit) {
    case Unit::kBytes: {
      constexpr std::array kUnits{"B", "kB", "MB", "GB", "TB"};
      std::size_t i = 0;
      for (; std::abs(value) >= 1000 && i + 1 < kUnits.size(); ++i) value /= 1000;
      return fmt::format("{} {}", significant(value, i == 0 ? 3 : 4), kUnits[i]);
    }
    case Unit::kSeconds:
      return value < 1 ? significant(1000 * value, 3) + " ms" : significant(value, 4) + " s";
    case Unit::kPercent:
      return significant(value, 4) + " %";
    case Unit::kRatio:
      return fmt::format("×{:.2f}", value);
    default:
      return grouped(static_cast<unsigned long long>(value));
  }
}

std::string report_footer() {
  return "Written by eqo " EQO_VERSION
         ". 1 MB is 10^6 bytes. This file asks nothing of a network. Charts: Chart.js, MIT licence.";
}

Page run_page(const RunFacts& facts, const PublicPlan& plan, const json& document) {
  const json& communication = document.at("communication");
  const json& seconds = document.at("seconds");
  const std::string model = std::filesystem::path(facts.model).filename().string();
  Page page{model, fmt::format("{} with the protocols of {}, {} on {}",
                               facts.batch == 1 ? "One image" : fmt::format("A batch of {} images", facts.batch),
                               facts.framework, facts.measured ? "measured with both parties as processes," : "planned",
                               facts.network.empty() ? "loopback" : facts.network)};
  const char* const notes[] = {"once a session", "before the image", facts.batch == 1 ? "an image" : "a batch"};
  for (std::size_t p = 0; p < kPhases.size(); ++p) {
    const double bytes = communication.value(kPhases[p].bytes, 0.0), time = seconds.value(kPhases[p].seconds, 0.0);
    if (bytes == 0 && p == 1) continue;
    page.tiles.push_back(
        {kPhases[p].name, figure(bytes, Unit::kBytes), fmt::format("{}, {}", figure(time, Unit::kSeconds), notes[p])});
  }
  page.tiles.push_back({"flights", figure(communication.at("flights"), Unit::kCount),
                        communication.contains("online_flights")
                            ? fmt::format("{} of them online", communication["online_flights"].dump())
                            : ""});
  page.tiles.push_back({"client sends", figure(communication.at("sent_bytes"), Unit::kBytes),
                        "receives " + figure(communication.at("received_bytes"), Unit::kBytes)});
  page.tiles.push_back({"memory", fmt::format("{} MiB", document.at("peak_rss_bytes").get<std::uint64_t>() >> 20),
                        facts.measured ? "peak of the larger party" : "a party, estimated from above"});
  const std::vector<Step> steps = steps_of(plan, communication);
  if (document.contains("images")) page.sections.push_back(answers(document["images"]));
  page.sections.push_back(bytes_by_kind(steps));
  page.sections.push_back(bytes_by_layer(steps));
  page.sections.push_back(time_line(steps, facts.measured));
  page.sections.push_back(flights_by_layer(steps));
  page.sections.push_back(every_step(steps));
  page.footer = report_footer();
  return page;
}

void write_run_report(const std::string& file, const RunFacts& facts, const PublicPlan& plan, const json& document) {
  if (!file.empty()) write_file_atomically(file, to_html(run_page(facts, plan, document)));
}

}  // namespace eqo::cli
