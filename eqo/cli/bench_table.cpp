#include "eqo/cli/bench_table.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "eqo/cli/csv.h"

namespace eqo::cli {
namespace {

double total(const RunSeconds& s) { return s.setup + s.online; }

// Measured, or as planned where nothing ran.
double seconds_of(const Measurement& m) { return total(m.runs.empty() ? m.planned : m.median); }

struct Ratios {
  double setup_bytes, online_bytes, bytes, flights, seconds;
};
Ratios ratios(const Measurement& m, const Measurement& full) {
  const auto ratio = [](double a, double b) { return b > 0 ? a / b : 0; };
  return {ratio(static_cast<double>(m.setup_bytes), static_cast<double>(full.setup_bytes)),
          ratio(static_cast<double>(m.online_bytes), static_cast<double>(full.online_bytes)),
          ratio(static_cast<double>(m.setup_bytes + m.online_bytes),
                static_cast<double>(full.setup_bytes + full.online_bytes)),
          ratio(static_cast<double>(m.online_flights), static_cast<double>(full.online_flights)),
          ratio(seconds_of(m), seconds_of(full))};
}

// Calls row(row, its network's full system).
template <typename F>
void each(const std::vector<AblationRow>& rows, const F& row) {
  const AblationRow* full = nullptr;
  for (const AblationRow& r : rows) {
    if (full == nullptr || r.network != full->network) full = &r;
    row(r, full->cost);
  }
}

}  // namespace

nlohmann::json ablation_json(const std::vector<AblationRow>& rows) {
  nlohmann::json list = nlohmann::json::array();
  each(rows, [&](const AblationRow& r, const Measurement& full) {
    const Measurement& m = r.cost;
    const Ratios x = ratios(m, full);
    nlohmann::json row{{"network", r.network},
                       {"group", r.variant.group},
                       {"pass", r.variant.name},
                       {"effect", r.effect},
                       {"setup_bytes", m.setup_bytes},
                       {"online_bytes", m.online_bytes},
                       {"setup_flights", m.setup_flights},
                       {"flights", m.online_flights},
                       {"planned_seconds", {{"setup", m.planned.setup}, {"online", m.planned.online}}},
                       {"seconds", nullptr},
                       {"peak_rss_bytes", m.peak_rss_bytes},
                       {"verified", nullptr},
                       {"ratio",
                        {{"setup_bytes", x.setup_bytes},
                         {"online_bytes", x.online_bytes},
                         {"bytes", x.bytes},
                         {"flights", x.flights},
                         {"seconds", x.seconds}}}};
    if (!m.runs.empty()) {
      nlohmann::json runs = nlohmann::json::array();
      for (const RunSeconds& s : m.runs) runs.push_back({{"setup", s.setup}, {"online", s.online}});
      row["seconds"] = {{"setup", m.median.setup}, {"online", m.median.online}, {"runs", runs}};
      row["verified"] = m.verified();
    }
    list.push_back(row);
  });
  return list;
}

std::string ablation_csv(const std::vector<AblationRow>& rows) {
  std::string out =
      "network,group,pass,effect,setup_bytes,online_bytes,setup_flights,flights,planned_setup_seconds,"
      "planned_online_seconds,setup_seconds,online_seconds,peak_rss_bytes,verified\n";
  for (const AblationRow& r : rows) {
    const Measurement& m = r.cost;
    const std::string measured = m.runs.empty() ? "," : fmt::format("{:.4f},{:.4f}", m.median.setup, m.median.online);
    const char* verified = m.runs.empty() ? "" : m.verified() ? "true" : "false";
    out += fmt::format("{},{},{},{},{},{},{},{},{:.4f},{:.4f},{},{},{}\n", csv_quoted(r.network),
                       csv_quoted(r.variant.group), csv_quoted(r.variant.name), r.effect, m.setup_bytes, m.online_bytes,
                       m.setup_flights, m.online_flights, m.planned.setup, m.planned.online, measured, m.peak_rss_bytes,
                       verified);
  }
  return out;
}

std::string ablation_markdown(const std::vector<AblationRow>& rows) {
  std::string out, network, group;
  each(rows, [&](const AblationRow& r, const Measurement& full) {
    const Measurement& m = r.cost;
    const bool ran = !m.runs.empty();
    if (network != r.network) {
      out +=
          fmt::format("{}{}:\n\n| group | off, or instead | setup MB | online MB | | flights | | {} s | | {} MiB |\n",
                      out.empty() ? "" : "\n", r.network, ran ? "measured" : "planned", ran ? "peak" : "estimated");
      out += "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
      network = r.network;
      group.clear();
    }
    const std::string first = group == r.variant.group ? "" : r.variant.group;
    group = r.variant.group;
    if (!r.effect) {
      out += fmt::format("| {} | {} | no effect | | | | | | | |\n", first, r.variant.name);
      return;
    }
    const Ratios x = ratios(m, full);
    out +=
        fmt::format("| {} | {} | {:.2f} | {:.2f} | x{:.2f} | {} | x{:.2f} | {:.2f} | x{:.2f} | {} |\n", first,
                    r.variant.name, static_cast<double>(m.setup_bytes) / 1e6, static_cast<double>(m.online_bytes) / 1e6,
                    x.online_bytes, m.online_flights, x.flights, seconds_of(m), x.seconds, m.peak_rss_bytes >> 20);
  });
  return out;
}

}  // namespace eqo::cli
