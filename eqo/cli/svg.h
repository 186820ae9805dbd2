#pragma once
#include <optional>
#include <string>
#include <vector>

namespace eqo::cli {

// Plain SVG pictures of results, as text; they look right on light and dark backgrounds alike.

struct Series {
  std::string name;
  struct Point {
    double x = 0, y = 0;
  };
  std::vector<Point> points;  // joined in this order
};
// Lines with marked points over both axes, and a legend. Throws usage_error if there is no point, or one that is not
// finite.
std::string line_plot(const std::string& title, const std::string& x_label, const std::string& y_label,
                      const std::vector<Series>& series);

// A table of cells whose colours tell the decade of their values; a cell without one stays empty, a chosen one has a
// frame. Throws usage_error for rows of another length than the header, or a value that is not finite.
struct HeatRow {
  struct Cell {
    std::optional<double> value;
    bool chosen = false;
  };
  std::string name;
  std::vector<Cell> cells;
};
std::string heat_map(const std::string& title, const std::vector<std::string>& columns,
                     const std::vector<HeatRow>& rows);

// Multiples of 1, 2 or 5 times a power of ten that cover [least, greatest], at most eight of them and at least two.
std::vector<double> axis_ticks(double least, double greatest);

}  // namespace eqo::cli
