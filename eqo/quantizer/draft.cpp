#include "eqo/quantizer/draft.h"

#include <algorithm>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/quantizer/conv_batch.h"
#include "eqo/quantizer/conv_range.h"

namespace eqo::quant {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

Node shell(Op op, const std::string& layer, const char* suffix, const Shape& shape) {
  Node node;
  node.op = op;
  node.layer = layer;
  node.name = layer + "/" + suffix;
  node.type.shape = shape;
  return node;
}

// a * 2^shift * sign + b; throws before it overflows.
std::int64_t combine(std::int64_t a, unsigned shift, int sign, std::int64_t b) {
  std::int64_t product = 0, sum = 0;
  if (shift > 62 || __builtin_mul_overflow(a, sign * (std::int64_t{1} << shift), &product) ||
      __builtin_add_overflow(product, b, &sum))
    throw model_error("the network's integers don't fit 64 bits", "its scales lie too far apart");
  return sum;
}

}  // namespace

int Draft::region(int id) const {
  int r = nodes_[at(id)].region;
  while (r >= 0 && regions_[at(r)] != r) r = regions_[at(r)];
  return r;
}

Draft::Place Draft::place_for(const Tensor& x) const {
  // The image's ring is whatever its readers want.
  return node(x).region < 0 || node(x).node.op == Op::kInput ? Place::kNewRegion : Place::kShared;
}

bool Draft::all_activations(const std::vector<Term>& terms) {
  return std::all_of(terms.begin(), terms.end(), [](const Term& t) { return t.x.activation; });
}

Tensor Draft::append(Node node, std::vector<Tensor> inputs, Place place, IntBatch values, Range certain, double scale) {
  DraftNode draft;
  draft.secrets.scale = scale;
  if (rule_ == RangeRule::kCalibration) {
    const auto [lo, hi] = std::minmax_element(values.data.begin(), values.data.end());
    certain = {*lo, *hi};
  }
  draft.lo = certain.lo;
  draft.hi = certain.hi;
  for (const Tensor& t : inputs) node.inputs.push_back(t.id);
  node.type.shape = values.shape;
  draft.node = std::move(node);
  if (place != Place::kFloating) {
    draft.region = static_cast<int>(regions_.size());
    regions_.push_back(draft.region);
  }
  nodes_.push_back(std::move(draft));
  Tensor out;
  out.id = static_cast<int>(nodes_.size()) - 1;
  out.values = std::make_shared<const IntBatch>(std::move(values));
  out.scale = scale;
  for (const Tensor& t : inputs)
    if (place == Place::kShared || (place == Place::kNewRegion && !t.activation)) {
      const int other = region(t.id);
      if (other < 0) throw internal_error("draft: a floating step can't share its ring");
      regions_[at(region(out.id))] = other;
    }
  return out;
}

Tensor Draft::input(IntBatch image, double scale, unsigned bits) {
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  Node node = shell(Op::kInput, "input", "image", image.shape);
  node.name = "input";
  Tensor out = append(std::move(node), {}, Place::kNewRegion, std::move(image), {-half, half - 1}, scale);
  out.activation = true;
  this->node(out).lo = -half;  // the whole width, whatever calibration has seen
  this->node(out).hi = half - 1;
  return out;
}

Tensor Draft::conv(const Tensor& x, Node node, NodeSecrets secrets, std::span<const std::int64_t> weights,
                   const BiasRule& bias_of, double scale) {
  const std::int64_t filters = node.type.shape.c;
  node.op = Op::kConv;
  IntBatch values = node.domain == ConvDomain::kWinograd
                        ? convolve_winograd(*x.values, node.window, filters, weights, {}, pool_)
                        : convolve(*x.values, ConvSpec{node.window, node.groups, filters}, weights, {}, pool_);
  secrets.bias = bias_of(values);
  const std::size_t plane = values.stride() / secrets.bias.size();
  for (std::size_t i = 0; i < values.data.size(); ++i)
    values.data[i] = combine(values.data[i], 0, 1, secrets.bias[i / plane % secrets.bias.size()]);
  Range certain{};
  if (rule_ != RangeRule::kCalibration) {
    const Range in = range_of(x);
    const auto [lo, hi] = rule_ == RangeRule::kWeights
                              ? conv_range(node, weights, secrets.bias, x.shape(), in.lo, in.hi)
                              : conv_range(node, secrets.bias, x.shape(), in.lo, in.hi);
    certain = {lo, hi};
  }
  Tensor out = append(std::move(node), {x}, Place::kNewRegion, std::move(values), certain, scale);
  secrets.scale = scale;
  this->node(out).secrets = std::move(secrets);
  return out;
}

Tensor Draft::add(const std::vector<Term>& terms, const std::string& layer) {
  IntBatch values(terms.front().x.shape(), terms.front().x.values->count);
  Range certain{0, 0};
  Node n = shell(Op::kAdd, layer, "add", values.shape);
  std::vector<Tensor> inputs;
  double scale = 0;
  for (const Term& t : terms) {
    for (std::size_t i = 0; i < values.data.size(); ++i)
      values.data[i] = combine(t.x.values->data[i], t.shift, t.sign, values.data[i]);
    const Range r = range_of(t.x);
    certain.lo = combine(t.sign > 0 ? r.lo : r.hi, t.shift, t.sign, certain.lo);
    certain.hi = combine(t.sign > 0 ? r.hi : r.lo, t.shift, t.sign, certain.hi);
    n.input_shifts.push_back(t.shift);
    n.input_signs.push_back(static_cast<std::int8_t>(t.sign));
    inputs.push_back(t.x);
    scale = t.x.scale / static_cast<double>(std::uint64_t{1} << t.shift);
  }
  Tensor out = append(std::move(n), inputs, Place::kNewRegion, std::move(values), certain, scale);
  out.coarse = all_activations(terms);
  return out;
}

Tensor Draft::difference(const Tensor& a, const Tensor& b, std::int64_t cap) {
  IntBatch values = *a.values;
  for (std::size_t i = 0; i < values.data.size(); ++i) values.data[i] -= b.values->data[i];
  Node n = shell(Op::kAdd, node(a).node.layer, "cap", values.shape);
  n.input_shifts = {0, 0};
  n.input_signs = {1, -1};
  const Range r = range_of(a);
  // The image and floating activations are converted to b's ring.
  Tensor first = a, second = b;
  first.activation = place_for(a) == Place::kNewRegion;
  second.activation = false;
  Tensor out = append(std::move(n), {first, second}, Place::kNewRegion, std::move(values),
                      {std::min(r.lo, cap), std::min(r.hi, cap)}, a.scale);
  out.activation = a.activation;
  out.coarse = a.coarse;
  return out;
}

Tensor Draft::add_constant(const Tensor& x, std::int64_t constant) {
  IntBatch values = *x.values;
  for (std::int64_t& v : values.data) v = combine(v, 0, 1, constant);
  const Range r = range_of(x);
  Node n = shell(Op::kAddConstant, node(x).node.layer, "constant", values.shape);
  n.constant = constant;
  Tensor out = append(std::move(n), {x}, place_for(x), std::move(values),
                      {combine(r.lo, 0, 1, constant), combine(r.hi, 0, 1, constant)}, x.scale);
  out.activation = x.activation;
  out.coarse = x.coarse;
  return out;
}

Tensor Draft::relu(const Tensor& x) {
  IntBatch values = *x.values;
  relu_batch(values);
  const Range r = range_of(x);
  Tensor out = append(shell(Op::kRelu, node(x).node.layer, "relu", values.shape), {x}, place_for(x), std::move(values),
                      {std::max<std::int64_t>(r.lo, 0), std::max<std::int64_t>(r.hi, 0)}, x.scale);
  out.activation = x.activation;
  out.coarse = x.coarse;
  node(out).proven_non_negative = true;
  return out;
}

Tensor Draft::truncate_reduce(const Tensor& x, unsigned shift) {
  IntBatch values = *x.values;
  for (std::int64_t& v : values.data) v >>= shift;
  const Range r = range_of(x);
  Node n = shell(Op::kTruncateReduce, node(x).node.layer, "truncate", values.shape);
  n.shift = shift;
  const bool proven = node(x).proven_non_negative;
  // Its input stays in its own region: the step itself is what changes the ring.
  Tensor converted = x;
  converted.activation = true;
  Tensor out = append(std::move(n), {converted}, Place::kNewRegion, std::move(values), {r.lo >> shift, r.hi >> shift},
                      x.scale * static_cast<double>(std::uint64_t{1} << shift));
  out.activation = true;
  node(out).proven_non_negative = proven;
  return out;
}

Tensor Draft::max_pool(const Tensor& x, const Window& window) {
  const Range r = range_of(x);
  Node n = shell(Op::kMaxPool, node(x).node.layer, "maxpool", {});
  n.window = window;
  const bool proven = node(x).proven_non_negative;
  Tensor out =
      append(std::move(n), {x}, place_for(x), max_pool_batch<std::int64_t>(*x.values, window, 0, pool_), r, x.scale);
  out.activation = x.activation;
  out.coarse = x.coarse;
  node(out).proven_non_negative = proven;
  node(out).keep_proof = proven;
  return out;
}

Tensor Draft::sum_pool(const Tensor& x, const Window& window) {
  const Range r = range_of(x);
  const std::int64_t count = window.kernel_h * window.kernel_w;
  Node n = shell(Op::kSumPool, node(x).node.layer, "sumpool", {});
  n.window = window;
  const bool proven = node(x).proven_non_negative;
  Range certain{};
  if (__builtin_mul_overflow(std::min<std::int64_t>(r.lo, 0), count, &certain.lo) ||
      __builtin_mul_overflow(std::max<std::int64_t>(r.hi, 0), count, &certain.hi))
    throw model_error("a pooling's sums don't fit 64 bits");
  Tensor out = append(std::move(n), {x}, x.activation ? Place::kFloating : Place::kShared,
                      sum_pool_batch(*x.values, window, pool_), certain, x.scale / static_cast<double>(count));
  out.activation = x.activation;
  node(out).proven_non_negative = proven;
  return out;
}

Tensor Draft::concat(const std::vector<Term>& terms) {
  std::vector<IntBatch> shifted;
  std::vector<const IntBatch*> parts;
  std::vector<Tensor> inputs;
  Node n = shell(Op::kConcat, node(terms.front().x).node.layer, "concat", {});
  bool proven = true;
  Range certain = {INT64_MAX, INT64_MIN};
  for (const Term& t : terms) {
    IntBatch values = *t.x.values;
    for (std::int64_t& v : values.data) v = combine(v, t.shift, 1, 0);
    shifted.push_back(std::move(values));
    const Range r = range_of(t.x);
    certain = {std::min(certain.lo, combine(r.lo, t.shift, 1, 0)), std::max(certain.hi, combine(r.hi, t.shift, 1, 0))};
    n.input_shifts.push_back(t.shift);
    inputs.push_back(t.x);
    proven = proven && node(t.x).proven_non_negative;
  }
  for (const IntBatch& b : shifted) parts.push_back(&b);
  const bool floating = all_activations(terms);
  Tensor out =
      append(std::move(n), inputs, floating ? Place::kFloating : Place::kNewRegion, concat_batch<std::int64_t>(parts),
             certain, terms.front().x.scale / static_cast<double>(std::uint64_t{1} << terms.front().shift));
  out.activation = floating;
  node(out).proven_non_negative = proven;
  return out;
}

Tensor Draft::pad(const Tensor& x, const std::array<std::int64_t, 3>& before,
                  const std::array<std::int64_t, 3>& after) {
  const Range r = range_of(x);
  Node n = shell(Op::kPad, node(x).node.layer, "pad", {});
  n.pad_before = before;
  n.pad_after = after;
  const bool proven = node(x).proven_non_negative;
  Tensor out =
      append(std::move(n), {x}, x.activation ? Place::kFloating : Place::kShared, pad_batch(*x.values, before, after),
             {std::min<std::int64_t>(r.lo, 0), std::max<std::int64_t>(r.hi, 0)}, x.scale);
  out.activation = x.activation;
  out.coarse = x.coarse;
  node(out).proven_non_negative = proven;
  return out;
}

Tensor Draft::slice(const Tensor& x, const std::array<std::int64_t, 3>& start, const std::array<std::int64_t, 3>& step,
                    const Shape& shape) {
  Node n = shell(Op::kSlice, node(x).node.layer, "slice", shape);
  n.start = start;
  n.step = step;
  const bool proven = node(x).proven_non_negative;
  Tensor out = append(std::move(n), {x}, x.activation ? Place::kFloating : Place::kShared,
                      slice_batch(*x.values, start, step, shape), range_of(x), x.scale);
  out.activation = x.activation;
  out.coarse = x.coarse;
  node(out).proven_non_negative = proven;
  return out;
}

Tensor Draft::reshape(const Tensor& x, const Shape& shape) {
  IntBatch values = *x.values;
  values.shape = shape;
  const bool proven = node(x).proven_non_negative;
  Tensor out = append(shell(Op::kReshape, node(x).node.layer, "reshape", shape), {x},
                      x.activation ? Place::kFloating : Place::kShared, std::move(values), range_of(x), x.scale);
  out.activation = x.activation;
  out.coarse = x.coarse;
  node(out).proven_non_negative = proven;
  return out;
}

void Draft::fold_constants(int output) {
  std::vector<int> readers(nodes_.size(), 0);
  for (const DraftNode& d : nodes_)
    for (const int in : d.node.inputs) ++readers[at(in)];
  ++readers[at(output)];
  const auto widen = [](DraftNode& d, std::int64_t by) {
    d.lo = std::min(d.lo, combine(d.lo, 0, 1, by));
    d.hi = std::max(d.hi, combine(d.hi, 0, 1, by));
  };
  for (DraftNode& d : nodes_) {
    if (d.node.op != Op::kAddConstant) continue;
    const int in = d.node.inputs[0];
    DraftNode& sum = nodes_[at(in)];
    DraftNode* conv = nullptr;
    std::int64_t constant = d.node.constant;
    if (readers[at(in)] != 1) continue;
    if (sum.node.op == Op::kConv) conv = &sum;
    for (std::size_t k = 0; sum.node.op == Op::kAdd && conv == nullptr && k < sum.node.inputs.size(); ++k) {
      const int term = sum.node.inputs[k];
      const std::int64_t unit = std::int64_t{1} << sum.node.input_shifts[k];
      if (nodes_[at(term)].node.op != Op::kConv || readers[at(term)] != 1 || sum.node.input_signs[k] != 1 ||
          constant % unit != 0)
        continue;
      conv = &nodes_[at(term)];
      widen(sum, constant);
      constant /= unit;
    }
    if (conv == nullptr) continue;
    widen(*conv, constant);
    if (conv->secrets.bias.empty()) conv->secrets.bias.assign(static_cast<std::size_t>(conv->node.type.shape.c), 0);
    for (std::int64_t& b : conv->secrets.bias) b += constant;
    // The step stays as one that adds nothing; readers are moved past it when the plan is written.
    d.node.constant = 0;
  }
}

}  // namespace eqo::quant
