#include "eqo/framework/framework_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/model/types.h"
#include "eqo/passes/rewrite.h"
#include "eqo/passes/steps.h"

namespace eqo {
namespace {

void require_direct_products(const PublicPlan& plan, Framework framework) {
  for (const Node& node : plan.nodes)
    if (node.op == Op::kConv && node.domain == ConvDomain::kWinograd)
      throw usage_error(fmt::format("{} has direct convolutions only, and '{}' is quantized for Winograd",
                                    framework_name(framework), node.layer),
                        "quantize the model with --conv direct");
}

// CoPriv is its Winograd products: without one, it would be another system.
void require_winograd_products(const PublicPlan& plan) {
  bool could = false;
  for (const Node& node : plan.nodes) {
    if (node.op != Op::kConv) continue;
    if (node.domain == ConvDomain::kWinograd) return;
    could = could || winograd_applies({.in = plan.nodes[static_cast<std::size_t>(node.inputs[0])].type.shape,
                                       .out_channels = node.type.shape.c,
                                       .groups = node.groups,
                                       .window = node.window});
  }
  if (could)
    throw usage_error("copriv has Winograd convolutions, and the model's are direct",
                      "quantize the model with --conv winograd");
}

void drop_relus(PublicPlan& plan, const std::vector<std::string>& layers) {
  for (const std::string& layer : layers) {
    bool found = false;
    for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
      const Node& node = plan.nodes[i];
      if (node.op != Op::kRelu || (layer != "all" && node.layer != layer && node.name != layer)) continue;
      found = true;
      pass::replace_uses(plan, static_cast<int>(i), node.inputs[0]);
    }
    if (!found) throw usage_error(fmt::format("no ReLU in a layer '{}'", layer), "'eqo plan --steps' names the steps");
  }
}

// The value times 2^shift, mod 2^l: local.
Node left_shift(const Node& of, int input, unsigned shift) {
  Node node;
  node.op = Op::kAdd;
  node.name = of.name + "/scale";
  node.layer = of.layer;
  node.inputs = {input};
  node.input_shifts = {shift};
  node.input_signs = {1};
  return node;
}

// The step in front of which the input of shift `i` is scaled: a ReLU that it alone reads comes after that, so that its
// result is still known to be non-negative.
std::size_t scaled_step(const PublicPlan& plan, std::size_t i) {
  const std::vector<int> read = pass::readers(plan);
  for (std::size_t at = i;;) {
    const auto before = static_cast<std::size_t>(plan.nodes[at].inputs[0]);
    const Op op = plan.nodes[before].op;
    const bool commutes = op == Op::kRelu || op == Op::kMaxPool || op == Op::kReshape;
    if (!commutes || read[before] != 1) return i;
    at = before;
    if (op == Op::kRelu) return at;
  }
}

void to_uniform_ring(Model& model, unsigned bits) {
  PublicPlan& plan = model.plan;
  for (const Node& node : plan.nodes)
    if (node.op != Op::kArgMax && node.type.ring_bits > bits)
      throw usage_error(
          fmt::format("'{}' needs a ring of {} bits, the fixed point has {}", node.name, node.type.ring_bits, bits),
          "choose a wider one with --fixed-point-bits");
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    Node& node = plan.nodes[i];
    if (node.op == Op::kExtend || node.op == Op::kReduce) pass::replace_uses(plan, static_cast<int>(i), node.inputs[0]);
    if (node.op != Op::kTruncateReduce && node.op != Op::kTruncate) continue;
    // Room above the model's own ring keeps the scaled value from wrapping.
    const unsigned own = plan.nodes[static_cast<std::size_t>(node.inputs[0])].type.ring_bits;
    const unsigned missing = node.shift < kFixedPointScale ? kFixedPointScale - node.shift : 0;
    const unsigned more = std::min(missing, bits - std::min(bits, own));
    node.op = Op::kTruncate;
    node.shift += more;
    if (more == 0) continue;
    const std::size_t at = scaled_step(plan, i);
    const int from = plan.nodes[at].inputs[0];
    const double scale = model.secrets[static_cast<std::size_t>(from)].scale / static_cast<double>(1U << more);
    pass::insert(model, static_cast<int>(at), left_shift(plan.nodes[i], from, more), scale);
    plan.nodes[at + 1].inputs = {static_cast<int>(at)};
    ++i;
  }
  plan.nodes.front().type.ring_bits = bits;
}

// A fused step is ReLU, shift and change of ring again, as far as it has them.
void split_requantizations(Model& model) {
  PublicPlan& plan = model.plan;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    if (plan.nodes[i].op != Op::kRequantize) continue;
    Node last = plan.nodes[i];
    const unsigned from = plan.nodes[static_cast<std::size_t>(last.inputs[0])].type.ring_bits;
    const unsigned to = last.type.ring_bits, shifted = from - last.shift;
    const double scale = model.secrets[i].scale;
    // Each step but the last goes in front of it and is read by the next.
    const auto put_before = [&](Op op, const char* suffix, unsigned shift) {
      Node step;
      step.op = op;
      step.name = last.name + suffix;
      step.layer = last.layer;
      step.inputs = last.inputs;
      step.shift = shift;
      pass::insert(model, static_cast<int>(i), step, scale);
      last.inputs = {static_cast<int>(i)};
      ++i;
    };
    if (last.relu) put_before(Op::kRelu, "/relu", 0);
    if (last.shift > 0) put_before(Op::kTruncateReduce, "/shift", last.shift);
    last.op = to >= shifted ? Op::kExtend : Op::kReduce;
    last.relu = false;
    last.shift = 0;
    last.method = {};
    plan.nodes[i] = last;
    if (to == shifted) pass::replace_uses(plan, static_cast<int>(i), last.inputs[0]);
  }
}

// ReLU and then a shift: the other way round.
void shift_before_relu(Model& model) {
  PublicPlan& plan = model.plan;
  const std::vector<int> read = pass::readers(plan);
  for (std::size_t j = 0; j < plan.nodes.size(); ++j) {
    Node& shift = plan.nodes[j];
    if (read[j] == 0 || shift.op != Op::kTruncateReduce) continue;
    const auto i = static_cast<std::size_t>(shift.inputs[0]);
    Node& relu = plan.nodes[i];
    if (relu.op != Op::kRelu || read[i] != 1) continue;
    std::swap(relu.op, shift.op);
    std::swap(relu.shift, shift.shift);
    std::swap(relu.name, shift.name);
    model.secrets[i].scale = model.secrets[j].scale;
  }
}

}  // namespace

Model framework_model(Model model, const FrameworkOptions& options) {
  const bool copriv = options.framework == Framework::kCopriv, coinn = options.framework == Framework::kCoinn;
  if (!options.drop_relus.empty() && !copriv)
    throw usage_error("leaving ReLUs out is copriv's", "take --framework copriv");
  if (!is_peer(options.framework)) return model;
  validate(model);
  if (copriv) {
    require_winograd_products(model.plan);
  } else {
    require_direct_products(model.plan, options.framework);
  }
  if (!coinn) split_requantizations(model);
  drop_relus(model.plan, options.drop_relus);
  if (options.framework == Framework::kSirnn) {
    shift_before_relu(model);
  } else if (!coinn) {
    to_uniform_ring(model, options.fixed_point_bits);
  }
  pass::clean_up(model);
  const ExecOptions exec;
  const PassContext context{exec, {}};
  if (options.framework == Framework::kSirnn || coinn) pass::share_extensions(model, context);
  if (coinn) pass::fuse(model, context);
  pass::clean_up(model);
  model.plan.name += fmt::format(" ({})", framework_name(options.framework));
  validate(model);
  return model;
}

}  // namespace eqo
