#include "eqo/importer/onnx_export.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/importer/atomic_file.h"
#include "eqo/importer/passes.h"

namespace eqo {
namespace {

constexpr int kOpset = 13;
constexpr int kIrVersion = 7;

using Ints = std::vector<std::int64_t>;

class Exporter {
 public:
  explicit Exporter(const FloatGraph& graph) : graph_(graph) {
    model_.set_ir_version(kIrVersion);
    model_.set_producer_name("eqo");
    model_.add_opset_import()->set_version(kOpset);
    out_ = model_.mutable_graph();
    out_->set_name(graph.name.empty() ? "graph" : graph.name);
  }

  std::string bytes() {
    const std::string result = graph_.argmax ? "label" : "logits";
    used_ = {"input", result};
    const std::size_t count = graph_.nodes.size();
    values_.resize(count);
    flat_.assign(count, false);
    values_[0] = "input";
    declare(*out_->add_input(), "input", 4, graph_.input_shape());
    for (std::size_t n = 1; n < count; ++n) emit(n);

    const std::size_t last = static_cast<std::size_t>(graph_.output);
    const Shape& s = graph_.output_shape();
    const bool vector = s.h == 1 && s.w == 1;
    std::string value = vector ? flat_value(last) : values_[last];
    if (graph_.argmax) {
      onnx::NodeProto& node = add_node("ArgMax", "argmax", {value});
      set_int(node, "axis", 1);
      set_int(node, "keepdims", 0);
      value = node.output(0);
    }
    rename(value, result);
    declare(*out_->add_output(), result, graph_.argmax ? 1 : vector ? 2 : 4, s);
    if (model_.ByteSizeLong() > std::numeric_limits<int>::max()) {
      throw resource_error("the model is larger than the 2 GiB an ONNX file can hold");
    }
    return model_.SerializeAsString();
  }

 private:
  std::string fresh(std::string name) {
    while (!used_.insert(name).second) name += "_";
    return name;
  }

  void declare(onnx::ValueInfoProto& info, const std::string& name, int rank, const Shape& s) {
    info.set_name(name);
    auto* tensor = info.mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(graph_.argmax && name == "label" ? onnx::TensorProto::INT64 : onnx::TensorProto::FLOAT);
    tensor->mutable_shape()->add_dim()->set_dim_param("N");
    const std::int64_t dims[] = {s.c, s.h, s.w};
    for (int i = 0; i + 1 < rank; ++i) tensor->mutable_shape()->add_dim()->set_dim_value(dims[i]);
  }

  onnx::NodeProto& add_node(const std::string& op, const std::string& name, const std::vector<std::string>& inputs) {
    onnx::NodeProto& node = *out_->add_node();
    node.set_op_type(op);
    node.set_name(name);
    for (const std::string& i : inputs) node.add_input(i);
    node.add_output(fresh(name));
    return node;
  }

  // The graph's result gets its fixed name; whoever else reads the value follows.
  void rename(const std::string& from, const std::string& to) {
    if (from == "input") {  // a graph that is only its input
      onnx::NodeProto& node = add_node("Identity", "identity", {from});
      node.set_output(0, to);
      return;
    }
    for (onnx::NodeProto& node : *out_->mutable_node()) {
      for (std::string& i : *node.mutable_input()) {
        if (i == from) i = to;
      }
      for (std::string& o : *node.mutable_output()) {
        if (o == from) o = to;
      }
    }
  }

  std::string floats(const std::string& name, const Ints& dims, const std::vector<float>& values) {
    onnx::TensorProto& t = *out_->add_initializer();
    t.set_name(fresh(name));
    t.set_data_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t d : dims) t.add_dims(d);
    t.set_raw_data(values.data(), values.size() * sizeof(float));  // little-endian, as every machine this runs on
    return t.name();
  }
  std::string ints(const std::string& name, const Ints& values) {
    onnx::TensorProto& t = *out_->add_initializer();
    t.set_name(fresh(name));
    t.set_data_type(onnx::TensorProto::INT64);
    t.add_dims(static_cast<std::int64_t>(values.size()));
    for (const std::int64_t v : values) t.add_int64_data(v);
    return t.name();
  }
  static void set_int(onnx::NodeProto& node, const std::string& name, std::int64_t value) {
    auto* a = node.add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::INT);
    a->set_i(value);
  }
  static void set_ints(onnx::NodeProto& node, const std::string& name, const Ints& values) {
    auto* a = node.add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t v : values) a->add_ints(v);
  }
  static void set_float(onnx::NodeProto& node, const std::string& name, float value) {
    auto* a = node.add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::FLOAT);
    a->set_f(value);
  }
  static void set_window(onnx::NodeProto& node, const Window& w) {
    set_ints(node, "kernel_shape", {w.kernel_h, w.kernel_w});
    set_ints(node, "strides", {w.stride_h, w.stride_w});
    set_ints(node, "pads", {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right});
  }

  const Shape& shape(std::size_t n) const { return graph_.nodes[n].shape; }
  // The value as N x n and as N x c x h x w.
  std::string flat_value(std::size_t n) {
    if (flat_[n]) return values_[n];
    onnx::NodeProto& node = add_node("Flatten", fresh(graph_.nodes[n].name + "/flat"), {values_[n]});
    set_int(node, "axis", 1);
    return node.output(0);
  }
  std::string value(std::size_t n) {
    if (!flat_[n]) return values_[n];
    const std::string base = fresh(graph_.nodes[n].name + "/deep");
    const std::string to = ints(base + ".shape", {-1, shape(n).c, shape(n).h, shape(n).w});
    return add_node("Reshape", base, {values_[n], to}).output(0);
  }

  onnx::NodeProto& emit_pool(const FloatNode& f, const std::vector<std::string>& in, const Shape& from) {
    const Window global{.kernel_h = from.h, .kernel_w = from.w};
    const bool max = f.op == FloatOp::kMaxPool;
    if (f.window == global && (max || !f.count_include_pad)) {
      return add_node(max ? "GlobalMaxPool" : "GlobalAveragePool", f.name, in);
    }
    onnx::NodeProto& node = add_node(max ? "MaxPool" : "AveragePool", f.name, in);
    set_window(node, f.window);
    if (max) set_ints(node, "dilations", {f.window.dilation_h, f.window.dilation_w});
    if (!max) set_int(node, "count_include_pad", f.count_include_pad ? 1 : 0);
    if (!max && (f.window.dilation_h != 1 || f.window.dilation_w != 1)) {
      throw model_error("AvgPool '" + f.name + "': ONNX opset 13 has no dilated average pooling");
    }
    return node;
  }

  onnx::NodeProto& emit_slice(const FloatNode& f, std::vector<std::string> in, const Shape& from) {
    const std::int64_t before[] = {from.c, from.h, from.w};
    const std::int64_t after[] = {f.shape.c, f.shape.h, f.shape.w};
    Ints starts, ends, axes, steps;
    for (std::size_t i = 0; i < 3; ++i) {
      if (f.start[i] == 0 && f.step[i] == 1 && before[i] == after[i] && (i < 2 || !axes.empty())) continue;
      starts.push_back(f.start[i]);
      ends.push_back(f.start[i] + (after[i] - 1) * f.step[i] + 1);
      axes.push_back(static_cast<std::int64_t>(i) + 1);
      steps.push_back(f.step[i]);
    }
    in.push_back(ints(f.name + ".starts", starts));
    in.push_back(ints(f.name + ".ends", ends));
    in.push_back(ints(f.name + ".axes", axes));
    in.push_back(ints(f.name + ".steps", steps));
    return add_node("Slice", f.name, in);
  }

  onnx::NodeProto& emit_reshape(const FloatNode& f, std::vector<std::string> in) {
    if (f.shape.h == 1 && f.shape.w == 1) {
      onnx::NodeProto& node = add_node("Flatten", f.name, in);
      set_int(node, "axis", 1);
      return node;
    }
    in.push_back(ints(f.name + ".shape", {-1, f.shape.c, f.shape.h, f.shape.w}));
    return add_node("Reshape", f.name, in);
  }

  onnx::NodeProto& emit_conv(const FloatNode& f, std::vector<std::string> in, const Shape& from) {
    const Window& w = f.window;
    in.push_back(floats(f.name + ".weight", {f.shape.c, from.c / f.groups, w.kernel_h, w.kernel_w}, f.weight));
    if (!f.bias.empty()) in.push_back(floats(f.name + ".bias", {f.shape.c}, f.bias));
    onnx::NodeProto& node = add_node("Conv", f.name, in);
    set_window(node, w);
    set_ints(node, "dilations", {w.dilation_h, w.dilation_w});
    set_int(node, "group", f.groups);
    return node;
  }

  onnx::NodeProto& emit_linear(const FloatNode& f, std::size_t input) {
    std::vector<std::string> in{flat_value(input)};
    in.push_back(floats(f.name + ".weight", {f.shape.c, shape(input).c}, f.weight));
    if (!f.bias.empty()) in.push_back(floats(f.name + ".bias", {f.shape.c}, f.bias));
    onnx::NodeProto& node = add_node("Gemm", f.name, in);
    set_int(node, "transB", 1);
    return node;
  }

  onnx::NodeProto& emit_batch_norm(const FloatNode& f, std::vector<std::string> in) {
    in.push_back(floats(f.name + ".scale", {f.shape.c}, f.scale));
    in.push_back(floats(f.name + ".shift", {f.shape.c}, f.shift));
    in.push_back(floats(f.name + ".mean", {f.shape.c}, f.mean));
    in.push_back(floats(f.name + ".variance", {f.shape.c}, f.variance));
    onnx::NodeProto& node = add_node("BatchNormalization", f.name, in);
    set_float(node, "epsilon", f.epsilon);
    return node;
  }

  onnx::NodeProto& emit_pad(const FloatNode& f, std::vector<std::string> in) {
    Ints pads{0};
    pads.insert(pads.end(), f.pad_before.begin(), f.pad_before.end());
    pads.push_back(0);
    pads.insert(pads.end(), f.pad_after.begin(), f.pad_after.end());
    in.push_back(ints(f.name + ".pads", pads));
    return add_node("Pad", f.name, in);
  }

  void emit(std::size_t n) {
    const FloatNode& f = graph_.nodes[n];
    const auto first = static_cast<std::size_t>(f.inputs[0]);
    std::vector<std::string> in;
    if (f.op != FloatOp::kLinear) {
      for (const int i : f.inputs) in.push_back(value(static_cast<std::size_t>(i)));
    }
    onnx::NodeProto* node = nullptr;
    switch (f.op) {
      case FloatOp::kInput:
        return;
      case FloatOp::kConv:
        node = &emit_conv(f, in, shape(first));
        break;
      case FloatOp::kBatchNorm:
        node = &emit_batch_norm(f, in);
        break;
      case FloatOp::kRelu:
        node = &add_node("Relu", f.name, in);
        break;
      case FloatOp::kClip:
        in.push_back(floats(f.name + ".min", {}, {f.clip_lo}));
        in.push_back(floats(f.name + ".max", {}, {f.clip_hi}));
        node = &add_node("Clip", f.name, in);
        break;
      case FloatOp::kMaxPool:
      case FloatOp::kAvgPool:
        node = &emit_pool(f, in, shape(first));
        break;
      case FloatOp::kAdd:
        node = &add_node("Add", f.name, in);
        break;
      case FloatOp::kConcat:
        node = &add_node("Concat", f.name, in);
        set_int(*node, "axis", 1);
        break;
      case FloatOp::kLinear:
        node = &emit_linear(f, first);
        break;
      case FloatOp::kReshape:
        node = &emit_reshape(f, in);
        break;
      case FloatOp::kPad:
        node = &emit_pad(f, in);
        break;
      case FloatOp::kSlice:
        node = &emit_slice(f, in, shape(first));
        break;
    }
    values_[n] = node->output(0);
    flat_[n] = f.op == FloatOp::kLinear || (f.op == FloatOp::kReshape && f.shape.h == 1 && f.shape.w == 1);
  }

  const FloatGraph& graph_;
  onnx::ModelProto model_;
  onnx::GraphProto* out_ = nullptr;
  std::unordered_set<std::string> used_;  // names of values
  std::vector<std::string> values_;       // of each node's output
  std::vector<bool> flat_;                // whether that value is N x n
};

}  // namespace

void export_onnx(const FloatGraph& graph, const std::string& path) {
  validate(graph);
  write_file_atomically(path, Exporter(graph).bytes());
}

}  // namespace eqo
