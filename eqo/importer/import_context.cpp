#include "eqo/importer/import_context.h"

#include <onnx/onnx_pb.h>

#include <algorithm>

#include "eqo/core/error.h"
#include "eqo/importer/const_fold.h"

namespace eqo {

Shape canonical_shape(const Dims& dims) {
  Dims rest = dims;
  if (rest.size() > 1 && rest[0] == 1) rest.erase(rest.begin());
  const std::int64_t count = element_count(rest);
  rest.resize(std::max<std::size_t>(rest.size(), 2), 1);
  if (count == 0) throw model_error("a dimension of 0 is out of range");
  return {rest[0], rest[1], count / rest[0] / rest[1]};
}

void ImportState::charge(std::int64_t elements) {
  elements_left -= elements;
  if (elements_left < 0) throw model_error("the model's weights and constants are too large");
}

std::string ImportState::fresh_name(const std::string& base) {
  std::string name = base;
  for (int n = 2; !names.insert(name).second; ++n) name = base + "_" + std::to_string(n);
  return name;
}

NodeContext::NodeContext(ImportState& state, const onnx::NodeProto& node, std::string name,
                         std::vector<const ImportValue*> inputs)
    : state_(state), node_(node), attrs_(node), name_(std::move(name)), inputs_(std::move(inputs)) {}

bool NodeContext::is_constant(std::size_t i) const {
  return has_input(i) && inputs_[i]->kind == ImportValue::Kind::kConstant;
}

const ImportValue& NodeContext::activation(std::size_t i, bool allow_terminal) const {
  if (!has_input(i)) throw model_error("input " + std::to_string(i) + " is missing");
  const ImportValue& v = *inputs_[i];
  if (v.kind != ImportValue::Kind::kActivation) throw model_error("input " + std::to_string(i) + " is a constant");
  if (v.terminal && !allow_terminal) {
    throw model_error("follows a Softmax or ArgMax", "these are supported at the end of the model only");
  }
  return v;
}

const ConstTensor& NodeContext::constant(std::size_t i) const {
  if (!has_input(i)) throw model_error("input " + std::to_string(i) + " is missing");
  if (!is_constant(i)) {
    throw model_error("input " + std::to_string(i) + " must be a constant, but depends on the image");
  }
  return *inputs_[i]->constant;
}

std::optional<Dims> NodeContext::optional_ints(std::size_t i) const {
  if (!has_input(i)) return std::nullopt;
  return int_values(constant(i));
}

int NodeContext::images(std::size_t i, std::size_t rank) const {
  const ImportValue& v = activation(i);
  if (v.dims.size() != rank || v.dims[0] != 1) {
    std::string text;
    for (const std::int64_t d : v.dims) text.append(text.empty() ? "" : " x ").append(std::to_string(d));
    throw model_error("needs " + std::to_string(rank) + " dimensions and a batch of 1, its input is " + text,
                      rank == 4 ? "networks of two-dimensional images are supported" : "put a Flatten before it");
  }
  return v.node;
}

int NodeContext::add(FloatNode node, const std::string& suffix) {
  check_parameters(node);
  state_.charge(static_cast<std::int64_t>(node.weight.size() + node.bias.size() + 4 * node.scale.size()));
  node.name = state_.fresh_name(name_ + suffix);
  const int index = builder().add(std::move(node));
  state_.activations_left -= builder().shape(index).size();
  if (state_.activations_left < 0) throw model_error("the activations of one image are too large");
  state_.affine.resize(static_cast<std::size_t>(index) + 1, false);
  return index;
}

int NodeContext::add(FloatOp op, std::vector<int> inputs, const std::string& suffix) {
  FloatNode node;
  node.op = op;
  node.inputs = std::move(inputs);
  return add(std::move(node), suffix);
}

int NodeContext::add_affine(int input, std::vector<float> gain, std::vector<float> offset) {
  const auto channels = static_cast<std::size_t>(builder().shape(input).c);
  if (gain.size() == 1) gain.resize(channels, gain[0]);
  if (offset.size() == 1) offset.resize(channels, offset[0]);
  FloatNode node;
  node.op = FloatOp::kBatchNorm;
  node.inputs = {input};
  node.scale = std::move(gain);
  node.shift = std::move(offset);
  node.mean.assign(channels, 0.0F);
  node.variance.assign(channels, 1.0F);
  node.epsilon = 0;
  const int index = add(std::move(node));
  state_.affine[static_cast<std::size_t>(index)] = true;
  return index;
}

void NodeContext::set_output(ImportValue value, std::size_t i) { outputs_.emplace_back(i, std::move(value)); }

void NodeContext::set_activation(int node, Dims dims, std::size_t i) {
  ImportValue value;
  value.kind = ImportValue::Kind::kActivation;
  value.node = node;
  value.dims = std::move(dims);
  set_output(std::move(value), i);
}

void NodeContext::set_constant(ConstTensor t) {
  state_.charge(t.size());
  ImportValue value;
  value.kind = ImportValue::Kind::kConstant;
  value.constant = std::make_shared<const ConstTensor>(std::move(t));
  set_output(std::move(value));
}

void NodeContext::set_relabelled(const ImportValue& in, Dims dims) {
  ImportValue out = in;
  const Shape to = canonical_shape(dims);
  // A reshape of a reshape is one reshape, or none.
  const FloatNode& from = builder().node(in.node);
  if (to != from.shape && from.op == FloatOp::kReshape) out.node = from.inputs[0];
  if (to != builder().shape(out.node)) {
    FloatNode node;
    node.op = FloatOp::kReshape;
    node.inputs = {out.node};
    node.shape = to;
    out.node = add(std::move(node));
  }
  out.dims = std::move(dims);
  set_output(std::move(out));
}

}  // namespace eqo
