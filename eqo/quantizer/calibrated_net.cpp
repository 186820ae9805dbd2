#include "eqo/quantizer/calibrated_net.h"

#include <algorithm>
#include <string>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/quantizer/draft.h"
#include "eqo/quantizer/lowering.h"
#include "eqo/quantizer/plan_check.h"
#include "eqo/quantizer/ring_assignment.h"
#include "eqo/quantizer/scale_solver.h"

namespace eqo::quant {
namespace {

RangeRule range_rule(AccumulatorRule rule) {
  switch (rule) {
    case AccumulatorRule::kCalibration:
      return RangeRule::kCalibration;
    case AccumulatorRule::kWeights:
      return RangeRule::kWeights;
    case AccumulatorRule::kShapes:
      return RangeRule::kShapes;
  }
  throw usage_error("unknown rule for the accumulators' range");
}

std::string leakage_statement(AccumulatorRule rule) {
  static const std::string kScales =
      "Public are the architecture, all bit widths, the weight codes of each layer or Winograd tap, and the powers of "
      "two between scales; these were chosen from the weights and the calibration images. ";
  switch (rule) {
    case AccumulatorRule::kCalibration:
      return kScales + "Ring widths follow from the largest accumulators on the calibration images and a guard bit.";
    case AccumulatorRule::kWeights:
      return kScales + "Ring widths follow from the summed magnitudes of the weights of each layer's largest filter.";
    case AccumulatorRule::kShapes:
      return kScales + "Ring widths follow from shapes and bit widths alone.";
  }
  return kScales;
}

}  // namespace

CalibratedNet::CalibratedNet(const FloatGraph& prepared, const FloatBatch& images, std::uint64_t seed, ThreadPool& pool,
                             std::function<void(std::size_t)> after_node)
    : graph_(prepared), images_(images), pool_(pool), after_node_(std::move(after_node)), plan_(analyze(prepared, {})) {
  curves_.resize(graph_.nodes.size());
  stats_ = collect_stats(graph_, plan_, images_, seed, pool_, after_node_);
}

const StepCurve& CalibratedNet::curve(std::size_t node, ConvDomain domain, unsigned bits, CodeRules codes,
                                      const LinearWeights& weights) {
  const auto [found, added] = curves_[node].try_emplace({domain, bits, codes});
  if (added) found->second = weight_curve(weights, bits, stats_.layers[node]->output_energy, codes);
  return found->second;
}

Model CalibratedNet::quantize(const QuantizeOptions& options, QuantizeReport* report) {
  return build(options, images_, false, nullptr, report);
}

Model CalibratedNet::tune(const QuantizeOptions& options, QuantizeReport* report) {
  return build(options, images_, false, options.tuner ? &options.tuner : nullptr, report);
}

Model CalibratedNet::draft(const QuantizeOptions& options, std::size_t count) {
  FloatBatch few(images_.shape, std::clamp<std::size_t>(count, 1, images_.count));
  std::copy_n(images_.data.begin(), few.data.size(), few.data.begin());
  return build(options, few, true, nullptr, nullptr);
}

Model CalibratedNet::build(const QuantizeOptions& options, const FloatBatch& images, bool draft_only,
                           const Tuner* tuner, QuantizeReport* report) {
  GraphPlan plan = analyze(graph_, {options.weights_bits, options.activation_bits, options.edge_bits});
  apply_layer_options(graph_, options, plan);
  const ScaleGroups groups(graph_);
  const ScaleCosts activations = activation_costs(graph_, plan, stats_);
  const std::vector<LayerChoice> choices = choose_layers(graph_, plan, stats_, activations, options);
  // Re-weighting changes the steps, and so the rings; with the steps known it takes time and hardly changes a ring.
  const CodeRules codes = code_rules(options.disabled, tuner != nullptr);
  const ScaleCosts costs = weight_costs(graph_, plan, stats_, choices, activations, codes, curves_, pool_);
  const Scales scales = solve_scales(graph_, plan, groups, costs, options.seed);

  LoweringOptions lowering;
  // A few images don't tell a channel's mean.
  lowering.bias_correction = options.bias_correction && !draft_only;
  lowering.compensate_rounding = options.compensate_rounding && !draft_only;
  if (!draft_only) lowering.codes = codes;
  lowering.merge_residuals = options.disabled.count(QuantPass::kResidual) == 0;
  if (!draft_only) lowering.after_node = after_node_;
  lowering.keep_unfolded = tuner != nullptr;
  RingOptions rings;
  rings.minimise = options.disabled.count(QuantPass::kRings) == 0;
  rings.share_extensions = options.disabled.count(QuantPass::kShareExtend) == 0;

  const auto finish = [&](const Draft& draft, const Lowered& lowered) {
    Model model = assign_rings(draft, lowered.output, rings);
    model.plan.name = graph_.name.empty() ? "model" : graph_.name;
    model.plan.preprocess = options.preprocess;
    if (static_cast<std::int64_t>(options.classes.size()) == graph_.output_shape().size())
      model.plan.classes = options.classes;
    model.plan.leakage = leakage_statement(options.accumulators);
    check_plan(model);
    if (report != nullptr) {
      *report = describe(graph_, plan, lowered, model);
      report->calibration_images = images.count;
      report->disabled = options.disabled;
    }
    return model;
  };
  Draft draft(range_rule(options.accumulators), pool_);
  const Lowered lowered = lower(graph_, plan, groups, scales, stats_, choices, images, lowering, draft);
  if (tuner == nullptr) return finish(draft, lowered);

  if (!lowering.merge_residuals)
    throw usage_error("a network without the residual pass can't be tuned", "leave the pass on");
  const TuneProblem problem = tune_problem(graph_, groups, choices, lowered);
  const TuneBuild build = [&](const Tuned& tuned) {
    LoweringOptions given = lowering;
    given.given = given_layers(problem, tuned);
    given.keep_unfolded = false;
    given.after_node = {};
    Draft again(range_rule(options.accumulators), pool_);
    const Scales moved = tuned_scales(problem, groups, scales, tuned);
    const Lowered result = lower(graph_, plan, groups, moved, stats_, choices, images, given, again);
    return finish(again, result);
  };
  return build((*tuner)(problem, build));
}

}  // namespace eqo::quant
