#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "eqo/core/error.h"

namespace eqo::cli {

// Where a command's results go. Data goes to stdout, messages to stderr; under --json stdout gets one document and
// nothing else. Throws resource_error when stdout cannot be written.
class Output {
 public:
  bool json = false;
  bool quiet = false;

  void document(const nlohmann::json& value) const;  // --json only: the command's one document; later ones are dropped
  void text(const std::string& line) const;          // without --json: one line of data
  void message(const std::string& line) const;       // stderr, unless quiet

 private:
  mutable bool documented_ = false;
};

// The `error` object of the JSON; control characters become blanks, so that a message stays one line.
nlohmann::json error_json(const Error& error);
std::string one_line(std::string text);

// "12,345,678 bytes" and "12.3 MB" (10^6 bytes).
std::string grouped(unsigned long long value);
std::string megabytes(unsigned long long bytes);

}  // namespace eqo::cli
