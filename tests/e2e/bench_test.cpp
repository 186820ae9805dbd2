#include <algorithm>
#include <map>
#include <sstream>

#include "e2e/report_data.h"

// `eqo bench`: the tables that compare whole runs.
namespace eqo::e2e {
namespace {

Words ablation(const Words& more) {
  return Words{"bench", "ablation", fixture("mobile_10.onnx"), "--calib", images(), "--weights", "4"} + more;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::map<std::string, nlohmann::json> by_pass(const nlohmann::json& document) {
  std::map<std::string, nlohmann::json> rows;
  for (const auto& row : document.at("rows"))
    rows[row.at("group").get<std::string>() + "/" + row.at("pass").get<std::string>()] = row;
  return rows;
}

TEST(Bench, AblationWithoutRuns) {
  const Folder folder;
  const std::string csv = folder / "a.csv", markdown = folder / "a.md", html = folder / "a.html";
  const nlohmann::json document =
      run_json(ablation({"--no-run", "--quiet", "--csv", csv, "--markdown", markdown, "--report", html}));
  const auto rows = by_pass(document);
  for (const char* name : {"full/full",
                           "quantizer/winograd",
                           "quantizer/rings",
                           "quantizer/residual",
                           "quantizer/share-extend",
                           "quantizer/pool-order",
                           "run-time/share-extend",
                           "run-time/pool-split",
                           "run-time/fuse",
                           "run-time/intervals",
                           "run-time/methods",
                           "run-time/merge",
                           "together/share-extend, both",
                           "together/fuse, intervals",
                           "all/all passes",
                           "OT/silent",
                           "OT/softspoken(4)",
                           "OT/IKNP",
                           "tree levels/2 levels",
                           "tree levels/3 levels",
                           "tree levels/4 levels"})
    ASSERT_TRUE(rows.contains(name)) << name;
  for (const auto& [name, row] : rows) {
    EXPECT_GT(row["online_bytes"], 0) << name;
    EXPECT_GT(row["flights"], 0) << name;
    EXPECT_GT(row["planned_seconds"]["online"], 0) << name;
    EXPECT_TRUE(row["seconds"].is_null() && row["verified"].is_null()) << name;
    if (!row["effect"].get<bool>()) {
      EXPECT_EQ(row["ratio"]["online_bytes"], 1.0) << name;
    }
  }
  const nlohmann::json full = rows.at("full/full");
  // Each of these must be worth something on any network: bytes without the passes, COTs, flights of deeper trees.
  EXPECT_GT(rows.at("all/all passes")["online_bytes"], full["online_bytes"]);
  EXPECT_GT(rows.at("run-time/fuse")["flights"], full["flights"]);
  EXPECT_GT(rows.at("OT/IKNP")["setup_bytes"], rows.at("OT/softspoken(4)")["setup_bytes"]);
  EXPECT_LT(rows.at("tree levels/2 levels")["flights"], rows.at("tree levels/4 levels")["flights"]);
  EXPECT_FALSE(rows.at("OT/silent")["effect"]);  // it is the choice without a link

  const std::vector<std::string> table = lines_of(read_file(csv));
  ASSERT_EQ(table.size(), rows.size() + 1);
  const auto columns = std::count(table[0].begin(), table[0].end(), ',');
  EXPECT_EQ(std::count(table[1].begin(), table[1].end(), ','), columns);
  const std::string online = full["online_bytes"].dump();
  EXPECT_NE(table[1].find(std::string(",").append(online).append(",")), std::string::npos) << table[1];
  std::size_t cells = 0;
  for (const std::string& line : lines_of(read_file(markdown)))
    if (line.starts_with("|")) {
      EXPECT_EQ(std::count(line.begin(), line.end(), '|'), 11) << line;
      ++cells;
    }
  EXPECT_EQ(cells, rows.size() + 2);

  // One chart of ratios and one of bytes: of every row that has an effect, the first without the full system.
  const nlohmann::json charts = charts_of(read_file(html));
  ASSERT_EQ(charts.size(), 2U);
  const auto effects = static_cast<std::size_t>(std::count_if(
      rows.begin(), rows.end(), [](const auto& row) { return row.second["effect"].template get<bool>(); }));
  EXPECT_EQ(charts[0]["labels"].size(), effects - 1);
  EXPECT_EQ(charts[1]["labels"].size(), effects);
  EXPECT_EQ(charts[1]["series"][0]["values"][0], full["setup_bytes"]);
  EXPECT_EQ(charts[1]["series"][1]["values"][0], full["online_bytes"]);
  const auto& names = charts[0]["labels"];
  const auto all = static_cast<std::size_t>(std::find(names.begin(), names.end(), "all: all passes") - names.begin());
  ASSERT_LT(all, names.size());
  EXPECT_EQ(charts[0]["series"][0]["values"][all], rows.at("all/all passes")["ratio"]["bytes"]);
}

TEST(Bench, AblationRuns) {
  const nlohmann::json document = run_json(ablation({"--runs", "1", "--quiet"}));
  EXPECT_EQ(document["runs"], 1);
  for (const auto& row : document["rows"]) {
    EXPECT_EQ(row["verified"], true) << row;
    EXPECT_EQ(row["seconds"]["runs"].size(), 1U);
    EXPECT_GT(row["seconds"]["online"], 0) << row;
    EXPECT_GT(row["peak_rss_bytes"], 1'000'000) << row;
  }
}

TEST(Bench, Errors) {
  const Folder folder;
  expect_error({"bench"}, Category::kUsage);
  expect_error({"bench", "ablation", "--zoo", "absent"}, Category::kUsage);
  expect_error(ablation({"--zoo", "minionn"}), Category::kUsage, "not both");
  expect_error({"bench", "ablation", "--calib", images()}, Category::kUsage, "--calib");
  expect_error(ablation({"--network", "fast"}), Category::kUsage);
  expect_error(ablation({"--runs", "0"}), Category::kUsage);
  expect_error({"bench", "ablation", folder / "absent.onnx"}, Category::kModel, "absent");
  expect_error(ablation({"--no-run", "--csv", folder / "absent/a.csv"}), Category::kResource, "absent");
}

}  // namespace
}  // namespace eqo::e2e
