#pragma once
#include <string>

namespace eqo::cli {

// A cell of a CSV file (RFC 4180).
inline std::string csv_quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace eqo::cli
