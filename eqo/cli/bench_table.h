#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "eqo/cli/bench_measure.h"
#include "eqo/report/page.h"

namespace eqo::cli {

struct AblationRow {
  std::string network;  // the neural one
  Variant variant;
  Measurement cost;
  bool effect = true;  // false: the variant is, step by step, the full system
};

// Rows of one network stand together and begin with the full system, which the ratios refer to.
nlohmann::json ablation_json(const std::vector<AblationRow>& rows);
std::string ablation_csv(const std::vector<AblationRow>& rows);
std::string ablation_markdown(const std::vector<AblationRow>& rows);
// The report. `document`: the command's JSON.
Page ablation_page(const nlohmann::json& document);

}  // namespace eqo::cli
