#pragma once
#include <vector>

#include "eqo/data/preprocess.h"

namespace CLI {
class App;
}

namespace eqo::cli {

// --mean, --std, --resize: how pixels become an ONNX model's input. An .eqo remembers them.
struct PreprocessFlags {
  std::vector<double> mean, std;
  int resize = 0;
  bool given() const { return !mean.empty() || !std.empty() || resize != 0; }
};
void add_preprocess_flags(CLI::App& cmd, PreprocessFlags& flags);
Preprocess make_preprocess(const PreprocessFlags& flags, const Shape& input);

}  // namespace eqo::cli
