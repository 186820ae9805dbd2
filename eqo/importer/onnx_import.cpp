#include "eqo/importer/onnx_import.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <new>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/importer/const_fold.h"
#include "eqo/importer/import_context.h"
#include "eqo/importer/onnx_file.h"
#include "eqo/importer/onnx_order.h"
#include "eqo/importer/passes.h"

namespace eqo {
namespace {

// Elements that may be decoded and computed: a few copies of every weight, and some room for shape arithmetic. So a
// small file can't claim much memory.
constexpr std::int64_t kBaseElements = std::int64_t{1} << 24;
constexpr std::int64_t kElementsPerByte = 4;

bool default_domain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

class Importer {
 public:
  Importer(const std::string& path, ImportOptions options)
      : model_(load_onnx_file(path)),
        folder_(std::filesystem::path(path).parent_path()),
        options_(options),
        state_{GraphBuilder("", "input", Shape{1, 1, 1}), kNewestOpset, {}, {}, kBaseElements, kMaxTotalActivation} {
    std::error_code ec;
    const std::uintmax_t bytes = std::filesystem::file_size(path, ec);
    if (!ec) state_.elements_left += kElementsPerByte * static_cast<std::int64_t>(bytes);
  }

  FloatGraph run(std::vector<ImportProblem>& problems) {
    problems_ = &problems;
    if (!model_->has_graph()) {
      report({"", "", "the file has no graph", "export it again"});
      return {};
    }
    read_opset();
    read_initializers();
    read_input();
    const onnx::GraphProto& graph = model_->graph();
    const OnnxOrder order = order_nodes(graph, known_);
    for (const auto& [message, node] : order.problems) report_node(node, message, "");
    for (const int n : order.nodes) import_node(graph.node(n));
    const ImportValue output = read_output();
    if (!problems.empty()) return {};
    try {
      return finish(output);
    } catch (const Error& e) {
      if (e.category() != Category::kModel) throw;
      report({"", "", e.what(), e.hint()});
      return {};
    }
  }

 private:
  void report(ImportProblem problem) { problems_->push_back(std::move(problem)); }
  void report_node(int node, const std::string& message, const std::string& hint) {
    if (node < 0) return report({"", "", message, hint});
    const onnx::NodeProto& n = model_->graph().node(node);
    report({node_name(n), printable(n.op_type()), message, hint});
  }

  static std::string node_name(const onnx::NodeProto& node) {
    if (!node.name().empty()) return printable(node.name());
    if (node.output_size() > 0 && !node.output(0).empty()) return printable(node.output(0));
    return printable(node.op_type());
  }

  void read_opset() {
    std::int64_t opset = -1;
    for (const auto& import : model_->opset_import()) {
      if (default_domain(import.domain())) opset = import.version();
    }
    const std::string range = std::to_string(kOldestOpset) + " to " + std::to_string(kNewestOpset);
    if (opset < 0) {
      report({"", "", "the file doesn't say which ONNX opset it uses", "export it again"});
    } else if (opset < kOldestOpset || opset > kNewestOpset) {
      report({"", "", "opset " + std::to_string(opset) + " is not supported", "export the model with opset " + range});
    }
    state_.opset = static_cast<int>(std::clamp<std::int64_t>(opset, kOldestOpset, kNewestOpset));
  }

  void read_initializers() {
    for (const onnx::TensorProto& t : model_->graph().initializer()) {
      if (!initializers_.emplace(t.name(), &t).second) {
        report({"", "", "two initializers are called '" + printable(t.name()) + "'", ""});
      }
      known_.insert(t.name());
    }
    if (model_->graph().sparse_initializer_size() > 0) {
      report({"", "", "sparse initializers are not supported", "export the model with dense weights"});
    }
  }

  void read_input() {
    std::vector<const onnx::ValueInfoProto*> inputs;
    for (const onnx::ValueInfoProto& v : model_->graph().input()) {
      if (initializers_.count(v.name()) == 0) inputs.push_back(&v);
      known_.insert(v.name());
    }
    if (inputs.size() != 1) {
      report({"", "", "the model has " + std::to_string(inputs.size()) + " inputs, one image is supported", ""});
    }
    for (const auto* v : inputs) values_[v->name()];  // unknown until it proves right
    if (inputs.empty()) return;
    const onnx::ValueInfoProto& info = *inputs.front();
    const std::string name = printable(info.name());
    try {
      const Shape shape = image_shape(info);
      state_.builder = GraphBuilder(printable(model_->graph().name()), name.empty() ? "input" : name, shape);
      state_.names.insert(state_.builder.node(0).name);
      state_.affine.assign(1, false);
      state_.activations_left -= shape.size();
      ImportValue value;
      value.kind = ImportValue::Kind::kActivation;
      value.dims = {1, shape.c, shape.h, shape.w};
      values_[info.name()] = std::move(value);
    } catch (const Error& e) {
      report({name, "input", plain(e.what()), e.hint()});
    }
  }

  static Shape image_shape(const onnx::ValueInfoProto& info) {
    const auto& tensor = info.type().tensor_type();
    const int type = tensor.elem_type();
    if (!info.type().has_tensor_type() || (type != onnx::TensorProto::FLOAT && type != onnx::TensorProto::FLOAT16 &&
                                           type != onnx::TensorProto::BFLOAT16 && type != onnx::TensorProto::DOUBLE)) {
      throw model_error("the input must be a tensor of floats");
    }
    const char* hint = "export the model with an input of N x C x H x W, N free or 1";
    if (tensor.shape().dim_size() != 4) {
      throw model_error("the input has " + std::to_string(tensor.shape().dim_size()) + " dimensions, not 4", hint);
    }
    const auto& batch = tensor.shape().dim(0);
    if (batch.has_dim_value() && batch.dim_value() != 1) {
      throw model_error("the batch size is fixed to " + std::to_string(batch.dim_value()), hint);
    }
    std::int64_t sizes[3] = {};
    for (int i = 0; i < 3; ++i) {
      const auto& d = tensor.shape().dim(i + 1);
      if (!d.has_dim_value()) throw model_error("the image's channels, rows and columns must be fixed", hint);
      sizes[i] = d.dim_value();
      if (sizes[i] < 1 || sizes[i] > kMaxGraphDimension) {
        throw model_error("an input dimension of " + std::to_string(sizes[i]) + " is out of range", hint);
      }
    }
    return {sizes[0], sizes[1], sizes[2]};
  }

  // A message of GraphBuilder without its "Op 'node': " in front, which the report says anyway.
  static std::string plain(const std::string& message) {
    const std::size_t end = message.find("': ");
    const std::size_t quote = message.find(" '");
    if (end == std::string::npos || quote > end) return message;
    for (int op = 0; op <= static_cast<int>(FloatOp::kSlice); ++op) {
      if (message.compare(0, quote, float_op_name(static_cast<FloatOp>(op))) == 0) return message.substr(end + 3);
    }
    return message;
  }

  // The value called `name`, decoding an initializer on first use; nullptr if nobody makes it.
  const ImportValue* find_value(const std::string& name) {
    const auto it = values_.find(name);
    if (it != values_.end()) return &it->second;
    const auto init = initializers_.find(name);
    if (init == initializers_.end()) return nullptr;
    ImportValue& value = values_[name];
    try {
      ConstTensor t = decode_tensor(*init->second, folder_);
      if (init->second->data_location() == onnx::TensorProto::EXTERNAL) allow_external(t.size());
      state_.charge(t.size());
      value.constant = std::make_shared<const ConstTensor>(std::move(t));
      value.kind = ImportValue::Kind::kConstant;
    } catch (const Error& e) {
      report({printable(name), "initializer", e.what(), e.hint()});
    }
    return &value;
  }

  // External data counts as a part of the file, up to the most weights a model may have.
  void allow_external(std::int64_t elements) {
    external_left_ -= elements;
    if (external_left_ < 0) throw model_error("the model's external data is too large");
    state_.elements_left += 4 * elements;
  }

  void import_node(const onnx::NodeProto& node) {
    for (const std::string& out : node.output()) {
      if (!out.empty()) values_[out];  // unknown until the node succeeds
    }
    const std::string op = node.op_type();
    const std::string name = node_name(node);
    try {
      if (!default_domain(node.domain())) {
        throw model_error("operator of the custom domain '" + printable(node.domain()) + "'",
                          "only standard ONNX operators are supported");
      }
      std::vector<const ImportValue*> inputs;
      bool unknown = false;
      bool constant = true;
      for (const std::string& in : node.input()) {
        inputs.push_back(in.empty() ? nullptr : find_value(in));
        if (inputs.back() == nullptr) {
          unknown = unknown || !in.empty();
          continue;
        }
        unknown = unknown || inputs.back()->kind == ImportValue::Kind::kUnknown;
        constant = constant && inputs.back()->kind == ImportValue::Kind::kConstant;
      }
      const NodeHandler handler = find_handler(op);
      NodeContext context(state_, node, name, inputs);
      if (op == "Constant") {
        context.set_constant(constant_node(node));
      } else if (unknown) {
        if (handler == nullptr && !folds(op)) unsupported(op);
        return;
      } else if (constant && folds(op)) {
        fold(context, node, inputs);
      } else if (constant && handler != nullptr) {
        throw model_error("is not supported on constants");
      } else if (handler == nullptr) {
        if (folds(op))
          throw model_error("is supported on constants only, but depends on the image", unsupported_hint(op));
        unsupported(op);
      } else {
        handler(context);
      }
      for (auto& [i, value] : context.outputs()) {
        if (static_cast<int>(i) < node.output_size()) values_[node.output(static_cast<int>(i))] = std::move(value);
      }
      check_unset(node, context);
    } catch (const Error& e) {
      if (e.category() != Category::kModel) throw;
      report({name, printable(op), plain(e.what()), e.hint()});
    }
  }

  [[noreturn]] static void unsupported(const std::string& op) {
    throw model_error("this operator is not supported", unsupported_hint(op));
  }

  static bool folds(const std::string& op) {
    static constexpr std::string_view kFolded[] = {"Identity",
                                                   "Cast",
                                                   "Shape",
                                                   "Size",
                                                   "Gather",
                                                   "Concat",
                                                   "Unsqueeze",
                                                   "Squeeze",
                                                   "Reshape",
                                                   "Flatten",
                                                   "Slice",
                                                   "Transpose",
                                                   "ConstantOfShape",
                                                   "Range",
                                                   "Expand",
                                                   "Where",
                                                   "ReduceProd",
                                                   "Add",
                                                   "Sub",
                                                   "Mul",
                                                   "Div",
                                                   "Min",
                                                   "Max",
                                                   "Equal",
                                                   "Neg",
                                                   "Abs",
                                                   "Sqrt",
                                                   "Reciprocal",
                                                   "Floor",
                                                   "Ceil",
                                                   "Constant"};
    return std::find(std::begin(kFolded), std::end(kFolded), op) != std::end(kFolded);
  }

  void fold(NodeContext& context, const onnx::NodeProto& node, const std::vector<const ImportValue*>& inputs) {
    std::vector<const ConstTensor*> tensors;
    for (const ImportValue* v : inputs) tensors.push_back(v == nullptr ? nullptr : v->constant.get());
    std::optional<ConstTensor> t = fold_constant(node, state_.opset, tensors);
    if (!t) throw model_error("is not supported on these constants");
    context.set_constant(std::move(*t));
  }

  ConstTensor constant_node(const onnx::NodeProto& node) const {
    const NodeAttributes attrs(node);
    if (const auto* a = attrs.find("value"); a != nullptr) return decode_tensor(a->t(), folder_);
    ConstTensor t;
    if (const auto* a = attrs.find("value_float"); a != nullptr) {
      t.f = {a->f()};
    } else if (const auto* b = attrs.find("value_floats"); b != nullptr) {
      t.f.assign(b->floats().begin(), b->floats().end());
      t.dims = {t.size()};
    } else if (attrs.has("value_int")) {
      return int_scalar(attrs.get_int("value_int", 0));
    } else if (attrs.has("value_ints")) {
      return int_tensor(attrs.get_ints("value_ints"));
    } else {
      throw model_error("its value is missing or of a kind that is not supported");
    }
    return t;
  }

  // Outputs the handler didn't set (a Dropout's mask, a MaxPool's indices): a problem only if somebody reads them.
  void check_unset(const onnx::NodeProto& node, NodeContext& context) {
    for (int i = 0; i < node.output_size(); ++i) {
      const auto same = [i](const auto& out) { return static_cast<int>(out.first) == i; };
      if (std::any_of(context.outputs().begin(), context.outputs().end(), same)) continue;
      if (is_read(node.output(i))) throw model_error("its output " + std::to_string(i) + " is not supported");
    }
  }
  bool is_read(const std::string& value) {
    if (value.empty()) return false;
    if (read_.empty()) {
      for (const onnx::NodeProto& n : model_->graph().node()) read_.insert(n.input().begin(), n.input().end());
      for (const auto& out : model_->graph().output()) read_.insert(out.name());
    }
    return read_.count(value) > 0;
  }

  ImportValue read_output() {
    const onnx::GraphProto& graph = model_->graph();
    if (graph.output_size() != 1) {
      report({"", "", "the model has " + std::to_string(graph.output_size()) + " outputs, one is supported",
              "remove the others from the export"});
      return {};
    }
    const std::string& name = graph.output(0).name();
    const ImportValue* value = find_value(name);
    if (value == nullptr) {
      if (problems_->empty()) report({"", "", "nothing makes the output '" + printable(name) + "'", ""});
      return {};
    }
    if (value->kind == ImportValue::Kind::kConstant) {
      report({"", "", "the output '" + printable(name) + "' doesn't depend on the input", ""});
    }
    if (value->kind == ImportValue::Kind::kUnknown && problems_->empty()) {
      report({"", "", "the output '" + printable(name) + "' can't be computed", ""});
    }
    return *value;
  }

  FloatGraph finish(const ImportValue& output) {
    std::vector<bool> which = state_.affine;
    if (options_.fold_batch_norm) which.assign(which.size(), true);
    FloatGraph graph = state_.builder.finish(output.node, output.label);
    graph = remove_dead_nodes(fold_batch_norm(std::move(graph), which));
    validate(graph);
    return graph;
  }

  std::unique_ptr<onnx::ModelProto> model_;
  std::filesystem::path folder_;
  ImportOptions options_;
  ImportState state_;
  std::int64_t external_left_ = kMaxWeights;
  std::vector<ImportProblem>* problems_ = nullptr;
  std::unordered_map<std::string, const onnx::TensorProto*> initializers_;
  std::unordered_set<std::string> known_, read_;
  std::map<std::string, ImportValue> values_;  // a map: its elements stay where they are
};

FloatGraph run_import(const std::string& path, const ImportOptions& options, std::vector<ImportProblem>& problems) {
  try {
    return Importer(path, options).run(problems);
  } catch (const std::bad_alloc&) {
    throw resource_error("not enough memory to read '" + printable(path) + "'");
  }
}

}  // namespace

std::string ImportProblem::to_string() const {
  if (op.empty()) return message;
  return op + " '" + node + "': " + message;
}

FloatGraph import_onnx(const std::string& path, const ImportOptions& options) {
  std::vector<ImportProblem> problems;
  FloatGraph graph = run_import(path, options, problems);
  if (problems.empty()) return graph;
  std::string message = printable(path) + ": " + problems.front().to_string();
  if (problems.size() > 1) message += " (and " + std::to_string(problems.size() - 1) + " more; 'eqo check' lists them)";
  throw model_error(message, problems.front().hint);
}

std::vector<ImportProblem> check_onnx(const std::string& path) {
  std::vector<ImportProblem> problems;
  run_import(path, {}, problems);
  return problems;
}

}  // namespace eqo
