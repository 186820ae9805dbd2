#include "eqo/report/page.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "eqo/crypto/sha256.h"

namespace eqo {

// Generated from third_party and from the files of these names beside this one.
extern const std::string_view kChartLibrary, kReportScript, kReportStyle;

namespace {

using nlohmann::json;

// As a policy names an inline script or style: 'sha256-BASE64'.
std::string policy_hash(std::string_view text) {
  const Digest digest = Sha256().add(text).digest();
  std::array<unsigned char, 4 * ((std::tuple_size_v<Digest> + 2) / 3) + 1> base64{};
  const int size =
      EVP_EncodeBlock(base64.data(), reinterpret_cast<const unsigned char*>(digest.data()), int{digest.size()});
  return fmt::format("'sha256-{}'",
                     std::string_view(reinterpret_cast<const char*>(base64.data()), static_cast<std::size_t>(size)));
}

std::string policy() {
  return fmt::format(
      "default-src 'none'; script-src {} {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
      policy_hash(kChartLibrary), policy_hash(kReportScript), policy_hash(kReportStyle));
}

const char* kind_name(Chart::Kind kind) {
  switch (kind) {
    case Chart::Kind::kGrouped:
      return "grouped";
    case Chart::Kind::kRatios:
      return "ratios";
    case Chart::Kind::kTimeline:
      return "timeline";
    case Chart::Kind::kPoints:
      return "points";
    default:
      return "stacked";
  }
}

const char* unit_name(Chart::Unit unit) {
  switch (unit) {
    case Chart::Unit::kSeconds:
      return "seconds";
    case Chart::Unit::kCount:
      return "count";
    case Chart::Unit::kPercent:
      return "percent";
    case Chart::Unit::kRatio:
      return "ratio";
    default:
      return "bytes";
  }
}

json chart_json(const Chart& chart) {
  json list = json::array();
  for (const Chart::Series& s : chart.series) {
    json spans = json::array(), points = json::array();
    for (const Chart::Span& span : s.spans) spans.push_back({span.label, span.begin, span.end});
    for (const Chart::Point& p : s.points) points.push_back({{"x", p.x}, {"y", p.y}, {"name", p.name}});
    list.push_back({{"name", s.name}, {"values", s.values}, {"spans", spans}, {"points", points}});
  }
  return {{"kind", kind_name(chart.kind)},
          {"unit", unit_name(chart.unit)},
          {"yUnit", unit_name(chart.y_unit)},
          {"labels", chart.labels},
          {"series", list},
          {"xTitle", chart.x_title},
          {"yTitle", chart.y_title}};
}

// JSON for the inside of a <script>: no character that could end the element or begin a comment.
std::string script_json(const json& value) {
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '<' || c == '>' || c == '&') {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string table_html(const Table& table) {
  const auto kind = [&](std::size_t column) {
    const bool words = column == 0 || std::find(table.texts.begin(), table.texts.end(), column) != table.texts.end();
    return words ? "" : " class=\"n\"";
  };
  std::string out = "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>";
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    out += fmt::format("<th scope=\"col\"{}>{}</th>", kind(i), html_escaped(table.columns[i]));
  out += "</tr></thead><tbody>\n";
  for (const std::vector<std::string>& row : table.rows) {
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i)
      out += i == 0 ? fmt::format("<th scope=\"row\">{}</th>", html_escaped(row[i]))
                    : fmt::format("<td{}>{}</td>", kind(i), html_escaped(row[i]));
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
  return out;
}

std::string section_html(const Section& section, std::size_t& chart_number) {
  std::string out = fmt::format("<section>\n<h2>{}</h2>\n", html_escaped(section.title));
  if (!section.text.empty()) out += fmt::format("<p>{}</p>\n", html_escaped(section.text));
  if (!section.charts.empty()) out += "<div class=\"charts\">\n";
  for (const Chart& chart : section.charts) {
    const std::string title = html_escaped(chart.title);
    out += fmt::format(
        "<figure hidden><figcaption><span>{0}</span></figcaption><div class=\"chart\"><canvas id=\"chart{1}\" "
        "role=\"img\" "
        "aria-label=\"{0}; its figures are in the table\"></canvas></div></figure>\n",
        title, chart_number++);
  }
  if (!section.charts.empty()) out += "</div>\n";
  if (section.table.columns.empty()) return out + "</section>\n";
  const std::string table = table_html(section.table);
  out += section.folded
             ? fmt::format("<details><summary>{} rows</summary>{}</details>\n", section.table.rows.size(), table)
             : table;
  return out + "</section>\n";
}

}  // namespace

std::string html_escaped(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
  }
  return out;
}

std::string to_html(const Page& page) {
  const std::string title = html_escaped(page.title);
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n",
      policy(), title, kReportStyle);
  out += fmt::format("<header><h1>{}</h1><p>{}</p></header>\n", title, html_escaped(page.subtitle));
  if (!page.tiles.empty()) {
    out += "<dl class=\"tiles\">\n";
    for (const Tile& tile : page.tiles)
      out += fmt::format("<div><dt>{}</dt><dd>{}</dd><dd class=\"note\">{}</dd></div>\n", html_escaped(tile.name),
                         html_escaped(tile.value), html_escaped(tile.note));
    out += "</dl>\n";
  }
  std::size_t chart_number = 0;
  json charts = json::array();
  for (const Section& section : page.sections) {
    out += section_html(section, chart_number);
    for (const Chart& chart : section.charts) charts.push_back(chart_json(chart));
  }
  out += fmt::format("<footer>{}</footer>\n</main>\n", html_escaped(page.footer));
  out += fmt::format("<script type=\"application/json\" id=\"charts\">{}</script>\n", script_json(charts));
  out += fmt::format("<script>{}</script>\n<script>{}</script>\n</body>\n</html>\n", kChartLibrary, kReportScript);
  return out;
}

}  // namespace eqo
