#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "eqo/cli/bench_measure.h"
#include "eqo/cli/exec_flags.h"
#include "eqo/planner/framework.h"
#include "eqo/quantizer/quantizer.h"
#include "eqo/report/page.h"

namespace eqo::cli {

// One system at the widths it is compared at.
struct CompareSetting {
  Framework framework = Framework::kEqo;
  unsigned weights_bits = 8, activation_bits = 8;
  ConvChoice conv = ConvChoice::kDirect;
  const char* products = "ot";    // --products
  unsigned fixed_point_bits = 0;  // of the frameworks that have one ring
  const char* why = "";           // these widths
};

// All systems of planner/framework.h, or those of the names.
std::vector<CompareSetting> compare_settings(const std::vector<std::string>& frameworks);

struct CompareOptions {
  bool plan_only = false;
  double max_seconds = 60;                                  // a run predicted to take longer is only planned
  std::uint64_t max_memory_bytes = std::uint64_t{4} << 30;  // so is one whose parties would need more, each
  unsigned threads = 1;
};

// "loopback" (none), lan, wan, or BITS_PER_S:RTT. Throws usage_error.
std::optional<LinkSpec> compare_link(std::string name);

// Rows of one quantized model under one system, one a network: what it costs as planned or, `measured`, as two
// processes really paid after a run in which every step was compared with the twin. A system that cannot run the model
// gives one object with `left_out`, the reason, alone.
nlohmann::json compare_rows(const std::string& name, const Bytes& model, const CompareSetting& setting,
                            const std::vector<float>& question, const std::vector<std::string>& networks,
                            const BenchRates& rates, const CompareOptions& options);

// The report. `document`: the command's JSON, with at least one row.
Page compare_page(const nlohmann::json& document);

}  // namespace eqo::cli
