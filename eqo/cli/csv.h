#pragma once
#include <string>
#include <string_view>

namespace eqo::cli {

// A cell of a CSV file (RFC 4180). Text that a spreadsheet would take for a formula gets an apostrophe in front: names
// come from models of unknown origin.
inline std::string csv_quoted(std::string_view text) {
  std::string out = "\"";
  if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos) out += '\'';
  for (const char c : text) {
    if (c == '"') out += c;
    out += c;
  }
  return out + "\"";
}

}  // namespace eqo::cli
