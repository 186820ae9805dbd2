#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "eqo/importer/const_tensor.h"
#include "eqo/importer/graph_builder.h"
#include "eqo/importer/node_attributes.h"
#include "eqo/importer/shape_args.h"

namespace onnx {
class NodeProto;
}  // namespace onnx

namespace eqo {

// What an ONNX value is while the file is imported. The batch counts as 1 throughout.
struct ImportValue {
  enum class Kind : std::uint8_t { kUnknown, kConstant, kActivation };
  Kind kind = Kind::kUnknown;  // unknown: comes from a node with a problem
  std::shared_ptr<const ConstTensor> constant;
  int node = 0;           // of the FloatGraph; its shape is always canonical_shape(dims)
  Dims dims;              // as ONNX sees it, batch included
  bool terminal = false;  // a softmax or argmax was dropped: only relabelling may follow
  bool label = false;     // that was an argmax
};

// The Shape that stands for ONNX dimensions: those behind the batch, filled up with 1.
Shape canonical_shape(const Dims& dims);

// What the whole import shares between its nodes.
struct ImportState {
  GraphBuilder builder;
  int opset = 0;
  std::unordered_set<std::string> names;  // of FloatGraph nodes
  std::vector<bool> affine;               // nodes that stand for per-channel constants, as kBatchNorm
  std::int64_t elements_left = 0;         // of constants and weights
  std::int64_t activations_left = 0;

  void charge(std::int64_t elements);
  std::string fresh_name(const std::string& base);
};

// One node on its way into the FloatGraph. Everything throws model_error without naming the node: the caller does.
class NodeContext {
 public:
  NodeContext(ImportState& state, const onnx::NodeProto& node, std::string name,
              std::vector<const ImportValue*> inputs);

  const onnx::NodeProto& proto() const { return node_; }
  const NodeAttributes& attrs() const { return attrs_; }
  int opset() const { return state_.opset; }
  const std::string& name() const { return name_; }
  GraphBuilder& builder() { return state_.builder; }

  std::size_t input_count() const { return inputs_.size(); }
  bool has_input(std::size_t i) const { return i < inputs_.size() && inputs_[i] != nullptr; }
  bool is_constant(std::size_t i) const;
  // Input i as an activation or a constant; throws if it is the other.
  const ImportValue& activation(std::size_t i, bool allow_terminal = false) const;
  const ConstTensor& constant(std::size_t i) const;
  std::optional<Dims> optional_ints(std::size_t i) const;  // nullopt: left out
  // The index of an activation of `rank` dimensions and batch 1.
  int images(std::size_t i, std::size_t rank) const;

  // Adds a FloatNode called after this node (a suffix makes further ones), charged and checked.
  int add(FloatNode node, const std::string& suffix = "");
  int add(FloatOp op, std::vector<int> inputs, const std::string& suffix = "");
  // y = gain * x + offset per channel (one value each, or one per channel).
  int add_affine(int input, std::vector<float> gain, std::vector<float> offset);

  void set_output(ImportValue value, std::size_t i = 0);
  void set_activation(int node, Dims dims, std::size_t i = 0);
  void set_constant(ConstTensor t);
  // Output 0 is input 0 under other dimensions; a kReshape is added if the Shape changes.
  void set_relabelled(const ImportValue& in, Dims dims);
  std::vector<std::pair<std::size_t, ImportValue>>& outputs() { return outputs_; }

 private:
  ImportState& state_;
  const onnx::NodeProto& node_;
  NodeAttributes attrs_;
  std::string name_;
  std::vector<const ImportValue*> inputs_;
  std::vector<std::pair<std::size_t, ImportValue>> outputs_;
};

using NodeHandler = void (*)(NodeContext&);
// nullptr: the operator isn't supported on activations.
NodeHandler find_handler(const std::string& op);
// What to do about an operator that isn't supported.
std::string unsupported_hint(const std::string& op);

// import_layers.cpp
void import_conv(NodeContext& c);
void import_batch_norm(NodeContext& c);
void import_gemm(NodeContext& c);
void import_matmul(NodeContext& c);
void import_relu(NodeContext& c);
void import_clip(NodeContext& c);
// import_pools.cpp
Window read_window(const NodeContext& c, const Dims& kernel, const Shape& in);
void import_max_pool(NodeContext& c);
void import_average_pool(NodeContext& c);
void import_global_average_pool(NodeContext& c);
void import_global_max_pool(NodeContext& c);
void import_reduce_mean(NodeContext& c);
void import_reduce_max(NodeContext& c);
// import_arithmetic.cpp
void import_add(NodeContext& c);
void import_sub(NodeContext& c);
void import_mul(NodeContext& c);
void import_div(NodeContext& c);
// import_shapes.cpp
void import_identity(NodeContext& c);
void import_dropout(NodeContext& c);
void import_cast(NodeContext& c);
void import_shape(NodeContext& c);
void import_size(NodeContext& c);
void import_flatten(NodeContext& c);
void import_reshape(NodeContext& c);
void import_squeeze(NodeContext& c);
void import_unsqueeze(NodeContext& c);
void import_transpose(NodeContext& c);
void import_concat(NodeContext& c);
void import_pad(NodeContext& c);
void import_slice(NodeContext& c);
void import_split(NodeContext& c);
void import_softmax(NodeContext& c);
void import_argmax(NodeContext& c);

}  // namespace eqo
