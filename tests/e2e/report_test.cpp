#include <algorithm>
#include <set>
#include <sstream>

#include "e2e/report_data.h"

// HTML reports and `eqo bench compare`. How reports look in a browser: tests/report.
namespace eqo::e2e {
namespace {

using nlohmann::json;

double sum(const json& chart) {
  double total = 0;
  for (const json& series : chart.at("series"))
    for (const json& value : series.at("values")) total += value.get<double>();
  return total;
}

// Bytes by kind, bytes by layer, the time line, flights: all add up to what the JSON says.
void expect_run_report(const std::string& html, const json& document) {
  const json charts = charts_of(html);
  ASSERT_EQ(charts.size(), 4U);
  const json& c = document["communication"];
  EXPECT_EQ(sum(charts[0]), c["total_bytes"]);
  EXPECT_EQ(sum(charts[1]), c["total_bytes"]);
  EXPECT_EQ(sum(charts[3]), c["flights"]);
  double seconds = 0, planned = 0;
  for (const json& series : charts[2]["series"])
    for (const json& span : series["spans"]) seconds += span[2].get<double>() - span[1].get<double>();
  for (const json& layer : c["layers"]) planned += layer["seconds"].get<double>();
  EXPECT_NEAR(seconds, planned, 1e-6);
  for (const json& layer : c["layers"]) EXPECT_NE(html.find(layer["name"].get<std::string>()), std::string::npos);
}

TEST(Report, OfAPlanAndOfARun) {
  const Folder folder;
  const std::string model = small_model(folder), file = folder / "r.html";
  const json plan = run_json({"plan", model, "--report", file});
  expect_run_report(read_file(file), plan);
  const json run = run_json({"local", model, "--data", images(), "--index", "0,1", "--verify", "--report", file});
  const std::string html = read_file(file);
  expect_run_report(html, run);
  EXPECT_NE(html.find("equal to the twin"), std::string::npos);
  expect_error({"plan", model, "--report", folder / "absent/r.html"}, Category::kResource, "absent");
  expect_error({"local", model, "--data", images(), "--index", "0", "--report", folder / "absent/r.html"},
               Category::kResource, "absent");
}

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(Compare, RunsEverySystem) {
  const Folder folder;
  const std::string csv = folder / "c.csv", html = folder / "c.html";
  const json document =
      run_json({"bench", "compare", "--models", fixture("mobile_10.onnx"), "--networks", "loopback", "--calib",
                images(), "--data", small_data(folder), "--csv", csv, "--report", html, "--quiet"});
  EXPECT_EQ(document["left_out"], json::array());
  std::set<std::string> frameworks;
  for (const json& row : document["rows"]) {
    SCOPED_TRACE(row["framework"]);
    frameworks.insert(row["framework"]);
    EXPECT_EQ(row["model"], "mobile_10.onnx");
    EXPECT_EQ(row["network"], "loopback");
    EXPECT_EQ(row["measured"], true);
    EXPECT_EQ(row["verified"], true);
    EXPECT_TRUE(row["weights"].is_number_integer() && row["activations"].is_number_integer());
    const json& c = row["communication"];
    EXPECT_EQ(c["total_bytes"], c["setup_bytes"].get<std::uint64_t>() + c["online_bytes"].get<std::uint64_t>());
    EXPECT_GT(c["flights"], 0);
    EXPECT_FALSE(c["layers"].empty());
    EXPECT_GT(row["seconds"]["online"], 0);
    EXPECT_GT(row["peak_rss_bytes"], 1 << 20);
    EXPECT_TRUE(row["accuracy"] >= 0 && row["accuracy"] <= 1);
  }
  EXPECT_EQ(frameworks, (std::set<std::string>{"coinn", "copriv", "cryptflow2", "eqo", "eqo-paper", "sirnn"}));
  const std::string table = read_file(csv);
  ASSERT_EQ(lines(table), document["rows"].size() + 1);
  std::istringstream in(table);
  std::string header, first;
  std::getline(in, header);
  std::getline(in, first);
  EXPECT_TRUE(header.starts_with("model,framework,weights,activations,"));
  EXPECT_EQ(std::count(first.begin(), first.end(), ','), std::count(header.begin(), header.end(), ','));
  // Phases, kinds, ratios of bytes and seconds, flights, memory, seconds, accuracy.
  const json charts = charts_of(read_file(html));
  ASSERT_EQ(charts.size(), 8U);
  double bytes = 0;
  for (const json& row : document["rows"]) bytes += row["communication"]["total_bytes"].get<double>();
  EXPECT_EQ(sum(charts[0]), bytes);
  EXPECT_EQ(sum(charts[1]), bytes);
  const json& ratios = document["ratios"];
  ASSERT_EQ(ratios.size(), 1U);
  ASSERT_EQ(ratios[0]["systems"].size(), document["rows"].size());
  for (std::size_t i = 0; i < document["rows"].size(); ++i) {
    const json& row = document["rows"][i];
    const double least = document["rows"][0]["communication"]["total_bytes"];
    EXPECT_DOUBLE_EQ(ratios[0]["systems"][i]["bytes"], row["communication"]["total_bytes"].get<double>() / least);
    EXPECT_TRUE(ratios[0]["systems"][i]["seconds"].is_number());
  }
}

TEST(Compare, PlansWhatIsTooLong) {
  const Folder folder;
  const Words compare{"bench", "compare", "--quiet", "--models"};
  const json planned =
      run_json(compare + Words{"minionn", "--frameworks", "sirnn", "--plan-only", "--networks", "loopback,wan"});
  ASSERT_EQ(planned["rows"].size(), 4U);
  for (const json& row : planned["rows"]) {
    EXPECT_EQ(row["measured"], false);
    EXPECT_TRUE(row["verified"].is_null());
    EXPECT_GT(row["seconds"]["online"], 0);
  }
  const json limited = run_json(
      compare + Words{fixture("mobile_10.onnx"), "--max-seconds", "0", "--networks", "100M:20ms", "--weights", "3"});
  for (const json& row : limited["rows"]) {
    EXPECT_EQ(row["weights"], 3);
    EXPECT_EQ(row["measured"], false);
    EXPECT_NE(row["note"].get<std::string>().find("would take"), std::string::npos);
  }
}

TEST(Compare, AModelOfOnesOwn) {
  const Folder folder;
  const std::string model = small_model(folder);
  const json document = run_json({"bench", "compare", "--models", model, "--networks", "loopback", "--plan-only",
                                  "--quiet", "--frameworks", "eqo"});
  ASSERT_EQ(document["rows"].size(), 2U);  // homomorphic products where they are cheaper, and OTs alone
  EXPECT_NE(document["rows"][0]["products"], document["rows"][1]["products"]);
  for (const json& row : document["rows"]) {
    EXPECT_TRUE(row["weights"].is_null());
    json compared = row["communication"];
    json planned = run_json({"plan", model, "--products", row["products"].get<std::string>()})["communication"];
    // Seconds depend on how fast the machine was found to be.
    for (json* c : {&compared, &planned})
      for (json& layer : (*c)["layers"]) layer.erase("seconds");
    EXPECT_EQ(compared, planned);
  }
}

TEST(Compare, ModelsOfOneName) {
  const Folder folder;
  const std::string model = small_model(folder);
  std::filesystem::create_directory(folder.path() / "other");
  std::filesystem::copy_file(model, folder.path() / "other" / std::filesystem::path(model).filename());
  const std::string twin = folder.path() / "other" / std::filesystem::path(model).filename();
  const json rows = run_json({"bench", "compare", "--models", model + "," + twin + "," + model, "--networks",
                              "loopback,loopback", "--plan-only", "--quiet", "--frameworks", "sirnn"})["rows"];
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["model"], model);
  EXPECT_EQ(rows[1]["model"], twin);
}

TEST(Compare, Errors) {
  expect_error({"bench", "compare", "--models", "nonsense"}, Category::kUsage, "nonsense");
  expect_error({"bench", "compare", "--models", "absent.onnx"}, Category::kModel, "absent");
  expect_error({"bench", "compare", "--models", "absent.eqo"}, Category::kModel, "absent");
  expect_error({"bench", "compare", "--networks", "fast"}, Category::kUsage);
  expect_error({"bench", "compare", "--frameworks", "delphi"}, Category::kUsage);
  const Folder folder;
  expect_error({"bench", "compare", "--report", folder / "absent/r.html"}, Category::kResource, "absent");
  expect_error({"bench", "compare", "--csv", folder.path()}, Category::kResource, "directory");
}

}  // namespace
}  // namespace eqo::e2e
