#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "eqo/cli/bench_table.h"
#include "eqo/cli/run_page.h"

namespace eqo::cli {
namespace {

using nlohmann::json;
using Unit = Chart::Unit;
using Kind = Chart::Kind;

// A pass and another part may have the same name.
std::string row_name(const json& row) {
  const std::string group = row["group"], pass = row["pass"];
  return group == pass ? pass : fmt::format("{}: {}", group, pass);
}

const json& seconds_of(const json& row) { return row["seconds"].is_null() ? row["planned_seconds"] : row["seconds"]; }

double bytes_of(const json& row) { return row["setup_bytes"].get<double>() + row["online_bytes"].get<double>(); }

std::string state_of(const json& row) {
  if (!row["effect"].get<bool>()) return "no effect";
  if (row["verified"].is_null()) return "planned";
  return row["verified"].get<bool>() ? "measured, verified" : "measured, WRONG";
}

// `rows` of one network; the first is the full system.
Section section_of(const json& rows, const std::string& network) {
  Bars ratios, bytes;
  Table table{{"off, or instead", "setup", "online", "times the full", "flights", "times", "setup s", "online s",
               "times", "memory", ""},
              {},
              {10}};
  std::string idle;
  for (const json& row : rows) {
    const std::string name = row_name(row);
    const json& ratio = row["ratio"];
    if (row["effect"].get<bool>()) {
      bytes.add(name, "setup", row["setup_bytes"]);
      bytes.add(name, "online", row["online_bytes"]);
      if (&row != &rows.front())
        for (const char* const measure : {"bytes", "flights", "seconds"}) ratios.add(name, measure, ratio[measure]);
    } else {
      idle += fmt::format("{}{}", idle.empty() ? "" : ", ", name);
    }
    table.rows.push_back(
        {name, figure(row["setup_bytes"], Unit::kBytes), figure(row["online_bytes"], Unit::kBytes),
         figure(ratio["bytes"], Unit::kRatio), figure(row["flights"], Unit::kCount),
         figure(ratio["flights"], Unit::kRatio), fmt::format("{:.2f}", seconds_of(row)["setup"].get<double>()),
         fmt::format("{:.2f}", seconds_of(row)["online"].get<double>()), figure(ratio["seconds"], Unit::kRatio),
         fmt::format("{} MiB", row["peak_rss_bytes"].get<std::uint64_t>() >> 20), state_of(row)});
  }
  std::string text =
      "Every bar leaves one part out, or takes another OT extension or tree; 1 is the full system. Bytes and seconds "
      "with setup, flights online.";
  if (!idle.empty()) text += fmt::format(" Without effect on this network's plan: {}.", idle);
  Section section{network, text, {}, table};
  if (!ratios.empty())
    section.charts.push_back(
        ratios.chart(Kind::kRatios, Unit::kRatio, "Bytes, flights and seconds, times the full system's"));
  section.charts.push_back(bytes.chart(Kind::kStacked, Unit::kBytes, "Bytes by phase"));
  return section;
}

}  // namespace

Page ablation_page(const json& document) {
  const json& rows = document.at("rows");
  const std::string link = document["network"].get<std::string>();
  const bool ran = document["runs"] != 0;
  Page page{"What each part is worth",
            fmt::format("W{}A{}, {} on {}{}", document["weights_bits"].dump(), document["activation_bits"].dump(),
                        ran ? "measured" : "planned", link.empty() ? "loopback" : link,
                        ran ? fmt::format(", medians of {} runs", document["runs"].dump()) : "")};
  std::vector<std::string> networks;
  for (const json& row : rows)
    if (networks.empty() || networks.back() != row["network"]) networks.push_back(row["network"]);
  for (const std::string& network : networks) {
    json its = json::array();
    for (const json& row : rows)
      if (row["network"] == network) its.push_back(row);
    const auto dearest = std::max_element(its.begin(), its.end(),
                                          [](const json& a, const json& b) { return bytes_of(a) < bytes_of(b); });
    page.tiles.push_back({network, figure(bytes_of(its.front()), Unit::kBytes),
                          fmt::format("the full system; the most is {}: {}", figure(bytes_of(*dearest), Unit::kBytes),
                                      row_name(*dearest))});
    page.sections.push_back(section_of(its, network));
  }
  page.footer = report_footer();
  return page;
}

}  // namespace eqo::cli
