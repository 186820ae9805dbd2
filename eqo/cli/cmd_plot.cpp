#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "eqo/cli/command.h"
#include "eqo/cli/svg.h"
#include "eqo/core/error.h"
#include "eqo/data/file.h"
#include "eqo/importer/atomic_file.h"

namespace eqo::cli {
namespace {

constexpr std::size_t kMaxBytes = 16U << 20U;

struct Args {
  std::string input, output, x, y, series, title;
};

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == ',') {
      cells.emplace_back();
    } else if (c != '\r') {
      cells.back() += c;
    }
  }
  return cells;
}

// A table of comma-separated values: a header, then rows; lines that start with # are comments.
std::vector<Series> read_series(const Args& args) {
  const std::vector<std::uint8_t> bytes = read_file(args.input, kMaxBytes);
  std::istringstream in(std::string(bytes.begin(), bytes.end()));
  std::vector<std::string> header;
  std::vector<Series> out;
  std::map<std::string, std::size_t> known;
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.empty() || line.front() == '#' || line == "\r") continue;
    const std::vector<std::string> cells = cells_of(line);
    if (header.empty()) {
      header = cells;
      continue;
    }
    const auto cell = [&](const std::string& column) -> const std::string& {
      const auto found = std::find(header.begin(), header.end(), column);
      if (found == header.end())
        throw usage_error(args.input + " has no column '" + column + "'", "name one of its header's");
      const auto at = static_cast<std::size_t>(found - header.begin());
      if (at >= cells.size()) throw data_error(fmt::format("{}, line {}: too few values", args.input, number));
      return cells[at];
    };
    const auto value = [&](const std::string& column) {
      const std::string& text = cell(column);
      double v = 0;
      const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), v);
      if (problem != std::errc() || end != text.data() + text.size())
        throw data_error(fmt::format("{}, line {}: '{}' is not a number", args.input, number, text));
      return v;
    };
    const std::string name = args.series.empty() ? args.y : cell(args.series);
    const auto [found, added] = known.try_emplace(name, out.size());
    if (added) out.push_back({name, {}});
    out[found->second].points.push_back({value(args.x), value(args.y)});
  }
  if (out.empty()) throw data_error(args.input + " has no rows");
  for (Series& s : out)
    std::stable_sort(s.points.begin(), s.points.end(),
                     [](const Series::Point& a, const Series::Point& b) { return a.x < b.x; });
  return out;
}

}  // namespace

void add_plot(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("plot", "Draw columns of a CSV file, such as those under docs/data, as an SVG");
  auto args = std::make_shared<Args>();
  cmd->add_option("csv", args->input, "FILE.csv: a header and rows; # starts a comment")->required();
  cmd->add_option("-o,--output", args->output, "FILE.svg")->required();
  cmd->add_option("--x", args->x, "Column of the horizontal axis")->required();
  cmd->add_option("--y", args->y, "Column of the vertical axis")->required();
  cmd->add_option("--series", args->series, "Column that tells the lines apart");
  cmd->add_option("--title", args->title, "Title");
  cmd->callback([&session, args] {
    session.action = [&session, args] {
      const std::vector<Series> series = read_series(*args);
      write_file_atomically(args->output, line_plot(args->title, args->x, args->y, series));
      std::size_t points = 0;
      for (const Series& s : series) points += s.points.size();
      session.output.document({{"plot", args->output}, {"series", series.size()}, {"points", points}});
      session.output.text(fmt::format("{}: {} lines, {} points", args->output, series.size(), points));
    };
  });
}

}  // namespace eqo::cli
