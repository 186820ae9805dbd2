#include "eqo/quantizer/quantizer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/draft.h"
#include "eqo/quantizer/float_stats.h"
#include "eqo/quantizer/layer_choice.h"
#include "eqo/quantizer/lowering.h"
#include "eqo/quantizer/plan_check.h"
#include "eqo/quantizer/ring_assignment.h"
#include "eqo/quantizer/scale_solver.h"

namespace eqo {
namespace {

using namespace quant;

constexpr std::size_t kDefaultImages = 256;
constexpr double kDefaultMacs = 4e10;  // of calibration with the default number of images
constexpr double kMaxBytes = 6e9;      // of calibration tensors, whatever the number asked for

// Work of one image, in multiply-adds of the linear layers and elements of all tensors.
struct Work {
  double macs = 0, elements = 0, widest = 0;
};

Work work_of(const FloatGraph& graph) {
  Work work;
  for (const FloatNode& node : graph.nodes) {
    const auto size = static_cast<double>(node.shape.size());
    if (is_linear(node.op))
      work.macs += size * static_cast<double>(node.weight.size()) / static_cast<double>(node.shape.c);
    work.elements += size;
    work.widest = std::max(work.widest, size);
  }
  return work;
}

std::size_t image_count(const FloatGraph& graph, const QuantizeOptions& options, std::size_t available) {
  if (available == 0) throw data_error("there are no calibration images", "give some of the training data");
  const Work work = work_of(graph);
  double count = static_cast<double>(options.calibration_images);
  if (options.calibration_images == 0)
    count = std::clamp(kDefaultMacs / std::max(work.macs, 1.0), 8.0, static_cast<double>(kDefaultImages));
  // A handful of tensors is alive at a time, as floats or 64-bit integers.
  count = std::min(count, kMaxBytes / (work.widest * 8 * 8));
  return std::min(available, std::max<std::size_t>(1, static_cast<std::size_t>(count)));
}

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

class Progress {
 public:
  Progress(const FloatGraph& graph, const std::function<void(double)>& report) : report_(report) {
    for (const FloatNode& node : graph.nodes) {
      const auto size = static_cast<double>(node.shape.size());
      const double macs =
          is_linear(node.op) ? size * static_cast<double>(node.weight.size()) / static_cast<double>(node.shape.c) : 0;
      weight_.push_back(size + macs);
    }
    total_ = 2 * std::accumulate(weight_.begin(), weight_.end(), 0.0);
  }
  void operator()(std::size_t node) {
    done_ += weight_[node];
    if (report_) report_(std::min(1.0, done_ / total_));
  }

 private:
  const std::function<void(double)>& report_;
  std::vector<double> weight_;
  double total_ = 0, done_ = 0;
};

// Without the Winograd pass nothing may ask for that domain.
void leave_out_winograd(QuantizeOptions& options) {
  if (options.disabled.count(QuantPass::kWinograd) == 0) return;
  bool asked = options.conv == ConvChoice::kWinograd;
  for (const auto& [name, layer] : options.layers) asked = asked || layer.domain == ConvDomain::kWinograd;
  if (asked) throw usage_error("Winograd's algorithm is asked for and its pass is disabled", "leave out one of them");
  options.conv = ConvChoice::kDirect;
}

Model quantize_images(const FloatGraph& prepared, const FloatBatch& images, QuantizeOptions options,
                      QuantizeReport* report) {
  leave_out_winograd(options);
  const AccumulatorRule rule = options.accumulators;
  for (const float v : images.data)
    if (!std::isfinite(v)) throw data_error("a calibration image has a value that is not finite");
  ThreadPool pool(options.threads);
  GraphPlan plan = analyze(prepared, {options.weights_bits, options.activation_bits, options.edge_bits});
  apply_layer_options(prepared, options, plan);
  const ScaleGroups groups(prepared);
  Progress progress(prepared, options.progress);
  const FloatStats stats =
      collect_stats(prepared, plan, images, options.seed, pool, [&](std::size_t i) { progress(i); });
  const ScaleCosts activations = activation_costs(prepared, plan, stats);
  std::vector<LayerChoice> choices = choose_layers(prepared, plan, stats, activations, options);
  const ScaleCosts costs = weight_costs(prepared, plan, stats, choices, activations, pool);
  const Scales scales = solve_scales(prepared, plan, groups, costs, options.seed);

  LoweringOptions lowering;
  lowering.bias_correction = options.bias_correction;
  lowering.compensate_rounding = options.compensate_rounding;
  lowering.merge_residuals = options.disabled.count(QuantPass::kResidual) == 0;
  lowering.after_node = [&](std::size_t i) { progress(i); };
  lowering.keep_unfolded = static_cast<bool>(options.tuner);
  RingOptions rings;
  rings.minimise = options.disabled.count(QuantPass::kRings) == 0;
  rings.share_extensions = options.disabled.count(QuantPass::kShareExtend) == 0;

  const auto finish = [&](const Draft& draft, const Lowered& lowered) {
    Model model = assign_rings(draft, lowered.output, rings);
    model.plan.name = prepared.name.empty() ? "model" : prepared.name;
    model.plan.preprocess = options.preprocess;
    if (static_cast<std::int64_t>(options.classes.size()) == prepared.output_shape().size())
      model.plan.classes = options.classes;
    model.plan.leakage = leakage_statement(rule);
    check_plan(model);
    if (report != nullptr) {
      *report = describe(prepared, plan, lowered, model);
      report->calibration_images = images.count;
      report->disabled = options.disabled;
    }
    return model;
  };
  Draft draft(range_rule(rule), pool);
  const Lowered lowered = lower(prepared, plan, groups, scales, stats, choices, images, lowering, draft);
  if (!options.tuner) return finish(draft, lowered);

  if (!lowering.merge_residuals)
    throw usage_error("a network without the residual pass can't be tuned", "leave the pass on");
  const TuneProblem problem = tune_problem(prepared, groups, choices, lowered);
  const TuneBuild build = [&](const Tuned& tuned) {
    LoweringOptions given = lowering;
    given.given = given_layers(problem, tuned);
    given.keep_unfolded = false;
    given.after_node = {};
    Draft again(range_rule(rule), pool);
    const Scales moved = tuned_scales(problem, groups, scales, tuned);
    const Lowered result = lower(prepared, plan, groups, moved, stats, choices, images, given, again);
    return finish(again, result);
  };
  return build(options.tuner(problem, build));
}

}  // namespace

Model quantize(const FloatGraph& graph, const Dataset& calibration, const QuantizeOptions& options,
               QuantizeReport* report) {
  const FloatGraph prepared = prepare_graph(graph, options.disabled.count(QuantPass::kPoolOrder) == 0);
  if (options.preprocess.shape != prepared.input_shape())
    throw usage_error("pictures become " + options.preprocess.shape.to_string() + ", the network takes " +
                      prepared.input_shape().to_string());
  options.preprocess.check();
  // A seeded choice: data sets are often sorted by class.
  std::vector<std::size_t> order(calibration.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 random(options.seed);
  const std::size_t count = image_count(prepared, options, order.size());
  for (std::size_t i = 0; i < count; ++i) std::swap(order[i], order[i + random() % (order.size() - i)]);
  FloatBatch images(prepared.input_shape(), count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::vector<float> x = calibration.input(order[i], options.preprocess);
    if (x.size() != images.stride())
      throw data_error("calibration image " + std::to_string(order[i]) + " has a wrong shape");
    std::copy(x.begin(), x.end(), images.image(i));
  }
  return quantize_images(prepared, images, options, report);
}

Model quantize(const FloatGraph& graph, const std::vector<float>& images, std::size_t count,
               const QuantizeOptions& options, QuantizeReport* report) {
  const FloatGraph prepared = prepare_graph(graph, options.disabled.count(QuantPass::kPoolOrder) == 0);
  if (images.size() != static_cast<std::size_t>(prepared.input_shape().size()) * count)
    throw data_error("calibration images of a wrong size");
  FloatBatch batch(prepared.input_shape(), image_count(prepared, options, count));
  std::copy_n(images.begin(), batch.data.size(), batch.data.begin());
  return quantize_images(prepared, batch, options, report);
}

}  // namespace eqo
