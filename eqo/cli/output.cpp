#include "eqo/cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace eqo::cli {
namespace {

void write_line(std::FILE* file, const std::string& line) {
  const bool ok = std::fwrite(line.data(), 1, line.size(), file) == line.size() && std::fputc('\n', file) != EOF &&
                  std::fflush(file) == 0;
  if (!ok && file == stdout) throw resource_error("cannot write to standard output", "is it closed, or the disk full?");
}

}  // namespace

void Output::document(const nlohmann::json& value) const {
  if (!json || documented_) return;
  documented_ = true;
  write_line(stdout, value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Output::text(const std::string& line) const {
  if (!json) write_line(stdout, line);
}

void Output::message(const std::string& line) const {
  if (!quiet) write_line(stderr, line);
}

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return text;
}

nlohmann::json error_json(const Error& error) {
  return {{"code", static_cast<int>(error.category())},
          {"category", category_name(error.category())},
          {"message", one_line(error.what())},
          {"hint", one_line(error.hint())}};
}

std::string grouped(unsigned long long value) {
  const std::string digits = std::to_string(value);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string megabytes(unsigned long long bytes) { return fmt::format("{:.3f} MB", static_cast<double>(bytes) / 1e6); }

}  // namespace eqo::cli
