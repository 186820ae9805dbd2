#pragma once
#include <string>
#include <vector>

#include "eqo/importer/float_graph.h"

namespace eqo {

// Opsets of the default ONNX domain that are read.
inline constexpr int kOldestOpset = 9;
inline constexpr int kNewestOpset = 22;

struct ImportOptions {
  bool fold_batch_norm = true;  // false keeps kBatchNorm, so that the graph can be trained
};

// One reason why a file can't be used. `node` and `op` are empty if it concerns the whole file.
struct ImportProblem {
  std::string node, op, message, hint;
  std::string to_string() const;  // "op 'node': message"
};

// Reads an ONNX file: a CNN with one N x C x H x W input (N free or 1) and one output. Shape arithmetic is folded, the
// softmax at the end dropped, ArgMax at the end turned into `argmax`, per-channel constants folded into the layer
// before or made a depthwise 1x1 convolution. External data is read from the model's folder only. Weights of float,
// float16, bfloat16 and double become float. Everything is bounded by the file's size, kMaxWeights and kMaxActivation
// before it is allocated. Throws model_error with the first problem and how many more there are.
FloatGraph import_onnx(const std::string& path, const ImportOptions& options = {});

// All problems of the file at once; empty if import_onnx would succeed. Throws model_error only for what isn't readable
// as an ONNX file at all.
std::vector<ImportProblem> check_onnx(const std::string& path);

}  // namespace eqo
