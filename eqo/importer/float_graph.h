#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "eqo/core/shape.h"

namespace eqo {

// The float network as the rest of the project sees it: what `import_onnx` makes of a user's file, what `eqo train`
// trains, what `eqo quantize` reads and what `export_onnx` writes. One image's shapes, no batch dimension.
enum class FloatOp : std::uint8_t {
  kInput,      // node 0 and only node 0
  kConv,       // weight [K][C/groups][kernel_h][kernel_w], bias [K] (empty: none), window, groups
  kBatchNorm,  // scale, shift, mean, variance [C], epsilon; fold_batch_norm() removes them
  kRelu,
  kClip,     // clip_lo, clip_hi; ReLU6 is (0, 6)
  kMaxPool,  // window (padding is -infinity)
  kAvgPool,  // window, count_include_pad; global pooling is a window of the input's size
  kAdd,      // two inputs of equal shape
  kConcat,   // along channels
  kLinear,   // weight [K][C], bias [K]; input is (C, 1, 1)
  kReshape,  // relabels the c*h*w elements; flatten is (n, 1, 1)
  kPad,      // zeros: pad_before, pad_after over (c, h, w)
  kSlice,    // start, step over (c, h, w); the count is the output shape
};

const char* float_op_name(FloatOp op);

struct FloatNode {
  FloatOp op = FloatOp::kInput;
  std::string name;         // the ONNX node's name, unique in the graph
  std::vector<int> inputs;  // indices of earlier nodes
  Shape shape;              // of the output
  Window window;
  std::int64_t groups = 1;
  bool count_include_pad = false;
  std::vector<float> weight, bias;                  // kConv, kLinear
  std::vector<float> scale, shift, mean, variance;  // kBatchNorm
  float epsilon = 1e-5F;
  float clip_lo = 0, clip_hi = 6;
  std::array<std::int64_t, 3> pad_before{}, pad_after{};
  std::array<std::int64_t, 3> start{}, step{1, 1, 1};
};

struct FloatGraph {
  std::string name;
  std::vector<FloatNode> nodes;  // topological order; nodes[0] is the input
  int output = 0;                // index of the node that gives the logits
  bool argmax = false;           // the file ended in ArgMax: only the label is asked for

  const Shape& input_shape() const { return nodes.front().shape; }
  const Shape& output_shape() const { return nodes[static_cast<std::size_t>(output)].shape; }
};

}  // namespace eqo
