#pragma once
#include <optional>
#include <vector>

#include "eqo/importer/const_tensor.h"
#include "eqo/importer/node_attributes.h"

namespace onnx {
class NodeProto;
}  // namespace onnx

namespace eqo {

// The most elements that shape arithmetic may compute from less (ConstantOfShape, Expand, Range, broadcasting).
inline constexpr std::int64_t kMaxFolded = std::int64_t{1} << 22;

// The value of a node whose inputs are all constants (nullptr: an optional one that is left out), as opset `opset`
// defines it: Identity Cast Gather Concat Unsqueeze Squeeze Reshape Flatten Slice Transpose Shape Size ConstantOfShape
// Range Expand Where Equal Add Sub Mul Div Min Max Neg Sqrt Reciprocal Floor Ceil Abs ReduceProd.
// nullopt: an operator that isn't folded. Throws model_error: bad arguments, too large, division by 0, overflow.
std::optional<ConstTensor> fold_constant(const onnx::NodeProto& node, int opset,
                                         const std::vector<const ConstTensor*>& inputs);

// `values` of a constant that must be integers (scalar or one-dimensional).
std::vector<std::int64_t> int_values(const ConstTensor& t);

}  // namespace eqo
