#include "eqo/cli/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "eqo/core/error.h"

namespace eqo::cli {
namespace {

constexpr double kWidth = 760, kHeight = 460;
constexpr double kLeft = 70, kRight = 20, kTop = 44, kBottom = 56;  // margins of a plot
constexpr double kCell = 58, kRowHeight = 20;
constexpr double kNameWidth = 7.2;  // of a letter
constexpr std::array<const char*, 6> kColours{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      out += c;
    }
  }
  return out;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text, const std::string& more = {}) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more,
                     escaped(text));
}

std::string opening(double width, double height, const std::string& title) {
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#ffffff\"/>\n",
      width, height);
  out += text_at(width / 2, 24, "middle", title, " font-size=\"15\"");
  return out;
}

void check_finite(double v) {
  if (!std::isfinite(v)) throw usage_error("a plot of a value that is not a number");
}

std::string number(double v) { return fmt::format("{:.6g}", v == 0 ? 0.0 : v); }

}  // namespace

std::vector<double> axis_ticks(double least, double greatest) {
  check_finite(least);
  check_finite(greatest);
  if (least > greatest) std::swap(least, greatest);
  if (greatest - least < 1e-9 * std::max(1.0, std::abs(greatest))) {
    const double pad = std::max(1e-3, 0.05 * std::abs(greatest));
    least -= pad;
    greatest += pad;
  }
  double unit = std::pow(10.0, std::floor(std::log10(greatest - least)) - 1);
  constexpr double kSteps[] = {1, 2, 5, 10, 20, 50, 100};
  for (const double factor : kSteps) {
    const double step = unit * factor;
    const double first = std::floor(least / step + 1e-9), last = std::ceil(greatest / step - 1e-9);
    if (last - first > 7) continue;
    std::vector<double> ticks;
    for (double i = first; i <= last; ++i) ticks.push_back(i * step);
    return ticks;
  }
  return {least, greatest};
}

std::string line_plot(const std::string& title, const std::string& x_label, const std::string& y_label,
                      const std::vector<Series>& series) {
  std::vector<double> xs, ys;
  for (const Series& s : series)
    for (const Series::Point& p : s.points) {
      check_finite(p.x);
      check_finite(p.y);
      xs.push_back(p.x);
      ys.push_back(p.y);
    }
  if (xs.empty()) throw usage_error("a plot without points");
  const std::vector<double> x_ticks =
      axis_ticks(*std::min_element(xs.begin(), xs.end()), *std::max_element(xs.begin(), xs.end()));
  const std::vector<double> y_ticks =
      axis_ticks(*std::min_element(ys.begin(), ys.end()), *std::max_element(ys.begin(), ys.end()));
  const double right = kWidth - kRight, bottom = kHeight - kBottom;
  const auto at_x = [&](double x) {
    return kLeft + (x - x_ticks.front()) / (x_ticks.back() - x_ticks.front()) * (right - kLeft);
  };
  const auto at_y = [&](double y) {
    return bottom - (y - y_ticks.front()) / (y_ticks.back() - y_ticks.front()) * (bottom - kTop);
  };
  std::string out = opening(kWidth, kHeight, title);
  for (const double x : x_ticks) {
    out += fmt::format("<path d=\"M{0:.1f} {1:.1f}V{2:.1f}\" stroke=\"#dddddd\"/>\n", at_x(x), kTop, bottom);
    out += text_at(at_x(x), bottom + 18, "middle", number(x));
  }
  for (const double y : y_ticks) {
    out += fmt::format("<path d=\"M{1:.1f} {0:.1f}H{2:.1f}\" stroke=\"#dddddd\"/>\n", at_y(y), kLeft, right);
    out += text_at(kLeft - 8, at_y(y) + 4, "end", number(y));
  }
  out += text_at((kLeft + right) / 2, kHeight - 14, "middle", x_label);
  const double middle = (kTop + bottom) / 2;
  out += text_at(18, middle, "middle", y_label, fmt::format(" transform=\"rotate(-90 18 {:.1f})\"", middle));
  for (std::size_t s = 0; s < series.size(); ++s) {
    const char* colour = kColours[s % kColours.size()];
    std::string path;
    for (const Series::Point& p : series[s].points)
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", at_x(p.x), at_y(p.y));
    out += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", path, colour);
    for (const Series::Point& p : series[s].points)
      out +=
          fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"><title>{}</title></circle>\n", at_x(p.x),
                      at_y(p.y), colour, escaped(series[s].name + ": " + number(p.x) + ", " + number(p.y)));
    // The lower right corner: more bytes, more accuracy leaves it empty.
    const double y = bottom - 14 - 18 * static_cast<double>(series.size() - 1 - s);
    out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", right - 160, y - 4, colour);
    out += text_at(right - 150, y, "start", series[s].name);
  }
  return out + "</svg>\n";
}

std::string heat_map(const std::string& title, const std::vector<std::string>& columns,
                     const std::vector<HeatRow>& rows) {
  double least = INFINITY, greatest = -INFINITY;
  std::size_t letters = 0;
  for (const HeatRow& row : rows) {
    if (row.cells.size() != columns.size()) throw usage_error("a row of another length than the header");
    letters = std::max(letters, row.name.size());
    for (const HeatRow::Cell& cell : row.cells) {
      if (!cell.value) continue;
      check_finite(*cell.value);
      if (!(*cell.value > 0)) continue;
      least = std::min(least, std::log10(*cell.value));
      greatest = std::max(greatest, std::log10(*cell.value));
    }
  }
  const double left = 16 + kNameWidth * static_cast<double>(letters);
  const double width = std::max(320.0, left + kCell * static_cast<double>(columns.size()) + 16);
  std::string out = opening(width, kTop + 24 + kRowHeight * static_cast<double>(rows.size()) + 12, title);
  for (std::size_t c = 0; c < columns.size(); ++c)
    out += text_at(left + kCell * (static_cast<double>(c) + 0.5), kTop + 14, "middle", columns[c]);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const double y = kTop + 22 + kRowHeight * static_cast<double>(r);
    out += text_at(left - 8, y + 14, "end", rows[r].name);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const HeatRow::Cell& cell = rows[r].cells[c];
      if (!cell.value) continue;
      // From white to red as the logarithm rises.
      const double share =
          *cell.value > 0 && greatest > least ? (std::log10(*cell.value) - least) / (greatest - least) : 0;
      const auto fade = [&](double full) { return static_cast<int>(std::lround(255 - share * (255 - full))); };
      out += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"#{:02x}{:02x}{:02x}\"{}/>\n",
          left + kCell * static_cast<double>(c) + 1, y + 1, kCell - 2, kRowHeight - 2, fade(214), fade(84), fade(60),
          cell.chosen ? " stroke=\"#000000\" stroke-width=\"2\"" : "");
      out += text_at(left + kCell * (static_cast<double>(c) + 0.5), y + 14, "middle",
                     fmt::format("{:.1e}", *cell.value), " font-size=\"10\"");
    }
  }
  return out + "</svg>\n";
}

}  // namespace eqo::cli
