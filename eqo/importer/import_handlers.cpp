#include <string_view>

#include "eqo/importer/import_context.h"

namespace eqo {
namespace {

struct Handler {
  std::string_view op;
  NodeHandler handle;
};

constexpr Handler kHandlers[] = {
    {"Add", import_add},
    {"ArgMax", import_argmax},
    {"AveragePool", import_average_pool},
    {"BatchNormalization", import_batch_norm},
    {"Cast", import_cast},
    {"Clip", import_clip},
    {"Concat", import_concat},
    {"Conv", import_conv},
    {"Div", import_div},
    {"Dropout", import_dropout},
    {"Flatten", import_flatten},
    {"Gemm", import_gemm},
    {"GlobalAveragePool", import_global_average_pool},
    {"GlobalMaxPool", import_global_max_pool},
    {"Identity", import_identity},
    {"LogSoftmax", import_softmax},
    {"MatMul", import_matmul},
    {"MaxPool", import_max_pool},
    {"Mul", import_mul},
    {"Pad", import_pad},
    {"ReduceMax", import_reduce_max},
    {"ReduceMean", import_reduce_mean},
    {"Relu", import_relu},
    {"Reshape", import_reshape},
    {"Shape", import_shape},
    {"Size", import_size},
    {"Slice", import_slice},
    {"Softmax", import_softmax},
    {"Split", import_split},
    {"Squeeze", import_squeeze},
    {"Sub", import_sub},
    {"Sum", import_add},
    {"Transpose", import_transpose},
    {"Unsqueeze", import_unsqueeze},
};

struct Hint {
  std::string_view op, hint;
};

constexpr std::string_view kActivationHint = "replace it by Relu (or ReLU6) and train the model again";
constexpr std::string_view kControlHint =
    "export the model for inference with fixed sizes, so that no control flow is left";
constexpr std::string_view kQuantizedHint = "import the float model; 'eqo quantize' does the quantization";
constexpr Hint kHints[] = {
    {"Sigmoid", kActivationHint},
    {"HardSigmoid", kActivationHint},
    {"HardSwish", kActivationHint},
    {"Tanh", kActivationHint},
    {"LeakyRelu", kActivationHint},
    {"PRelu", kActivationHint},
    {"Elu", kActivationHint},
    {"Selu", kActivationHint},
    {"Gelu", kActivationHint},
    {"Softplus", kActivationHint},
    {"Mish", kActivationHint},
    {"Erf", kActivationHint},
    {"If", kControlHint},
    {"Loop", kControlHint},
    {"Scan", kControlHint},
    {"QuantizeLinear", kQuantizedHint},
    {"DequantizeLinear", kQuantizedHint},
    {"QLinearConv", kQuantizedHint},
    {"LRN", "replace it by batch normalization and train the model again"},
    {"InstanceNormalization", "replace it by batch normalization and train the model again"},
    {"LayerNormalization", "replace it by batch normalization and train the model again"},
    {"GroupNormalization", "replace it by batch normalization and train the model again"},
};

}  // namespace

NodeHandler find_handler(const std::string& op) {
  for (const Handler& h : kHandlers) {
    if (h.op == op) return h.handle;
  }
  return nullptr;
}

std::string unsupported_hint(const std::string& op) {
  for (const Hint& h : kHints) {
    if (h.op == op) return std::string(h.hint);
  }
  return "see the list of operators in the documentation";
}

}  // namespace eqo
