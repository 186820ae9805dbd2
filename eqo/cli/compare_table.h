#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace eqo::cli {

// Of the rows of `eqo bench compare` (compare_rows): text, and what is computed from several of them.

// A system with its widths: "sirnn W8A8".
std::string row_label(const nlohmann::json& row);
// Measured and "verified" or "WRONG", or "planned".
std::string row_state(const nlohmann::json& row);
double row_bytes(const nlohmann::json& row);    // setup and online
double row_seconds(const nlohmann::json& row);  // the same

// Different values of a field, in the order of the rows; and the rows with one of them.
std::vector<std::string> distinct(const nlohmann::json& rows, const char* field);
nlohmann::json rows_with(const nlohmann::json& rows, const char* field, const std::string& value);

// For each model and network one object: `base`, the first of its EQO rows (EQO as shipped), and `systems`, how many
// times its bytes, flights and seconds every row needs. Seconds are null where only one of the two was measured.
// Nothing for models without an EQO row.
nlohmann::json compare_ratios(const nlohmann::json& rows);

std::string compare_csv(const nlohmann::json& rows);
std::vector<std::string> compare_text(const nlohmann::json& rows);

}  // namespace eqo::cli
