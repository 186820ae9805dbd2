#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <unordered_set>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/core/wide.h"
#include "eqo/model/bytes.h"
#include "eqo/model/local_ops.h"
#include "eqo/model/types.h"

namespace eqo {
namespace {

// Multiply-accumulates (or window reads) of one step: bounds the time that a hostile plan can ask for.
constexpr Int128 kMaxWork = Int128{1} << 42;

[[noreturn]] void fail(const Node& node, const std::string& reason) {
  throw model_error("step '" + node.name + "' (" + op_name(node.op) + "): " + reason);
}

void check_text(const std::string& text, std::size_t max_bytes, const char* what) {
  if (text.size() > max_bytes || !clean_text(text))
    throw model_error(std::string("the plan's ") + what + " is longer than " + std::to_string(max_bytes) +
                      " bytes or not clean UTF-8");
}

// Fields that a step does not use must be as graph.h leaves them: a plan has one form only.
void check_unused(const Node& node) {
  const Node plain;
  const bool conv = node.op == Op::kConv;
  const bool window = conv || node.op == Op::kMaxPool || node.op == Op::kSumPool;
  const bool many = node.op == Op::kAdd || node.op == Op::kConcat;
  const auto require = [&](bool same, const char* field) {
    if (!same) fail(node, std::string("has a ") + field + ", which this step does not use");
  };
  require(window || node.window == plain.window, "window");
  require(conv || (node.groups == 1 && node.domain == plain.domain && node.codes.empty()), "convolution's field");
  const bool requantize = node.op == Op::kRequantize;
  require(node.op == Op::kTruncate || node.op == Op::kTruncateReduce || requantize || node.shift == 0, "shift");
  require(requantize || !node.relu, "ReLU flag");
  const bool shares_only = node.op == Op::kInput || node.op == Op::kConv || is_local(node.op);
  Method product;
  product.homomorphic = conv && node.method.homomorphic;
  require(!shares_only || node.method == product, "method");
  require(conv || !node.method.homomorphic, "homomorphic product");
  const bool knows = node.op == Op::kTruncate || node.op == Op::kExtend || requantize;
  require(knows || !node.method.use_interval, "method that relies on an interval");
  require(requantize || node.method.staged, "method without stages");
  if (node.method.levels > kMaxMethodLevels) fail(node, "comparison trees of more than 8 levels");
  require(many || node.input_shifts.empty(), "list of input shifts");
  require(node.op == Op::kAdd || node.input_signs.empty(), "list of input signs");
  require(node.op == Op::kAddConstant || node.constant == 0, "constant");
  require(node.op == Op::kPad || (node.pad_before == plain.pad_before && node.pad_after == plain.pad_after), "padding");
  require(node.op == Op::kSlice || (node.start == plain.start && node.step == plain.step), "start or step");
  if (node.activation_bits > 64) fail(node, "activation width above 64");
}

void check_codes(const Node& node, const TensorType& in) {
  if (node.codes.size() != 1 && (node.codes.size() != 16 || node.domain != ConvDomain::kWinograd))
    fail(node, "needs one weight code, or 16 in the Winograd domain, has " + std::to_string(node.codes.size()));
  for (const WeightCode& code : node.codes) {
    try {
      code.validate();
    } catch (const Error& e) {
      fail(node, e.what());
    }
    if (code.bits() > 8) fail(node, "weights wider than 8 bits");
  }
  weight_sum_bound(node, in.shape);
}

void check_work(const Node& node, const TensorType& in) {
  const Int128 out = node.type.shape.size();
  const Int128 window = Int128{node.window.kernel_h} * node.window.kernel_w;
  const Int128 channels = node.op == Op::kConv ? Int128{in.shape.c / node.groups} : Int128{1};
  if (out * channels > kMaxWork || out * channels * window > kMaxWork) fail(node, "more than 2^42 operations");
}

void check_head(const PublicPlan& plan) {
  check_text(plan.name, kMaxNameBytes, "name");
  check_text(plan.leakage, kMaxTextBytes, "leakage statement");
  if (plan.classes.size() > kMaxClassNames) throw model_error("the plan names more than 65536 classes");
  for (const std::string& name : plan.classes) check_text(name, kMaxNameBytes, "class name");
  for (const double scale : {plan.input_scale, plan.output_scale})
    if (!std::isfinite(scale) || scale <= 0) throw model_error("the plan's input and output scale must be positive");
  if (plan.nodes.empty() || plan.nodes.size() > kMaxNodes)
    throw model_error("a plan has 1 to " + std::to_string(kMaxNodes) + " steps, not " +
                      std::to_string(plan.nodes.size()));
  if (plan.output < 0 || static_cast<std::size_t>(plan.output) >= plan.nodes.size())
    throw model_error("the plan's output is not one of its steps");
}

void check_tail(const PublicPlan& plan) {
  const Node& out = plan.nodes[static_cast<std::size_t>(plan.output)];
  const std::size_t logits_at =
      out.op == Op::kArgMax ? static_cast<std::size_t>(out.inputs[0]) : static_cast<std::size_t>(plan.output);
  const std::int64_t logits = plan.nodes[logits_at].type.shape.size();
  if (!plan.classes.empty() && static_cast<std::int64_t>(plan.classes.size()) != logits)
    throw model_error("the plan names " + std::to_string(plan.classes.size()) + " classes for " +
                      std::to_string(logits) + " logits");
  if (plan.preprocess == Preprocess{}) return;  // takes no pictures
  if (plan.preprocess.shape != plan.nodes[0].type.shape)
    throw model_error("pictures become " + plan.preprocess.shape.to_string() + ", but the model takes " +
                      plan.nodes[0].type.shape.to_string());
  for (std::size_t c = 0; c < 3; ++c)
    if (!std::isfinite(plan.preprocess.mean[c]) || !std::isfinite(plan.preprocess.std[c]))
      throw model_error("the plan's mean or deviation is not finite");
  try {
    plan.preprocess.check();
  } catch (const Error& e) {
    throw model_error(std::string("the plan's preprocessing: ") + e.what());
  }
}

}  // namespace

std::uint64_t weight_count(const Node& node, const Shape& input) {
  const auto positions = node.domain == ConvDomain::kWinograd ? 16 : node.window.kernel_h * node.window.kernel_w;
  const Int128 n = Int128{node.type.shape.c} * (input.c / node.groups) * positions;
  if (n > (Int128{1} << 40)) fail(node, "more than 2^40 weights");
  return static_cast<std::uint64_t>(n);
}

std::uint64_t weight_sum_bound(const Node& node, const Shape& input) {
  // A Winograd output takes 9 of the 16 products, each of a value that sums 4 inputs.
  Int128 sum = 0;
  const Int128 each = node.domain == ConvDomain::kWinograd ? 4 : Int128{node.window.kernel_h} * node.window.kernel_w;
  for (const WeightCode& code : node.codes) sum += each * std::max(-code.min_value(), code.max_value());
  if (node.domain == ConvDomain::kWinograd && node.codes.size() == 1) sum *= 16;
  sum = std::max<Int128>(sum, 0) * (input.c / node.groups);
  if (sum >= (Int128{1} << kMaxWeightSumBits)) fail(node, "its largest weights sum to 2^62 or more");
  return static_cast<std::uint64_t>(sum);
}

void validate(const PublicPlan& plan) {
  check_head(plan);
  std::unordered_set<std::string> names;
  std::vector<bool> used(plan.nodes.size(), false);
  std::int64_t elements = 0;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const Node& node = plan.nodes[i];
    if (node.name.empty()) throw model_error("step " + std::to_string(i) + " has no name");
    check_text(node.name, kMaxNameBytes, "step name");
    check_text(node.layer, kMaxNameBytes, "layer name");
    if (!names.insert(node.name).second) fail(node, "its name is used twice");
    if ((node.op == Op::kInput) != (i == 0)) fail(node, "the first step, and no other, is the input");
    std::vector<TensorType> inputs;
    for (const int input : node.inputs) {
      if (input < 0 || static_cast<std::size_t>(input) >= i) fail(node, "takes a step that does not come before it");
      inputs.push_back(plan.nodes[static_cast<std::size_t>(input)].type);
      used[static_cast<std::size_t>(input)] = true;
    }
    if (node.inputs.size() > kMaxInputs) fail(node, "too many inputs");
    check_unused(node);
    if (node.type != infer_type(node, inputs, plan.input_bits)) fail(node, "its type is not the one that follows");
    if (node.op == Op::kConv) check_codes(node, inputs[0]);
    if (!inputs.empty()) check_work(node, inputs[0]);
    if (node.op == Op::kArgMax && (i + 1 != plan.nodes.size() || static_cast<std::size_t>(plan.output) != i))
      fail(node, "must be the last step and the output");
    elements += node.type.shape.size();
    if (elements > kMaxElements) fail(node, "the plan's tensors have more than 2^31 elements");
  }
  used[static_cast<std::size_t>(plan.output)] = true;
  for (std::size_t i = 0; i < used.size(); ++i)
    if (!used[i]) fail(plan.nodes[i], "nothing uses its result");
  check_tail(plan);
}

void validate(const Model& model) {
  validate(model.plan);
  if (model.secrets.size() != model.plan.nodes.size())
    throw model_error("the model has secrets for " + std::to_string(model.secrets.size()) + " of " +
                      std::to_string(model.plan.nodes.size()) + " steps");
  constexpr std::int64_t kMaxBias = std::int64_t{1} << 62;
  for (std::size_t i = 0; i < model.secrets.size(); ++i) {
    const Node& node = model.plan.nodes[i];
    const NodeSecrets& s = model.secrets[i];
    if (!std::isfinite(s.scale) || s.scale < 0 || (s.scale == 0 && node.op != Op::kArgMax))
      fail(node, "its scale is not positive");
    if (node.op != Op::kConv) {
      if (!s.weights.empty() || !s.bias.empty()) fail(node, "weights that this step does not use");
      continue;
    }
    const Shape& in = model.plan.nodes[static_cast<std::size_t>(node.inputs[0])].type.shape;
    const std::uint64_t count = weight_count(node, in);
    if (s.weights.size() != count)
      fail(node, std::to_string(s.weights.size()) + " weights, must be " + std::to_string(count));
    if (s.bias.size() != static_cast<std::size_t>(node.type.shape.c)) fail(node, "one bias value a filter is needed");
    const std::uint64_t part = count / node.codes.size();
    // One flag over all: the time does not depend on where a bad value is.
    unsigned bad = 0;
    for (std::size_t p = 0; p < node.codes.size(); ++p) {
      const unsigned bits = node.codes[p].bits();
      for (std::uint64_t j = p * part; j < (p + 1) * part; ++j) bad |= static_cast<unsigned>(s.weights[j]) >> bits;
    }
    if (bad != 0) fail(node, "a weight is wider than its code");
    for (const std::int64_t b : s.bias) bad |= static_cast<unsigned>(b <= -kMaxBias || b >= kMaxBias);
    if (bad != 0) fail(node, "a bias value is 2^62 or more");
  }
}

}  // namespace eqo
