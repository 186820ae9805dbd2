#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "eqo/cli/compare.h"
#include "eqo/cli/compare_table.h"
#include "eqo/cli/run_page.h"
#include "eqo/core/error.h"

namespace eqo::cli {
namespace {

using nlohmann::json;
using Unit = Chart::Unit;
using Kind = Chart::Kind;

// How many times EQO's a row's measure is; empty where that can't be said.
std::string times(const json& ratios, const json& row, const char* field) {
  for (const json& r : ratios) {
    if (r["model"] != row["model"] || r["network"] != row["network"]) continue;
    for (const json& system : r["systems"])
      if (system["label"] == row_label(row) && !system[field].is_null())
        return figure(system[field].get<double>(), Unit::kRatio);
  }
  return {};
}

// Bars of one network's rows: what its bytes are for, and what the row needs beside them.
std::vector<Chart> charts_of_bytes(const json& rows) {
  Bars kinds, phases, flights, memory;
  for (const json& row : rows) {
    const json& c = row["communication"];
    const std::string name = row_label(row);
    for (const json& step : c["layers"])
      if (step["bytes"] > 0) kinds.add(name, step["op"], step["bytes"]);
    phases.add(name, "setup", c["setup_bytes"]);
    phases.add(name, "online", c["online_bytes"]);
    flights.add(name, "flights", c["flights"]);
    memory.add(name, row["measured"].get<bool>() ? "measured" : "estimated", row["peak_rss_bytes"]);
  }
  return {phases.chart(Kind::kStacked, Unit::kBytes, "Bytes by phase"),
          kinds.chart(Kind::kStacked, Unit::kBytes, "Bytes by kind of step"),
          flights.chart(Kind::kGrouped, Unit::kCount, "Flights"),
          memory.chart(Kind::kGrouped, Unit::kBytes, "Peak memory of the larger party")};
}

// Bytes and seconds beside those of EQO as shipped.
std::vector<Chart> charts_of_ratios(const json& ratios, const std::string& model) {
  Bars bytes, seconds;
  std::string base;
  for (const json& r : ratios) {
    if (r["model"] != model) continue;
    base = r["base"];
    for (const json& system : r["systems"]) {
      if (system["label"] == r["base"]) continue;
      bytes.add(system["label"], r["network"], system["bytes"]);
      if (!system["seconds"].is_null()) seconds.add(system["label"], r["network"], system["seconds"]);
    }
  }
  std::vector<Chart> charts;
  if (!bytes.empty())
    charts.push_back(bytes.chart(Kind::kRatios, Unit::kRatio, fmt::format("Bytes, times those of {}", base)));
  if (!seconds.empty())
    charts.push_back(seconds.chart(Kind::kRatios, Unit::kRatio, fmt::format("Seconds, times those of {}", base)));
  return charts;
}

Chart seconds_over(const json& rows, const std::string& network) {
  Bars bars;
  for (const json& row : rows) {
    const char* const state = row["measured"].get<bool>() ? "" : ", planned";
    for (const char* const phase : {"setup", "online"})
      bars.add(row_label(row), fmt::format("{}{}", phase, state), row["seconds"][phase]);
  }
  return bars.chart(Kind::kStacked, Unit::kSeconds, "Seconds over " + network);
}

Section costs(const std::string& model, const json& rows, const json& ratios) {
  Table table{{"system", "network", "", "setup", "online", "total", "times EQO's", "flights", "setup s", "online s",
               "times EQO's", "memory"},
              {},
              {1, 2}};
  for (const json& row : rows) {
    const json& c = row["communication"];
    table.rows.push_back({row_label(row), row["network"], row_state(row), figure(c["setup_bytes"], Unit::kBytes),
                          figure(c["online_bytes"], Unit::kBytes), figure(row_bytes(row), Unit::kBytes),
                          times(ratios, row, "bytes"), figure(c["flights"], Unit::kCount),
                          fmt::format("{:.2f}", row["seconds"]["setup"].get<double>()),
                          fmt::format("{:.2f}", row["seconds"]["online"].get<double>()), times(ratios, row, "seconds"),
                          fmt::format("{} MiB", row["peak_rss_bytes"].get<std::uint64_t>() >> 20)});
  }
  const std::vector<std::string> networks = distinct(rows, "network");
  std::vector<Chart> charts = charts_of_bytes(rows_with(rows, "network", networks.front()));
  std::vector<Chart> more = charts_of_ratios(ratios, model);
  charts.insert(charts.begin() + 2, more.begin(), more.end());
  for (const std::string& network : networks)
    charts.push_back(seconds_over(rows_with(rows, "network", network), network));
  return {
      model,
      fmt::format("One image in a session of its own, both directions, setup included. Verified: measured, and every "
                  "step equal to the twin's. Bytes and flights are exact in planned rows too; their seconds and "
                  "memory are estimates. Bytes, flights and memory in the charts are those over {}.",
                  networks.front()),
      charts, table};
}

Section accuracies(const json& rows) {
  Chart chart{Kind::kPoints, Unit::kBytes, "Accuracy against bytes"};
  chart.x_title = "bytes of one image, setup included";
  chart.y_title = "accuracy of the twin";
  Table table{{"model", "system", "bytes", "accuracy"}, {}, {1}};
  const std::string first = rows.front()["network"];
  for (const json& row : rows) {
    if (!row.contains("accuracy") || row["network"] != first) continue;
    const std::string model = row["model"];
    auto series =
        std::find_if(chart.series.begin(), chart.series.end(), [&](const auto& s) { return s.name == model; });
    if (series == chart.series.end()) series = chart.series.insert(series, {model});
    const double accuracy = 100 * row["accuracy"].get<double>();
    series->points.push_back({row_bytes(row), accuracy, row_label(row)});
    table.rows.push_back(
        {model, row_label(row), figure(row_bytes(row), Unit::kBytes), figure(accuracy, Unit::kPercent)});
  }
  return {"Accuracy against bytes", "Of the quantized network's integer twin.", {chart}, table};
}

// The bytes of EQO as shipped, and how many times that its nearest rival needs over the same link.
Tile headline(const std::string& model, const json& rows) {
  const json *eqo = nullptr, *rival = nullptr;
  for (const json& row : rows) {
    if (row["network"] != rows.front()["network"]) continue;
    if (row["framework"] == "eqo" && eqo == nullptr) eqo = &row;
    const auto framework = parse_framework(row["framework"].get<std::string>());
    if (framework && is_peer(*framework) && (rival == nullptr || row_bytes(row) < row_bytes(*rival))) rival = &row;
  }
  const json& shown = eqo != nullptr ? *eqo : rival != nullptr ? *rival : rows.front();
  std::string note = row_label(shown);
  if (eqo != nullptr && rival != nullptr)
    note += fmt::format("; the nearest other, {}, needs {:.1f} times that", row_label(*rival),
                        row_bytes(*rival) / row_bytes(*eqo));
  return {model, figure(row_bytes(shown), Unit::kBytes), note};
}

}  // namespace

Page compare_page(const json& document) {
  const json& rows = document.at("rows");
  const json& ratios = document.at("ratios");
  Page page{
      "Comparison of systems for private inference",
      "The same engine, channel and kernels run every system's plan and protocols, so that bytes and seconds can be "
      "compared."};
  for (const std::string& model : distinct(rows, "model")) {
    const json its = rows_with(rows, "model", model);
    page.tiles.push_back(headline(model, its));
    page.sections.push_back(costs(model, its, ratios));
  }
  if (std::any_of(rows.begin(), rows.end(), [](const json& row) { return row.contains("accuracy"); }))
    page.sections.push_back(accuracies(rows));
  Table widths{{"system", "why these widths"}, {}, {1}};
  for (const json& row : rows) {
    std::vector<std::string> line{row_label(row), row["why"]};
    if (std::find(widths.rows.begin(), widths.rows.end(), line) == widths.rows.end()) widths.rows.push_back(line);
  }
  page.sections.push_back({"The systems",
                           "W: bits of weights, A: of activations, of all layers but the first and the "
                           "last; HE: products by homomorphic encryption where that is cheaper.",
                           {},
                           widths});
  if (!document["left_out"].empty()) {
    Table left{{"model", "system", "reason"}, {}, {1, 2}};
    for (const json& x : document["left_out"]) left.rows.push_back({x["model"], x["framework"], x["reason"]});
    page.sections.push_back({"Left out", "", {}, left});
  }
  page.footer = report_footer();
  return page;
}

}  // namespace eqo::cli
