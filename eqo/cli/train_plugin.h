#pragma once
#include <functional>

#include "eqo/train/fine_tuner.h"
#include "eqo/train/hessian.h"
#include "eqo/train/trainer.h"

namespace eqo::cli {

// The arguments of eqo::train() across the plug-in's boundary.
struct TrainCall {
  FloatGraph* graph = nullptr;
  const Dataset* train = nullptr;
  const Dataset* test = nullptr;
  const TrainOptions* options = nullptr;
  const std::function<void(const TrainProgress&)>* report = nullptr;
  TrainResult result;
};

// And of eqo::fine_tune().
struct FineTuneCall {
  const quant::TuneProblem* problem = nullptr;
  const Preprocess* preprocess = nullptr;
  const Dataset* train = nullptr;
  const Dataset* test = nullptr;
  const FineTuneOptions* options = nullptr;
  const TwinCheck* check = nullptr;
  const std::function<void(const FineTuneProgress&)>* report = nullptr;
  FineTuneResult result;
};

// And of eqo::hessian_traces().
struct HessianCall {
  const FloatGraph* graph = nullptr;
  std::span<const float> images;
  std::size_t count = 0;
  const HessianOptions* options = nullptr;
  std::vector<HessianTrace> result;
};

inline constexpr const char* kTrainPluginFile = "libeqo_train_plugin.so";
inline constexpr const char* kTrainPluginSymbol = "eqo_train_plugin";
inline constexpr const char* kFineTunePluginSymbol = "eqo_fine_tune_plugin";
inline constexpr const char* kHessianPluginSymbol = "eqo_hessian_plugin";
using TrainPlugin = void (*)(TrainCall*);
using FineTunePlugin = void (*)(FineTuneCall*);
using HessianPlugin = void (*)(HessianCall*);

// A function of the plug-in, which stays loaded. Looks beside the executable, then in the installation's library
// folder. Throws usage_error where there is none.
void* train_plugin_symbol(const char* symbol);

}  // namespace eqo::cli
