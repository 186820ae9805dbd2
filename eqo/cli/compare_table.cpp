#include "eqo/cli/compare_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "eqo/cli/csv.h"
#include "eqo/cli/run_page.h"

namespace eqo::cli {
namespace {

using nlohmann::json;
using Unit = Chart::Unit;

const json* ratios_of(const json& ratios, const std::string& model, const std::string& network) {
  for (const json& r : ratios)
    if (r["model"] == model && r["network"] == network) return &r;
  return nullptr;
}

// "sirnn W8A8 x59.4, ..." of one measure; rows without it are left out.
std::string listed(const json& ratio, const char* field) {
  std::string out;
  for (const json& system : ratio["systems"]) {
    if (system["label"] == ratio["base"] || system[field].is_null()) continue;
    out += fmt::format("{}{} x{:.2f}", out.empty() ? "" : ", ", system["label"].get<std::string>(),
                       system[field].get<double>());
  }
  return out;
}

}  // namespace

std::string row_label(const json& row) {
  std::string text = row.at("framework");
  if (!row["weights"].is_null()) text += fmt::format(" W{}A{}", row["weights"].dump(), row["activations"].dump());
  if (!row["fixed_point_bits"].is_null()) text += fmt::format(", {} bits", row["fixed_point_bits"].dump());
  if (row["products"] != "ot") text += ", HE";
  return text;
}

std::string row_state(const json& row) {
  if (!row["measured"].get<bool>()) return "planned";
  return row["verified"].get<bool>() ? "verified" : "WRONG";
}

double row_bytes(const json& row) { return row["communication"]["total_bytes"]; }

double row_seconds(const json& row) {
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

json rows_with(const json& rows, const char* field, const std::string& value) {
  json list = json::array();
  for (const json& row : rows)
    if (row[field] == value) list.push_back(row);
  return list;
}

json compare_ratios(const json& rows) {
  json list = json::array();
  for (const std::string& model : distinct(rows, "model")) {
    const json of_model = rows_with(rows, "model", model);
    for (const std::string& network : distinct(of_model, "network")) {
      const json its = rows_with(of_model, "network", network);
      const auto base = std::find_if(its.begin(), its.end(), [](const json& row) { return row["framework"] == "eqo"; });
      if (base == its.end()) continue;
      json systems = json::array();
      for (const json& row : its) {
        const bool alike = row["measured"] == (*base)["measured"];
        systems.push_back({{"label", row_label(row)},
                           {"framework", row["framework"]},
                           {"bytes", row_bytes(row) / row_bytes(*base)},
                           {"flights", row["communication"]["flights"].get<double>() /
                                           (*base)["communication"]["flights"].get<double>()},
                           {"seconds", alike ? json(row_seconds(row) / row_seconds(*base)) : json(nullptr)}});
      }
      list.push_back({{"model", model}, {"network", network}, {"base", row_label(*base)}, {"systems", systems}});
    }
  }
  return list;
}

std::string compare_csv(const json& rows) {
  std::string out =
      "model,framework,weights,activations,fixed_point_bits,products,convolutions,network,measured,verified,setup_"
      "bytes,"
      "online_bytes,total_bytes,setup_flights,online_flights,flights,setup_seconds,online_seconds,peak_rss_bytes,"
      "accuracy,note\n";
  const auto cell = [](const json& value) { return value.is_null() ? std::string() : value.dump(); };
  const auto text = [](const json& value) { return csv_quoted(value.get<std::string>()); };
  for (const json& row : rows) {
    const json& c = row["communication"];
    out += fmt::format("{},{},{},{},{},{},{},{},{},{},", text(row["model"]), text(row["framework"]),
                       cell(row["weights"]), cell(row["activations"]), cell(row["fixed_point_bits"]),
                       text(row["products"]), row["convolutions"].is_null() ? "" : text(row["convolutions"]),
                       text(row["network"]), cell(row["measured"]), cell(row["verified"]));
    out += fmt::format("{},{},{},{},{},{},{:.4f},{:.4f},{},{},{}\n", cell(c["setup_bytes"]), cell(c["online_bytes"]),
                       cell(c["total_bytes"]), cell(c["setup_flights"]), cell(c["online_flights"]), cell(c["flights"]),
                       row["seconds"]["setup"].get<double>(), row["seconds"]["online"].get<double>(),
                       cell(row["peak_rss_bytes"]), row.contains("accuracy") ? row["accuracy"].dump() : "",
                       text(row["note"]));
  }
  return out;
}

std::vector<std::string> compare_text(const json& rows) {
  std::vector<std::string> lines;
  const json ratios = compare_ratios(rows);
  for (const std::string& model : distinct(rows, "model")) {
    if (!lines.empty()) lines.emplace_back();
    lines.push_back(model);
    lines.push_back(fmt::format("{:<26} {:<12} {:>11} {:>11} {:>8} {:>9} {:>9} {:>8}  {}", "system", "network", "setup",
                                "online", "flights", "setup s", "online s", "MiB", ""));
    const json its = rows_with(rows, "model", model);
    for (const json& row : its) {
      const json& c = row["communication"];
      const std::string reason = row["note"], note = reason.empty() ? "" : fmt::format(": {}", reason);
      lines.push_back(fmt::format("{:<26} {:<12} {:>11} {:>11} {:>8} {:>9.2f} {:>9.2f} {:>8}  {}{}", row_label(row),
                                  row["network"].get<std::string>(), figure(c["setup_bytes"], Unit::kBytes),
                                  figure(c["online_bytes"], Unit::kBytes), c["flights"].dump(),
                                  row["seconds"]["setup"].get<double>(), row["seconds"]["online"].get<double>(),
                                  row["peak_rss_bytes"].get<std::uint64_t>() >> 20, row_state(row), note));
    }
    for (const std::string& network : distinct(its, "network")) {
      const json* ratio = ratios_of(ratios, model, network);
      if (ratio == nullptr) continue;
      const std::string base = (*ratio)["base"];
      for (const char* const field : {"bytes", "seconds"}) {
        const std::string list = listed(*ratio, field);
        if (!list.empty())
          lines.push_back(fmt::format("{} over {}, times those of {}: {}", field, network, base, list));
      }
    }
  }
  return lines;
}

}  // namespace eqo::cli
