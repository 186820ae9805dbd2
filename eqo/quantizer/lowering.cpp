#include "eqo/quantizer/lowering.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/quantizer/rounding.h"

namespace eqo::quant {
namespace {

constexpr unsigned kMaxAlignment = 32;
constexpr unsigned kImageBits = 8;
constexpr float kUnbounded = 1e30F;

std::size_t at(int i) { return static_cast<std::size_t>(i); }

// A float tensor in integers: at an accumulator's scale, as an activation, or both.
struct Value {
  std::optional<Tensor> fine, activation;
};

class Lowering {
 public:
  Lowering(const FloatGraph& graph, const GraphPlan& plan, const ScaleGroups& groups, const Scales& scales,
           const FloatStats& stats, const std::vector<LayerChoice>& choices, const LoweringOptions& options,
           Draft& draft)
      : graph_(graph),
        plan_(plan),
        groups_(groups),
        scales_(scales),
        stats_(stats),
        choices_(choices),
        options_(options),
        draft_(draft),
        values_(graph.nodes.size()) {}

  Lowered run(const FloatBatch& images) {
    const std::vector<std::size_t> last = last_uses(graph_);
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      const int id = static_cast<int>(i);
      values_[i] = graph_.nodes[i].op == FloatOp::kInput ? Value{{}, image(images)} : lower_node(id);
      if (plan_.tensors[i].requantize && !values_[i].activation)
        values_[i].activation = requantize(id, *values_[i].fine, false);
      for (const int in : graph_.nodes[i].inputs)
        if (last[at(in)] == i) values_[at(in)] = {};
      if (options_.after_node) options_.after_node(i);
    }
    const Value& out = values_[at(graph_.output)];
    result_.output = (out.fine ? *out.fine : *out.activation).id;
    if (options_.keep_unfolded) result_.unfolded = draft_.nodes();
    draft_.fold_constants(result_.output);
    return std::move(result_);
  }

 private:
  const FloatNode& node(int id) const { return graph_.nodes[at(id)]; }
  const std::string& name(int id) const { return node(id).name; }

  Tensor image(const FloatBatch& images) {
    const double scale = scales_.activation[0];
    const double most = std::exp2(kImageBits - 1) - 1;
    IntBatch x(images.shape, images.count);
    for (std::size_t i = 0; i < x.data.size(); ++i)
      x.data[i] = std::llrint(std::clamp(static_cast<double>(images.data[i]) / scale, -most - 1, most));
    return draft_.input(std::move(x), scale, kImageBits);
  }

  // The form of an input for steps that take either.
  const Tensor& operand(int id) const {
    const Value& v = values_[at(id)];
    return v.activation ? *v.activation : *v.fine;
  }
  // The accumulator where there is one.
  const Tensor& finest(int id) const {
    const Value& v = values_[at(id)];
    return v.fine ? *v.fine : *v.activation;
  }
  static Value as_value(Tensor t) { return t.activation ? Value{{}, std::move(t)} : Value{std::move(t), {}}; }

  Value lower_node(int id) {
    const FloatNode& n = node(id);
    const int in = n.inputs[0];
    switch (n.op) {
      case FloatOp::kConv:
      case FloatOp::kLinear:
        return {linear(id), {}};
      case FloatOp::kRelu:
        return relu(id);
      case FloatOp::kClip:
        return clip(id);
      case FloatOp::kMaxPool:
        return as_value(max_pool(id));
      case FloatOp::kAvgPool:
        return as_value(draft_.sum_pool(finest(in), n.window));
      case FloatOp::kAdd: {
        std::vector<Tensor> inputs;
        for (const int i : n.inputs) inputs.push_back(operand(i));
        if (options_.merge_residuals) return {draft_.add(align(id, inputs), layer_of(inputs)), {}};
        return {unmerged_add(id, inputs), {}};
      }
      case FloatOp::kConcat: {
        std::vector<Tensor> inputs;
        for (const int i : n.inputs) inputs.push_back(plan_.tensors[at(id)].quantized ? operand(i) : finest(i));
        return as_value(draft_.concat(align(id, inputs)));
      }
      case FloatOp::kReshape:
        return as_value(draft_.reshape(finest(in), n.shape));
      case FloatOp::kPad:
        return as_value(draft_.pad(finest(in), n.pad_before, n.pad_after));
      case FloatOp::kSlice:
        return as_value(draft_.slice(finest(in), n.start, n.step, n.shape));
      case FloatOp::kInput:
      case FloatOp::kBatchNorm:
        break;
    }
    throw internal_error("lowering of '" + n.name + "' (" + float_op_name(n.op) + ")");
  }

  // The layer that a sum is reported with: that of its last accumulator.
  std::string layer_of(const std::vector<Tensor>& inputs) const {
    const Tensor* found = &inputs.front();
    for (const Tensor& t : inputs)
      if (!t.activation) found = &t;
    return draft_.node(*found).node.layer;
  }

  // Left shifts that bring all inputs to the finest scale among them.
  std::vector<Draft::Term> align(int id, const std::vector<Tensor>& inputs) const {
    double finest_scale = inputs.front().scale;
    for (const Tensor& t : inputs) finest_scale = std::min(finest_scale, t.scale);
    std::vector<Draft::Term> terms;
    for (const Tensor& t : inputs) {
      const auto shift = static_cast<unsigned>(exact_log2_ratio(t.scale, finest_scale));
      if (shift > kMaxAlignment)
        throw model_error("the inputs of '" + name(id) + "' have scales that differ by 2^" + std::to_string(shift),
                          "rescale the branches of the model");
      terms.push_back({t, shift, 1});
    }
    return terms;
  }

  // Bits of the activation that is made of a sum, by itself or by its readers.
  unsigned bits_of_sum(int id) const {
    unsigned bits = plan_.tensors[at(id)].bits;
    for (std::size_t i = at(id) + 1; i < graph_.nodes.size(); ++i)
      for (const int in : graph_.nodes[i].inputs)
        if (in == id) bits = std::max(bits, plan_.tensors[i].bits);
    return bits == 0 ? kImageBits : bits;
  }

  // A sum as it is without the residual pass: every accumulator is rounded to an activation by itself, all to one scale
  // that leaves the largest of them one bit more than the activation that is made of the sum, and is no coarser than
  // the activations among the branches. The sum has a ring of its own, wider than all of theirs.
  Tensor unmerged_add(int id, std::vector<Tensor> inputs) {
    const std::string layer = layer_of(inputs);
    double common = 0;
    for (const Tensor& t : inputs) {
      if (t.activation) continue;
      std::int64_t most = 0;
      for (const std::int64_t v : t.values->data) most = std::max(most, std::abs(v));
      const int kept = static_cast<int>(bits_of_sum(id)) + 1;
      const int drop = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(most))) - kept;
      common = std::max(common, std::ldexp(t.scale, std::max(drop, 0)));
    }
    for (const Tensor& t : inputs)
      if (t.activation && common > 0) common = std::min(common, t.scale);
    for (Tensor& t : inputs) {
      if (t.activation) continue;
      const int shift = exact_log2_ratio(common, t.scale);
      if (shift > 0)
        t = draft_.truncate_reduce(draft_.add_constant(t, std::int64_t{1} << (shift - 1)),
                                   static_cast<unsigned>(shift));
    }
    Tensor sum = draft_.add(align(id, inputs), layer);
    draft_.node(sum).beyond_inputs = true;
    return sum;
  }

  Tensor linear(int id) {
    const FloatNode& n = node(id);
    const LayerChoice& choice = choices_[at(id)];
    const LayerStats& stats = *stats_.layers[at(id)];
    const Tensor x = operand(n.inputs[0]);
    // The accumulator's scale is one of its group's, exactly; the weights' step follows.
    const double unit = scales_.base[groups_.group(id)] * groups_.ratio(id);
    const double scale =
        std::ldexp(unit, static_cast<int>(std::lround(std::log2(scales_.weight[at(id)] * x.scale / unit))));
    const auto given = options_.given.find(id);
    const bool is_given = given != options_.given.end();
    QuantizedWeights w =
        is_given ? given->second.weights
                 : quantize_weights(choice.weights, plan_.layers[at(id)].weights_bits, scale / x.scale, options_.codes);
    if (options_.compensate_rounding && !is_given)
      compensate_rounding(n, choice.weights, *x.values, scale / x.scale, options_.bias_correction, draft_.pool(), w);

    Node shell;
    shell.name = shell.layer = n.name;
    shell.window = linear_window(n);
    shell.groups = n.op == FloatOp::kLinear ? 1 : n.groups;
    shell.domain = choice.domain;
    shell.codes = w.codes;
    shell.type.shape.c = n.shape.c;
    NodeSecrets secrets;
    secrets.weights = w.code;
    const auto bias_of = [&](const IntBatch& sums) {
      return is_given ? given->second.bias : bias(id, stats, sums, scale);
    };
    Tensor out = draft_.conv(x, std::move(shell), std::move(secrets), w.value, bias_of, scale);

    double error = 0;
    std::size_t sampled = 0;
    for (std::size_t i = 0; i < stats.sample.size(); ++i) {
      if (stats.sample_at[i] >= out.values->data.size()) continue;  // of an image that is not lowered
      ++sampled;
      const double d = static_cast<double>(out.values->data[stats.sample_at[i]]) * scale - stats.sample[i];
      error += d * d;
    }
    error /= static_cast<double>(std::max<std::size_t>(sampled, 1));
    result_.layers.push_back({id, out.id, stats.output_energy > 0 ? error / stats.output_energy : error});
    return out;
  }

  std::int64_t to_integer(int id, double real, double scale) const {
    const double v = real / scale;
    if (!(std::abs(v) < 0x1p50)) throw model_error("a constant of '" + name(id) + "' is 2^50 times its scale or more");
    return std::llrint(v);
  }

  // The bias in units of the accumulator; with correction, such that every channel's mean on the calibration images is
  // the float model's.
  std::vector<std::int64_t> bias(int id, const LayerStats& stats, const IntBatch& sums, double scale) const {
    const FloatNode& n = node(id);
    const auto channels = static_cast<std::size_t>(sums.shape.c), plane = sums.stride() / channels;
    std::vector<std::int64_t> out;
    for (std::size_t c = 0; c < channels; ++c) {
      double wanted = n.bias.empty() ? 0 : static_cast<double>(n.bias[c]);
      if (options_.bias_correction) {
        double sum = 0;
        for (std::size_t i = 0; i < sums.count; ++i)
          for (std::size_t p = 0; p < plane; ++p) sum += static_cast<double>(sums.image(i)[c * plane + p]);
        wanted = stats.channel_mean[c] - sum / static_cast<double>(plane * sums.count) * scale;
      }
      out.push_back(to_integer(id, wanted, scale));
    }
    return out;
  }

  // Rounds an accumulator to the activation of float node `id`, through a ReLU if asked for.
  Tensor requantize(int id, const Tensor& x, bool with_relu) {
    const int shift = exact_log2_ratio(scales_.activation[at(id)], x.scale);
    // Sums of activations are narrow already: taking a bit off them costs more than it saves.
    const bool drop = shift > (x.coarse && !with_relu ? 1 : 0);
    if (shift > 62) throw model_error("'" + name(id) + "' needs to drop 2^62 or more");
    Tensor y = drop ? draft_.add_constant(x, std::int64_t{1} << (shift - 1)) : x;
    if (with_relu) y = draft_.relu(y);
    if (drop) y = draft_.truncate_reduce(y, static_cast<unsigned>(shift));
    y.activation = true;
    y.coarse = false;
    const unsigned bits = plan_.tensors[at(id)].bits;
    if (draft_.rule() != RangeRule::kCalibration) y = saturate(y, bits, with_relu);
    draft_.node(y).node.activation_bits = bits;
    return y;
  }

  // min(x, cap) = x - relu(x - cap), in x's ring.
  Tensor at_most(const Tensor& x, std::int64_t cap) {
    const Tensor above = draft_.relu(draft_.add_constant(x, -cap));
    return draft_.difference(x, above, cap);
  }

  // Clips to what `bits` bits hold.
  Tensor saturate(Tensor x, unsigned bits, bool non_negative) {
    const std::int64_t levels = std::int64_t{1} << bits;
    if (non_negative) return at_most(x, levels - 1);
    // max(x, lo) = relu(x - lo) + lo.
    x = draft_.add_constant(draft_.relu(draft_.add_constant(x, levels / 2)), -levels / 2);
    return at_most(x, levels / 2 - 1);
  }

  Value relu(int id) {
    const Tensor& x = finest(node(id).inputs[0]);
    if (plan_.tensors[at(id)].requantize) return {{}, requantize(id, x, true)};
    if (draft_.node(x).proven_non_negative) return as_value(x);
    return as_value(draft_.relu(x));
  }

  // min(max(x, lo), hi): the lower bound through a ReLU before the requantization, the upper one after it.
  Value clip(int id) {
    const FloatNode& n = node(id);
    Tensor x = finest(n.inputs[0]);
    const bool has_lo = n.clip_lo > -kUnbounded, has_hi = n.clip_hi < kUnbounded;
    const bool requantized = plan_.tensors[at(id)].requantize;
    const double lo = has_lo ? static_cast<double>(n.clip_lo) : 0;
    if (has_lo && lo != 0) x = draft_.add_constant(x, -to_integer(id, lo, x.scale));
    Tensor y = requantized ? requantize(id, x, has_lo) : has_lo ? draft_.relu(x) : x;
    if (has_hi) y = at_most(y, to_integer(id, static_cast<double>(n.clip_hi) - lo, y.scale));
    if (has_lo && lo != 0) y = draft_.add_constant(y, to_integer(id, lo, y.scale));
    return as_value(y);
  }

  Tensor max_pool(int id) {
    const FloatNode& n = node(id);
    Tensor x = finest(n.inputs[0]);
    if (!window_touches_padding(n.window, node(n.inputs[0]).shape)) return draft_.max_pool(x, unpadded(n.window));
    if (draft_.node(x).proven_non_negative) return draft_.max_pool(x, n.window);
    // Padding counts as 0 and must not win: lift everything above 0 first. The ReLU changes nothing, and proves it.
    std::int64_t lift = 0;
    if (!plan_.tensors[at(n.inputs[0])].non_negative) {
      const std::int64_t lo = draft_.node(x).lo;
      lift = 1;
      while (lift < -2 * lo) lift *= 2;
      x = draft_.add_constant(x, lift);
    }
    const Tensor y = draft_.max_pool(draft_.relu(x), n.window);
    return lift == 0 ? y : draft_.add_constant(y, -lift);
  }

  // Padding that no window reaches is left out: it would only matter to the rules for padded steps.
  static Window unpadded(Window w) {
    w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = 0;
    return w;
  }

  const FloatGraph& graph_;
  const GraphPlan& plan_;
  const ScaleGroups& groups_;
  const Scales& scales_;
  const FloatStats& stats_;
  const std::vector<LayerChoice>& choices_;
  const LoweringOptions& options_;
  Draft& draft_;
  std::vector<Value> values_;
  Lowered result_;
};

}  // namespace

Lowered lower(const FloatGraph& graph, const GraphPlan& plan, const ScaleGroups& groups, const Scales& scales,
              const FloatStats& stats, const std::vector<LayerChoice>& choices, const FloatBatch& images,
              const LoweringOptions& options, Draft& draft) {
  return Lowering(graph, plan, groups, scales, stats, choices, options, draft).run(images);
}

}  // namespace eqo::quant
