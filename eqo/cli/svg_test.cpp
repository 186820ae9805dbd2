#include "eqo/cli/svg.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eqo/core/error.h"

namespace eqo::cli {
namespace {

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(Svg, TicksCoverTheValuesInRoundSteps) {
  EXPECT_EQ(axis_ticks(61, 143), (std::vector<double>{60, 80, 100, 120, 140, 160}));
  EXPECT_EQ(axis_ticks(0, 1).front(), 0);
  for (const auto& [lo, hi] :
       {std::pair{46.85, 91.7}, {-3.0, 2.0}, {1e-7, 3e-7}, {5.0, 5.0}, {0.0, 0.0}, {9.0, -9.0}}) {
    const std::vector<double> ticks = axis_ticks(lo, hi);
    ASSERT_GE(ticks.size(), 2U);
    EXPECT_LE(ticks.size(), 8U);
    EXPECT_LE(ticks.front(), std::min(lo, hi) + 1e-12);
    EXPECT_GE(ticks.back(), std::max(lo, hi) - 1e-12);
  }
  EXPECT_THROW(axis_ticks(0, INFINITY), Error);
}

TEST(Svg, ALinePlotHasEveryPointWhereItBelongs) {
  const std::string svg = line_plot("a < b & c", "MB", "%", {{"one", {{0, 0}, {10, 100}}}, {"two", {{5, 50}}}});
  EXPECT_EQ(svg.rfind("<svg xmlns=", 0), 0U);
  EXPECT_EQ(svg.substr(svg.size() - 7), "</svg>\n");
  EXPECT_NE(svg.find("a &lt; b &amp; c"), std::string::npos);
  EXPECT_EQ(count(svg, "<title>"), 3U);
  EXPECT_NE(svg.find("M70.0 404.0L740.0 44.0"), std::string::npos);     // from corner to corner of the axes
  EXPECT_NE(svg.find("cx=\"405.0\" cy=\"224.0\""), std::string::npos);  // their middle
  EXPECT_NE(svg.find(">one</text>"), std::string::npos);
  EXPECT_THROW(line_plot("", "", "", {}), Error);
  EXPECT_THROW(line_plot("", "", "", {{"x", {{0, NAN}}}}), Error);
}

TEST(Svg, AHeatMapHasACellForEveryValue) {
  const std::string svg =
      heat_map("t", {"W2", "W3"}, {{"conv", {{1.0, true}, {1e-3, false}}}, {"fc", {{}, {0.0, false}}}});
  EXPECT_EQ(count(svg, "<rect"), 4U);  // the background and three cells
  EXPECT_EQ(count(svg, "stroke-width=\"2\""), 1U);
  EXPECT_NE(svg.find("#d6543c"), std::string::npos);  // the greatest
  EXPECT_NE(svg.find(">1.0e-03</text>"), std::string::npos);
  EXPECT_THROW(heat_map("t", {"W2"}, {{"conv", {}}}), Error);
}

}  // namespace
}  // namespace eqo::cli
