#include "eqo/report/page.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace eqo {
namespace {

const std::string kHostile = "</script><script>alert(1)</script><!-- \" ' & \x01 \xff <img src=x onerror=alert(2)>";

std::string between(const std::string& text, const std::string& from, const std::string& to) {
  const std::size_t begin = text.find(from);
  EXPECT_NE(begin, std::string::npos) << from;
  const std::size_t at = begin + from.size();
  return text.substr(at, text.find(to, at) - at);
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

Page hostile_page() {
  Chart chart{Chart::Kind::kStacked, Chart::Unit::kBytes, kHostile, {kHostile, "b"}};
  chart.series = {{kHostile, {1, 2}}};
  Chart line{Chart::Kind::kTimeline, Chart::Unit::kSeconds, "t", {"a"}};
  line.series = {{"s", {}, {{0, 0.5, 1.5}}}};
  return {kHostile,
          kHostile,
          {{kHostile, kHostile, kHostile}},
          {{kHostile, kHostile, {chart, line}, {{kHostile, "n"}, {{kHostile, kHostile}}}, true}},
          kHostile};
}

TEST(Page, EscapesText) {
  EXPECT_EQ(html_escaped("a<b>&\"'\n\x7f"), "a&lt;b&gt;&amp;&quot;&#39;  ");
  EXPECT_EQ(html_escaped("/layer1/conv"), "/layer1/conv");
}

TEST(Page, NoTextBecomesMarkup) {
  const std::string html = to_html(hostile_page()), harmless = to_html({"t", "s"});
  EXPECT_EQ(count(html, "<img"), 0U);
  // The style, the data and the two scripts, whatever the text says.
  EXPECT_EQ(count(html, "<script"), count(harmless, "<script"));
  EXPECT_EQ(count(html, "</script"), count(harmless, "</script"));
  EXPECT_EQ(count(html, "<!--"), count(harmless, "<!--"));
}

TEST(Page, DataComesBackAsItWas) {
  const std::string text = between(to_html(hostile_page()), "id=\"charts\">", "</script>");
  EXPECT_EQ(text.find_first_of("<>&"), std::string::npos);
  const nlohmann::json charts = nlohmann::json::parse(text);
  ASSERT_EQ(charts.size(), 2U);
  EXPECT_EQ(charts[0]["kind"], "stacked");
  EXPECT_EQ(charts[0]["unit"], "bytes");
  EXPECT_EQ(charts[0]["labels"][1], "b");
  // All but the byte that is no UTF-8.
  EXPECT_EQ(charts[0]["labels"][0].get<std::string>().substr(0, 45), kHostile.substr(0, 45));
  EXPECT_EQ(charts[0]["series"][0]["values"], nlohmann::json::array({1, 2}));
  EXPECT_EQ(charts[1]["series"][0]["spans"], nlohmann::json::parse("[[0, 0.5, 1.5]]"));
}

TEST(Page, AsksForNothing) {
  const std::string html = to_html(hostile_page());
  const std::string policy = between(html, "Content-Security-Policy\" content=\"", "\"");
  EXPECT_TRUE(policy.starts_with("default-src 'none'; script-src 'sha256-")) << policy;
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(policy.find("http"), std::string::npos);
  EXPECT_EQ(count(policy, "'sha256-"), 3U);
  EXPECT_EQ(html.find(" src="), html.find(" src=x onerror"));
  EXPECT_EQ(html.find("sourceMappingURL"), std::string::npos);
  EXPECT_EQ(html.find("@import"), std::string::npos);
  EXPECT_NE(html.find("MIT License"), std::string::npos);  // the library's notice stays
}

TEST(Page, TablesHaveEveryCell) {
  Page page{"t", "s"};
  page.sections = {{"one", "", {}, {{"a", "b", "c"}, {{"x", "1", "y"}, {"z", "2", "w"}}, {2}}}};
  const std::string html = to_html(page);
  EXPECT_EQ(count(html, "<tr>"), 3U);
  EXPECT_NE(html.find("<th scope=\"row\">x</th><td class=\"n\">1</td><td>y</td>"), std::string::npos);
}

}  // namespace
}  // namespace eqo
