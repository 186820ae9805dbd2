#pragma once
#include <functional>

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

inline constexpr const char* kTrainPluginFile = "libeqo_train_plugin.so";
inline constexpr const char* kTrainPluginSymbol = "eqo_train_plugin";
using TrainPlugin = void (*)(TrainCall*);

}  // namespace eqo::cli
