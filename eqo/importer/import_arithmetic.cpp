#include <onnx/onnx_pb.h>

#include <string>

#include "eqo/core/error.h"
#include "eqo/importer/import_context.h"

namespace eqo {
namespace {

// The constant's values per channel of an activation of shape `dims`, or one for all of them.
std::vector<float> per_channel(const ConstTensor& t, const Dims& dims) {
  if (t.integer) throw model_error("its constant is not a float");
  if (broadcast_dims(t.dims, dims) != dims) throw model_error("its constant is larger than its activation");
  if (t.size() == 1) return {t.f[0]};
  if (dims.size() < 2 || dims[0] != 1) throw model_error("needs a batch of 1");
  const auto channels = static_cast<std::size_t>(dims[1]);
  const std::int64_t inner = element_count(Dims(dims.begin() + 2, dims.end()));
  std::vector<float> values(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    const std::int64_t first = static_cast<std::int64_t>(c) * inner;
    values[c] = t.f[broadcast_index(t.dims, dims, first)];
  }
  // A constant that varies inside of a channel: compare every element of the (small) tensor with its channel's.
  const std::size_t channel_axis_from_end = dims.size() - 1;
  for (std::size_t n = 0; n < t.f.size(); ++n) {
    auto rest = static_cast<std::int64_t>(n);
    std::int64_t channel = 0;
    for (std::size_t i = 0; i < t.dims.size(); ++i) {
      const std::int64_t size = t.dims[t.dims.size() - 1 - i];
      if (i + 1 == channel_axis_from_end) channel = rest % size;
      rest /= size;
    }
    if (t.f[n] != values[static_cast<std::size_t>(channel)]) {
      throw model_error("its constant differs between pixels", "constants per channel are supported");
    }
  }
  return values;
}

// Which of the two inputs is the activation, if the other one is a constant.
struct Sides {
  std::size_t activation, constant;
};
Sides sides(const NodeContext& c) { return c.is_constant(0) ? Sides{1, 0} : Sides{0, 1}; }

void affine(NodeContext& c, std::size_t activation, std::vector<float> gain, std::vector<float> offset) {
  const ImportValue& x = c.activation(activation);
  c.set_activation(c.add_affine(x.node, std::move(gain), std::move(offset)), x.dims);
}

std::vector<float> negated(std::vector<float> v) {
  for (float& x : v) x = -x;
  return v;
}

[[noreturn]] void both_activations() {
  throw model_error("combines two activations", "only Add and Concat of two activations are supported");
}

}  // namespace

// Add of two, Sum of any number.
void import_add(NodeContext& c) {
  if (c.input_count() == 0) throw model_error("has no inputs");
  if (c.input_count() == 1) return c.set_output(c.activation(0));
  ImportValue sum;
  for (std::size_t i = 0; i < c.input_count(); ++i) {
    if (c.is_constant(i)) continue;
    const ImportValue& x = c.activation(i);
    if (sum.kind == ImportValue::Kind::kUnknown) {
      sum = x;
    } else {
      if (sum.dims != x.dims) throw model_error("adds activations of different shapes");
      sum.node = c.add(FloatOp::kAdd, {sum.node, x.node});
    }
  }
  for (std::size_t i = 0; i < c.input_count(); ++i) {
    if (c.is_constant(i)) sum.node = c.add_affine(sum.node, {1.0F}, per_channel(c.constant(i), sum.dims));
  }
  c.set_output(std::move(sum));
}

void import_sub(NodeContext& c) {
  const auto [x, k] = sides(c);
  if (!c.is_constant(k)) both_activations();
  std::vector<float> offset = per_channel(c.constant(k), c.activation(x).dims);
  if (x == 0) return affine(c, x, {1.0F}, negated(std::move(offset)));
  affine(c, x, {-1.0F}, std::move(offset));
}

void import_mul(NodeContext& c) {
  const auto [x, k] = sides(c);
  if (!c.is_constant(k)) both_activations();
  affine(c, x, per_channel(c.constant(k), c.activation(x).dims), {0.0F});
}

void import_div(NodeContext& c) {
  const auto [x, k] = sides(c);
  if (!c.is_constant(k)) both_activations();
  if (x == 1) throw model_error("divides by an activation");
  std::vector<float> gain = per_channel(c.constant(k), c.activation(x).dims);
  for (float& g : gain) {
    if (g == 0) throw model_error("divides by 0");
    g = 1 / g;
  }
  affine(c, x, std::move(gain), {0.0F});
}

}  // namespace eqo
