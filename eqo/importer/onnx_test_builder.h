#pragma once
// Builds small ONNX files for this layer's tests.
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "eqo/importer/float_eval.h"
#include "eqo/importer/onnx_import.h"
#include "eqo/importer/test_graphs.h"

namespace eqo::testing {

using Ints = std::vector<std::int64_t>;

// A handle on a node for its attributes.
class NodeMaker {
 public:
  explicit NodeMaker(onnx::NodeProto& node) : node_(&node) {}
  NodeMaker& set(const std::string& name, std::int64_t v) {
    add(name, onnx::AttributeProto::INT).set_i(v);
    return *this;
  }
  NodeMaker& set(const std::string& name, int v) { return set(name, static_cast<std::int64_t>(v)); }
  NodeMaker& set(const std::string& name, float v) {
    add(name, onnx::AttributeProto::FLOAT).set_f(v);
    return *this;
  }
  NodeMaker& set(const std::string& name, const char* v) {
    add(name, onnx::AttributeProto::STRING).set_s(v);
    return *this;
  }
  NodeMaker& set(const std::string& name, const Ints& v) {
    auto& a = add(name, onnx::AttributeProto::INTS);
    for (const std::int64_t x : v) a.add_ints(x);
    return *this;
  }
  NodeMaker& set(const std::string& name, const onnx::TensorProto& v) {
    *add(name, onnx::AttributeProto::TENSOR).mutable_t() = v;
    return *this;
  }
  NodeMaker& output(const std::string& name) {
    node_->add_output(name);
    return *this;
  }
  NodeMaker& domain(const std::string& name) {
    node_->set_domain(name);
    return *this;
  }
  onnx::NodeProto& proto() { return *node_; }

 private:
  onnx::AttributeProto& add(const std::string& name, onnx::AttributeProto::AttributeType type) {
    auto& a = *node_->add_attribute();
    a.set_name(name);
    a.set_type(type);
    return a;
  }
  onnx::NodeProto* node_;
};

inline onnx::TensorProto float_tensor(const std::string& name, const Ints& dims, const std::vector<float>& values) {
  onnx::TensorProto t;
  t.set_name(name);
  t.set_data_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t d : dims) t.add_dims(d);
  for (const float v : values) t.add_float_data(v);
  return t;
}
inline onnx::TensorProto int_tensor_proto(const std::string& name, const Ints& dims, const Ints& values) {
  onnx::TensorProto t;
  t.set_name(name);
  t.set_data_type(onnx::TensorProto::INT64);
  for (const std::int64_t d : dims) t.add_dims(d);
  for (const std::int64_t v : values) t.add_int64_data(v);
  return t;
}

// A model from `x`, N x dims, to `y`.
class OnnxMaker {
 public:
  explicit OnnxMaker(int opset, const Ints& image = {3, 6, 5}) {
    model.set_ir_version(7);
    model.add_opset_import()->set_version(opset);
    graph().set_name("g");
    auto& in = *graph().add_input();
    in.set_name("x");
    in.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
    shape().add_dim()->set_dim_param("N");
    for (const std::int64_t d : image) shape().add_dim()->set_dim_value(d);
    graph().add_output()->set_name("y");
  }
  onnx::GraphProto& graph() { return *model.mutable_graph(); }
  onnx::TensorShapeProto& shape() {
    return *graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  }
  // The node and its only output are called `name`.
  NodeMaker node(const std::string& op, const std::vector<std::string>& inputs, const std::string& name) {
    auto& n = *graph().add_node();
    n.set_op_type(op);
    n.set_name(name);
    for (const std::string& i : inputs) n.add_input(i);
    n.add_output(name);
    return NodeMaker(n);
  }
  std::string floats(const std::string& name, const Ints& dims, const std::vector<float>& values) {
    *graph().add_initializer() = float_tensor(name, dims, values);
    return name;
  }
  // Values -1, -0.75, ... that are all different.
  std::string floats(const std::string& name, const Ints& dims) {
    std::int64_t count = 1;
    for (const std::int64_t d : dims) count *= d;
    std::vector<float> v;
    for (std::int64_t i = 0; i < count; ++i) v.push_back(static_cast<float>(i) * 0.25F - 1);
    return floats(name, dims, v);
  }
  std::string ints(const std::string& name, const Ints& values) {
    *graph().add_initializer() = int_tensor_proto(name, {static_cast<std::int64_t>(values.size())}, values);
    return name;
  }
  std::string save(const TempFolder& folder) const {
    write_file(folder.file("m.onnx"), model.SerializeAsString());
    return folder.file("m.onnx");
  }
  FloatGraph import(const ImportOptions& options = {}) const {
    const TempFolder folder;
    return import_onnx(save(folder), options);
  }
  std::vector<ImportProblem> check() const {
    const TempFolder folder;
    return check_onnx(save(folder));
  }

  onnx::ModelProto model;
};

// An image for the graph: all values differ.
inline std::vector<float> image(const FloatGraph& g) {
  std::vector<float> x(static_cast<std::size_t>(g.input_shape().size()));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(std::sin(static_cast<double>(i) * 0.7) * 3);
  return x;
}
inline std::vector<float> run(const FloatGraph& g) { return FloatEvaluator(g).logits(image(g)); }

// The only node besides the input.
inline FloatNode only(const FloatGraph& g) {
  EXPECT_EQ(g.nodes.size(), 2U);
  return g.nodes.back();
}

inline std::string first_problem(const OnnxMaker& m) {
  const auto problems = m.check();
  return problems.empty() ? "none" : problems.front().to_string();
}

}  // namespace eqo::testing
