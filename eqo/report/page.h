#pragma once
#include <string>
#include <utility>
#include <vector>

namespace eqo {

// An HTML report: tiles with the figures that matter, then sections of charts with a table beside them. All text is
// taken as it comes, from a model of unknown origin for example: to_html() escapes it.

struct Tile {
  std::string name, value, note;
};

// Every row as long as `columns`. Cells of the first column, and of those in `texts`, are words; the others are figures
// and stand to the right.
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> texts = {};
};

struct Chart {
  enum class Kind {
    kStacked,   // horizontal bars, one a label; a series is a part of each
    kGrouped,   // horizontal bars, one a label and series
    kRatios,    // the same from 1 to the left or right, on a logarithmic axis; 0: no bar
    kTimeline,  // horizontal bars, one a label; a series has spans
    kPoints,    // a series has points of two measures
  };
  enum class Unit { kBytes, kSeconds, kCount, kPercent, kRatio };
  struct Span {
    std::size_t label;
    double begin, end;
  };
  struct Point {
    double x, y;
    std::string name;
  };
  struct Series {
    std::string name;
    std::vector<double> values = {};  // kStacked, kGrouped, kRatios: one a label
    std::vector<Span> spans = {};     // kTimeline
    std::vector<Point> points = {};   // kPoints
  };
  Kind kind = Kind::kStacked;
  Unit unit = Unit::kBytes;
  std::string title;
  std::vector<std::string> labels = {};
  std::vector<Series> series = {};
  Unit y_unit = Unit::kPercent;            // kPoints
  std::string x_title = {}, y_title = {};  // kPoints
};

struct Section {
  std::string title, text;
  std::vector<Chart> charts = {};
  Table table = {};
  bool folded = false;  // the table opens by a click
};

struct Page {
  std::string title, subtitle;
  std::vector<Tile> tiles = {};
  std::vector<Section> sections = {};
  std::string footer = {};
};

// One file that needs no other: it asks for nothing from outside, and its policy (CSP) lets a browser run nothing but
// its own two scripts. Light or dark as the reader's system; without JavaScript the tables are there.
std::string to_html(const Page& page);

// Text for HTML content and quoted attributes. Control characters become blanks.
std::string html_escaped(const std::string& text);

}  // namespace eqo
