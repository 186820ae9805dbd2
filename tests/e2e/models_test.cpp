#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

#include "e2e/support.h"

// The models that ship, and what their card (models/README.md) says of their cost.
namespace eqo::e2e {
namespace {

using nlohmann::json;

std::string models() { return fixture("../../models"); }

// The cells of the card's rows that begin with a model's file name.
std::map<std::string, std::vector<std::string>> card() {
  std::map<std::string, std::vector<std::string>> rows;
  std::istringstream text(read_file(models() + "/README.md"));
  for (std::string line; std::getline(text, line);) {
    line.erase(std::remove(line.begin(), line.end(), ' '), line.end());
    std::smatch name;
    if (!std::regex_search(line, name, std::regex("^\\|`([a-z0-9-]+\\.eqo)`\\|"))) continue;
    std::istringstream cells(line.substr(1));
    for (std::string cell; std::getline(cells, cell, '|');) rows[name[1]].push_back(cell);
  }
  return rows;
}

std::string megabytes(const json& bytes) {
  std::ostringstream out;
  out.precision(2);
  out << std::fixed << bytes.get<double>() / 1e6;
  return out.str();
}

TEST(Models, CardSaysWhatTheyCost) {
  const auto rows = card();
  std::size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator(models())) {
    if (file.path().extension() != ".eqo") continue;
    ++files;
    SCOPED_TRACE(file.path().filename());
    const auto row = rows.find(file.path().filename());
    ASSERT_NE(row, rows.end());
    const std::vector<std::string>& cells = row->second;
    const json plan = run_json({"plan", file.path(), "--products", "auto"})["communication"];
    const json by_ot = run_json({"plan", file.path(), "--products", "ot"})["communication"];
    EXPECT_EQ(cells.at(cells.size() - 3), megabytes(plan["setup_bytes"]));
    EXPECT_EQ(cells.at(cells.size() - 2), megabytes(plan["online_bytes"]));
    EXPECT_EQ(cells.at(cells.size() - 1), megabytes(by_ot["total_bytes"]));
  }
  EXPECT_EQ(files, rows.size());
  EXPECT_GE(files, 4U);
}

TEST(Models, RunPrivately) {
  for (const auto& [name, cells] : card()) {
    SCOPED_TRACE(name);
    const json run = run_json({"local", models() + "/" + name, "--data", images(), "--index", "0", "--verify"});
    EXPECT_EQ(run["images"][0]["verified"], true);
  }
}

}  // namespace
}  // namespace eqo::e2e
