#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "eqo/cli/compare.h"
#include "eqo/cli/csv.h"
#include "eqo/cli/output.h"
#include "eqo/cli/run_page.h"
#include "eqo/core/error.h"

namespace eqo::cli {
namespace {

using nlohmann::json;
using Unit = Chart::Unit;

std::string label(const json& row) {
  std::string text = row.at("framework");
  if (!row["weights"].is_null()) text += fmt::format(" W{}A{}", row["weights"].dump(), row["activations"].dump());
  if (!row["fixed_point_bits"].is_null()) text += fmt::format(", {} bits", row["fixed_point_bits"].dump());
  if (row["products"] != "ot") text += ", HE";
  return text;
}

double total(const json& row) { return row["communication"]["total_bytes"]; }
double total_seconds(const json& row) {
  double sum = 0;
  for (const json& part : row["seconds"]) sum += part.get<double>();
  return sum;
}

std::vector<std::string> distinct(const json& rows, const char* field) {
  std::vector<std::string> list;
  for (const json& row : rows)
    if (std::find(list.begin(), list.end(), row.at(field)) == list.end()) list.push_back(row.at(field));
  return list;
}

std::string how(const json& row) {
  if (!row["measured"].get<bool>()) return fmt::format("planned: {}", row["note"].get<std::string>());
  return row["verified"].get<bool>() ? "measured, verified" : "measured, WRONG";
}

Section costs(const std::string& model, const json& rows) {
  Bars kinds, phases, seconds, flights;
  Table table{
      {"system", "network", "setup", "online", "total", "flights", "setup s", "online s", "memory", ""}, {}, {1, 9}};
  const std::string first = rows.front()["network"];
  for (const json& row : rows) {
    const json& c = row["communication"];
    const std::string name = label(row), network = row["network"];
    if (network == first) {
      for (const json& step : c["layers"])
        if (step["bytes"] > 0) kinds.add(name, step["op"], step["bytes"]);
      phases.add(name, "setup", c["setup_bytes"]);
      if (c.value("prepared_bytes", 0.0) > 0) phases.add(name, "prepared", c["prepared_bytes"]);
      phases.add(name, "online", c["online_bytes"]);
      flights.add(name, "flights", c["flights"]);
    }
    seconds.add(name, row["measured"].get<bool>() ? network : network + ", planned", total_seconds(row));
    table.rows.push_back({name, network, figure(c["setup_bytes"], Unit::kBytes),
                          figure(c["online_bytes"], Unit::kBytes), figure(total(row), Unit::kBytes),
                          figure(c["flights"], Unit::kCount),
                          fmt::format("{:.2f}", row["seconds"]["setup"].get<double>()),
                          fmt::format("{:.2f}", row["seconds"]["online"].get<double>()),
                          fmt::format("{} MiB", row["peak_rss_bytes"].get<std::uint64_t>() >> 20), how(row)});
  }
  return {
      model,
      "One image in a session of its own, both directions, setup included. Bytes and flights are exact whether a row "
      "is measured or planned; planned seconds and memory are estimates.",
      {kinds.chart(Chart::Kind::kStacked, Unit::kBytes, model + ": bytes by kind of step"),
       phases.chart(Chart::Kind::kStacked, Unit::kBytes, model + ": bytes by phase"),
       seconds.chart(Chart::Kind::kGrouped, Unit::kSeconds, model + ": seconds, setup and online"),
       flights.chart(Chart::Kind::kStacked, Unit::kCount, model + ": flights")},
      table};
}

Section accuracies(const json& rows) {
  Chart chart{Chart::Kind::kPoints, Unit::kBytes, "Accuracy against bytes"};
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
    series->points.push_back({total(row), accuracy, label(row)});
    table.rows.push_back({model, label(row), figure(total(row), Unit::kBytes), figure(accuracy, Unit::kPercent)});
  }
  return {"Accuracy against bytes", "Of the quantized network's integer twin.", {chart}, table};
}

// EQO's fewest bytes for a model, and how many times that its nearest rival needs.
Tile best(const std::string& model, const json& rows) {
  const json *eqo = nullptr, *rival = nullptr;
  for (const json& row : rows) {
    const Framework f = parse_framework(row["framework"].get<std::string>()).value_or(Framework::kEqo);
    const json*& least = is_peer(f) ? rival : eqo;
    if (least == nullptr || total(row) < total(*least)) least = &row;
  }
  if (eqo == nullptr) return {model, figure(total(*rival), Unit::kBytes), label(*rival)};
  return {model, figure(total(*eqo), Unit::kBytes),
          rival == nullptr ? label(*eqo)
                           : fmt::format("{}; the nearest other, {}, needs {:.1f} times that", label(*eqo),
                                         label(*rival), total(*rival) / total(*eqo))};
}

json of_model(const json& rows, const std::string& model) {
  json list = json::array();
  for (const json& row : rows)
    if (row["model"] == model) list.push_back(row);
  return list;
}

}  // namespace

std::string compare_csv(const json& rows) {
  std::string out =
      "model,framework,weights,activations,fixed_point_bits,products,network,measured,verified,setup_bytes,"
      "online_bytes,total_bytes,flights,setup_seconds,online_seconds,peak_rss_bytes,accuracy\n";
  const auto cell = [](const json& value) { return value.is_null() ? std::string() : value.dump(); };
  for (const json& row : rows) {
    const json& c = row["communication"];
    out += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{:.4f},{:.4f},{},{}\n", csv_quoted(row["model"]),
                       csv_quoted(row["framework"]), cell(row["weights"]), cell(row["activations"]),
                       cell(row["fixed_point_bits"]), csv_quoted(row["products"]), csv_quoted(row["network"]),
                       cell(row["measured"]), cell(row["verified"]), cell(c["setup_bytes"]), cell(c["online_bytes"]),
                       cell(c["total_bytes"]), cell(c["flights"]), row["seconds"]["setup"].get<double>(),
                       row["seconds"]["online"].get<double>(), cell(row["peak_rss_bytes"]),
                       row.contains("accuracy") ? row["accuracy"].dump() : "");
  }
  return out;
}

std::vector<std::string> compare_text(const json& rows) {
  std::vector<std::string> lines;
  for (const std::string& model : distinct(rows, "model")) {
    if (!lines.empty()) lines.emplace_back();
    lines.push_back(model);
    lines.push_back(fmt::format("{:<26} {:<12} {:>11} {:>11} {:>8} {:>9} {:>9} {:>8}  {}", "system", "network", "setup",
                                "online", "flights", "setup s", "online s", "MiB", ""));
    for (const json& row : of_model(rows, model)) {
      const json& c = row["communication"];
      lines.push_back(fmt::format("{:<26} {:<12} {:>11} {:>11} {:>8} {:>9.2f} {:>9.2f} {:>8}  {}", label(row),
                                  row["network"].get<std::string>(), figure(c["setup_bytes"], Unit::kBytes),
                                  figure(c["online_bytes"], Unit::kBytes), c["flights"].dump(),
                                  row["seconds"]["setup"].get<double>(), row["seconds"]["online"].get<double>(),
                                  row["peak_rss_bytes"].get<std::uint64_t>() >> 20, how(row)));
    }
  }
  return lines;
}

Page compare_page(const json& document) {
  const json& rows = document.at("rows");
  Page page{
      "Comparison of systems for private inference",
      "The same engine, channel and kernels run every system's plan and protocols, so that bytes and seconds can be "
      "compared."};
  if (rows.empty()) throw usage_error("no system of the list can run any of the models", "see left_out of --json");
  for (const std::string& model : distinct(rows, "model")) {
    const json its = of_model(rows, model);
    page.tiles.push_back(best(model, its));
    page.sections.push_back(costs(model, its));
  }
  if (std::any_of(rows.begin(), rows.end(), [](const json& row) { return row.contains("accuracy"); }))
    page.sections.push_back(accuracies(rows));
  Table widths{{"system", "why these widths"}, {}, {1}};
  for (const json& row : rows) {
    std::vector<std::string> line{label(row), row["why"]};
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
