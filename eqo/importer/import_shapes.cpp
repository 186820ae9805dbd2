#include <onnx/onnx_pb.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "eqo/core/error.h"
#include "eqo/importer/const_fold.h"
#include "eqo/importer/import_context.h"

namespace eqo {
namespace {

// Where an ONNX axis lies in (c, h, w); the batch is axis 0.
std::size_t shape_axis(std::size_t axis, const Dims& dims) {
  if (dims.size() > 4 || dims.size() < 2 || dims[0] != 1) throw model_error("needs 2 to 4 dimensions and a batch of 1");
  if (axis == 0) throw model_error("changes the batch");
  return axis - 1;
}

std::optional<Dims> axes_argument(const NodeContext& c, std::size_t input) {
  if (c.has_input(input)) return c.optional_ints(input);
  if (c.attrs().has("axes")) return c.attrs().get_ints("axes");
  return std::nullopt;
}

void add_slice(NodeContext& c, const ImportValue& x, const std::vector<SliceRange>& ranges, std::size_t output) {
  Dims dims;
  FloatNode node;
  node.op = FloatOp::kSlice;
  node.inputs = {x.node};
  for (std::size_t axis = 0; axis < ranges.size(); ++axis) {
    const SliceRange& r = ranges[axis];
    if (r.count < 1) throw model_error("leaves nothing");
    dims.push_back(r.count);
    if (r.start == 0 && r.step == 1 && r.count == x.dims[axis]) continue;
    if (r.step < 0) throw model_error("negative steps are not supported");
    const std::size_t i = shape_axis(axis, x.dims);
    node.start[i] = r.start;
    node.step[i] = r.step;
  }
  if (dims == x.dims) {
    ImportValue same = x;
    return c.set_output(std::move(same), output);
  }
  node.shape = canonical_shape(dims);
  c.set_activation(c.add(std::move(node)), dims, output);
}

// Adds `count` zero channels behind (or before) the node.
int add_channels(NodeContext& c, int input, std::int64_t before, std::int64_t after) {
  FloatNode node;
  node.op = FloatOp::kPad;
  node.inputs = {input};
  node.pad_before[0] = before;
  node.pad_after[0] = after;
  return c.add(std::move(node));
}

bool all_zero(const ConstTensor& t) {
  return !t.integer && std::all_of(t.f.begin(), t.f.end(), [](float v) { return v == 0; });
}

// Concat of one activation with zeros on its sides.
void concat_zeros(NodeContext& c, std::size_t axis) {
  std::optional<ImportValue> x;
  std::int64_t before = 0;
  std::int64_t after = 0;
  for (std::size_t i = 0; i < c.input_count(); ++i) {
    if (!c.is_constant(i)) {
      if (x) throw model_error("concatenates constants and several activations");
      x = c.activation(i);
      continue;
    }
    const ConstTensor& t = c.constant(i);
    if (!all_zero(t) || t.dims.size() <= axis) throw model_error("concatenates a constant other than zeros");
    (x ? after : before) += t.dims[axis];
  }
  for (std::size_t i = 0; i < c.input_count(); ++i) {
    if (!c.is_constant(i)) continue;
    Dims dims = c.constant(i).dims;
    dims[axis] = x->dims[axis];
    if (dims != x->dims) throw model_error("concatenates different shapes");
  }
  x->dims[axis] += before + after;
  x->node = add_channels(c, x->node, before, after);
  c.set_output(*x);
}

// The pads per axis of `rank` dimensions: all begins, then all ends.
Dims read_pads(const NodeContext& c, std::size_t rank) {
  const Dims given = c.opset() < 11 ? c.attrs().get_ints("pads") : int_values(c.constant(1));
  const std::optional<Dims> axes = c.opset() < 18 ? std::nullopt : c.optional_ints(3);
  if (!axes) {
    if (given.size() != 2 * rank) throw model_error("its pads don't fit its input");
    return given;
  }
  if (given.size() != 2 * axes->size()) throw model_error("its pads don't fit its axes");
  Dims pads(2 * rank, 0);
  for (std::size_t i = 0; i < axes->size(); ++i) {
    const std::size_t axis = normal_axis((*axes)[i], rank);
    pads[axis] = given[i];
    pads[axis + rank] = given[i + axes->size()];
  }
  return pads;
}

}  // namespace

void import_identity(NodeContext& c) { c.set_output(c.activation(0, true)); }

void import_dropout(NodeContext& c) {
  if (c.has_input(2) && c.constant(2).size() == 1 && c.constant(2).as_float(0) != 0) {
    throw model_error("is in training mode", "export the model in evaluation mode");
  }
  c.set_output(c.activation(0, true));
}

void import_cast(NodeContext& c) {
  const ImportValue& x = c.activation(0, true);
  const std::int64_t to = c.attrs().get_int("to", 0);
  const bool is_float = to == onnx::TensorProto::FLOAT || to == onnx::TensorProto::FLOAT16 ||
                        to == onnx::TensorProto::BFLOAT16 || to == onnx::TensorProto::DOUBLE;
  if (!is_float && !x.label) throw model_error("casts an activation to an integer");
  c.set_output(x);
}

void import_shape(NodeContext& c) {
  const Dims& dims = c.activation(0, true).dims;
  const auto rank = static_cast<std::int64_t>(dims.size());
  const auto resolve = [&](std::int64_t v) { return std::clamp<std::int64_t>(v < 0 ? v + rank : v, 0, rank); };
  const std::int64_t start = resolve(c.attrs().get_int("start", 0));
  const std::int64_t end = std::max(start, resolve(c.attrs().get_int("end", rank)));
  c.set_constant(int_tensor(Dims(dims.begin() + start, dims.begin() + end)));
}

void import_size(NodeContext& c) { c.set_constant(int_scalar(element_count(c.activation(0, true).dims))); }

void import_flatten(NodeContext& c) {
  const ImportValue& x = c.activation(0, true);
  c.set_relabelled(x, flattened(x.dims, c.attrs().get_int("axis", 1)));
}

void import_reshape(NodeContext& c) {
  const ImportValue& x = c.activation(0, true);
  c.set_relabelled(x, reshaped(x.dims, int_values(c.constant(1)), c.attrs().get_int("allowzero", 0) != 0));
}

void import_squeeze(NodeContext& c) {
  const ImportValue& x = c.activation(0, true);
  c.set_relabelled(x, squeezed(x.dims, axes_argument(c, 1)));
}

void import_unsqueeze(NodeContext& c) {
  const ImportValue& x = c.activation(0, true);
  const std::optional<Dims> axes = axes_argument(c, 1);
  if (!axes) throw model_error("its axes are missing");
  c.set_relabelled(x, unsqueezed(x.dims, *axes));
}

void import_transpose(NodeContext& c) {
  const ImportValue& x = c.activation(0, true);
  Dims dims;
  std::int64_t last = -1;
  for (const std::int64_t p : permutation(x.dims.size(), c.attrs().get_ints("perm"))) {
    const std::int64_t d = x.dims[static_cast<std::size_t>(p)];
    dims.push_back(d);
    if (d == 1) continue;
    if (p < last) {
      throw model_error("moves data",
                        "only transpositions that move dimensions of 1 are supported; export the model "
                        "with channels first (NCHW)");
    }
    last = p;
  }
  c.set_relabelled(x, dims);
}

void import_concat(NodeContext& c) {
  bool constants = false;
  std::vector<int> nodes;
  Dims dims;
  for (std::size_t i = 0; i < c.input_count(); ++i) {
    constants = constants || c.is_constant(i);
    if (!c.is_constant(i) && dims.empty()) dims = c.activation(i).dims;
  }
  const std::size_t axis = normal_axis(c.attrs().get_int("axis", 1), dims.size());
  if (shape_axis(axis, dims) != 0) throw model_error("only channels can be concatenated");
  if (constants) return concat_zeros(c, axis);
  std::int64_t total = 0;
  for (std::size_t i = 0; i < c.input_count(); ++i) {
    const ImportValue& x = c.activation(i);
    Dims same = x.dims;
    if (same.size() != dims.size()) throw model_error("concatenates different shapes");
    total += same[axis];
    same[axis] = dims[axis];
    if (same != dims) throw model_error("concatenates different shapes");
    nodes.push_back(x.node);
  }
  if (nodes.size() == 1) return c.set_output(c.activation(0));
  dims[axis] = total;
  c.set_activation(c.add(FloatOp::kConcat, std::move(nodes)), dims);
}

void import_pad(NodeContext& c) {
  const ImportValue& x = c.activation(0);
  const std::size_t rank = x.dims.size();
  const Dims pads = read_pads(c, rank);
  if (std::all_of(pads.begin(), pads.end(), [](std::int64_t p) { return p == 0; })) return c.set_output(x);
  if (c.attrs().get_string("mode", "constant") != "constant") throw model_error("only padding with zeros is supported");
  float value = c.attrs().get_float("value", 0);
  if (c.opset() >= 11 && c.has_input(2)) {
    if (c.constant(2).size() != 1) throw model_error("its value must be a scalar");
    value = c.constant(2).as_float(0);
  }
  if (value != 0) throw model_error("only padding with zeros is supported");
  FloatNode node;
  node.op = FloatOp::kPad;
  node.inputs = {x.node};
  Dims dims = x.dims;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::int64_t before = pads[axis];
    const std::int64_t after = pads[axis + rank];
    if (before == 0 && after == 0) continue;
    if (before < 0 || after < 0 || before > kMaxGraphDimension || after > kMaxGraphDimension) {
      throw model_error("its padding is out of range");
    }
    const std::size_t i = shape_axis(axis, x.dims);
    node.pad_before[i] = before;
    node.pad_after[i] = after;
    dims[axis] += before + after;
  }
  c.set_activation(c.add(std::move(node)), dims);
}

void import_slice(NodeContext& c) {
  const ImportValue& x = c.activation(0);
  const bool old = c.opset() < 10;
  const Dims starts = old ? c.attrs().get_ints("starts") : int_values(c.constant(1));
  const Dims ends = old ? c.attrs().get_ints("ends") : int_values(c.constant(2));
  const Dims axes = old ? c.attrs().get_ints("axes") : c.optional_ints(3).value_or(Dims{});
  const Dims steps = old ? Dims{} : c.optional_ints(4).value_or(Dims{});
  add_slice(c, x, slice_ranges(x.dims, starts, ends, axes, steps), 0);
}

void import_split(NodeContext& c) {
  const ImportValue& x = c.activation(0);
  const std::size_t axis = normal_axis(c.attrs().get_int("axis", 0), x.dims.size());
  const auto parts = static_cast<std::int64_t>(c.proto().output_size());
  Dims sizes = c.opset() < 13 ? c.attrs().get_ints("split") : c.optional_ints(1).value_or(Dims{});
  if (sizes.empty()) {
    const std::int64_t part = (x.dims[axis] + parts - 1) / std::max<std::int64_t>(parts, 1);
    for (std::int64_t left = x.dims[axis]; left > 0; left -= part) sizes.push_back(std::min(part, left));
  }
  if (static_cast<std::int64_t>(sizes.size()) != parts) throw model_error("its parts don't fit its outputs");
  std::vector<SliceRange> ranges;
  for (const std::int64_t d : x.dims) ranges.push_back({0, 1, d});
  std::int64_t at = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 1 || sizes[i] > x.dims[axis] - at) throw model_error("its parts don't fit its input");
    ranges[axis] = {at, 1, sizes[i]};
    at += sizes[i];
    add_slice(c, x, ranges, i);
  }
  if (at != x.dims[axis]) throw model_error("its parts don't fit its input");
}

void import_softmax(NodeContext& c) {
  ImportValue out = c.activation(0);
  const std::size_t axis = normal_axis(c.attrs().get_int("axis", c.opset() < 13 ? 1 : -1), out.dims.size());
  if (element_count(out.dims) != out.dims[axis]) throw model_error("only a softmax over the classes is supported");
  out.terminal = true;
  c.set_output(std::move(out));
}

void import_argmax(NodeContext& c) {
  ImportValue out = c.activation(0, true);
  if (out.label) throw model_error("follows an ArgMax");
  const std::size_t axis = normal_axis(c.attrs().get_int("axis", 0), out.dims.size());
  if (element_count(out.dims) != out.dims[axis]) throw model_error("only an argmax over the classes is supported");
  if (c.attrs().get_int("select_last_index", 0) != 0) throw model_error("select_last_index is not supported");
  out.terminal = out.label = true;
  c.set_output(std::move(out));
}

}  // namespace eqo
