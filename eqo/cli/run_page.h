#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "eqo/model/graph.h"
#include "eqo/report/page.h"

namespace CLI {
class App;
}

namespace eqo::cli {

// --report FILE of the commands that write one.
void add_report_flag(CLI::App& cmd, std::string& file);

// Gathers values by label and series, both in the order in which they first come, into bars.
class Bars {
 public:
  void add(const std::string& label, const std::string& series, double value);
  Chart chart(Chart::Kind kind, Chart::Unit unit, std::string title) const;
  bool empty() const { return labels_.empty(); }
  // A row a label: the value of each series, and their sum.
  Table table(const std::string& first, Chart::Unit unit) const;

 private:
  std::vector<std::string> labels_, series_;
  std::vector<std::vector<double>> values_;  // by series, by label
};

// "12.3 MB", "0.42 s", as in the charts.
std::string figure(double value, Chart::Unit unit);

struct RunFacts {
  std::string model;      // as the user called it
  std::string framework;  // --framework
  std::string network;    // --network; empty: loopback
  bool measured = false;  // run, or planned
  std::uint32_t batch = 1;
};
// The report of one plan or run. `document`: the command's JSON.
Page run_page(const RunFacts& facts, const PublicPlan& plan, const nlohmann::json& document);

// run_page(), to the file; nothing without one.
void write_run_report(const std::string& file, const RunFacts& facts, const PublicPlan& plan,
                      const nlohmann::json& document);

// Under every report.
std::string report_footer();

}  // namespace eqo::cli
