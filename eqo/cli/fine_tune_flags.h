#pragma once
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "eqo/cli/output.h"
#include "eqo/quantizer/quantizer.h"
#include "eqo/train/fine_tuner.h"

namespace eqo::cli {

// --finetune EPOCHS and what belongs to it.
struct FineTuneFlags {
  std::string train, test;
  FineTuneOptions options;  // epochs 0: not asked for
  FineTuneFlags() { options.epochs = 0; }
  bool asked() const { return options.epochs > 0; }
};
void add_fine_tune_flags(CLI::App& command, FineTuneFlags& flags);

// What QuantizeOptions takes for SensitivityMeasure::kHessian; loads the training plug-in now (usage_error without).
decltype(QuantizeOptions::hessian) hessian_measure(std::uint64_t seed);

// The tuner that QuantizeOptions takes: loads the training plug-in and the data now (usage_error without either),
// trains when it is called, and leaves what became of it in `document`. Both references must outlive the tuner.
quant::Tuner fine_tuner(const FineTuneFlags& flags, const QuantizeOptions& options, const Output& out,
                        nlohmann::json& document);

}  // namespace eqo::cli
