#include "eqo/model/types.h"

#include <algorithm>
#include <string>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/core/wide.h"
#include "eqo/kernels/elementwise.h"
#include "eqo/kernels/pooling.h"
#include "eqo/model/conv_layer.h"

namespace eqo {
namespace {

[[noreturn]] void fail(const Node& node, const std::string& reason) {
  throw model_error("step '" + node.name + "' (" + op_name(node.op) + "): " + reason);
}

struct Interval {
  Int128 lo, hi;
};

Interval scaled(const TensorType& t, std::int64_t factor) {
  const Int128 a = Int128{t.lo} * factor, b = Int128{t.hi} * factor;
  return {std::min(a, b), std::max(a, b)};
}

TensorType with_interval(const Shape& shape, unsigned ring_bits, Interval i) {
  TensorType t{shape, ring_bits, ring_lo(ring_bits), ring_hi(ring_bits)};
  if (i.lo >= t.lo && i.hi <= t.hi) {
    t.lo = static_cast<std::int64_t>(i.lo);
    t.hi = static_cast<std::int64_t>(i.hi);
  }
  return t;
}

TensorType full(const Shape& shape, unsigned ring_bits) {
  return {shape, ring_bits, ring_lo(ring_bits), ring_hi(ring_bits)};
}

void check_shape(const Node& node, const Shape& s) {
  for (const std::int64_t d : {s.c, s.h, s.w})
    if (d < 1 || d > kMaxDimension) fail(node, "dimension " + std::to_string(d) + " is outside 1..2^20");
  if (s.c * s.h > kMaxElements || s.c * s.h * s.w > kMaxElements) fail(node, "more than 2^31 elements");
}

void check_ring(const Node& node, unsigned bits) {
  if (bits < 1 || bits > 64) fail(node, "ring of " + std::to_string(bits) + " bits (1..64)");
}

// Output positions along one axis.
std::int64_t positions(const Node& node, std::int64_t size, std::int64_t before, std::int64_t after,
                       std::int64_t kernel, std::int64_t stride, std::int64_t dilation) {
  for (const std::int64_t v : {kernel, stride, dilation})
    if (v < 1 || v > kMaxDimension) fail(node, "kernel, stride and dilation must be in 1..2^20");
  for (const std::int64_t v : {before, after})
    if (v < 0 || v > kMaxDimension) fail(node, "padding must be in 0..2^20");
  const std::int64_t room = size + before + after - dilation * (kernel - 1) - 1;
  if (room < 0) fail(node, "the window is larger than its padded input");
  return room / stride + 1;
}

Shape windowed(const Node& node, const Shape& in, std::int64_t channels) {
  const Window& w = node.window;
  return {channels, positions(node, in.h, w.pad_top, w.pad_bottom, w.kernel_h, w.stride_h, w.dilation_h),
          positions(node, in.w, w.pad_left, w.pad_right, w.kernel_w, w.stride_w, w.dilation_w)};
}

bool padded(const Window& w) { return w.pad_top != 0 || w.pad_left != 0 || w.pad_bottom != 0 || w.pad_right != 0; }

TensorType conv_type(const Node& node, const TensorType& in) {
  const std::int64_t filters = node.type.shape.c;
  if (filters < 1 || filters > kMaxDimension) fail(node, "number of filters outside 1..2^20");
  if (node.groups < 1 || in.shape.c % node.groups != 0 || filters % node.groups != 0)
    fail(node, std::to_string(node.groups) + " groups divide neither or only one of the channel counts");
  const Shape out = windowed(node, in.shape, filters);
  try {
    check(conv_shape(node, in.shape));
  } catch (const Error& e) {
    fail(node, e.what());
  }
  return full(out, in.ring_bits);
}

TensorType add_type(const Node& node, std::span<const TensorType> in) {
  if (node.input_shifts.size() != in.size() || node.input_signs.size() != in.size())
    fail(node, "one shift and one sign an input");
  Interval sum{0, 0};
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i].shape != in[0].shape || in[i].ring_bits != in[0].ring_bits) fail(node, "inputs of different types");
    if (node.input_shifts[i] > kMaxInputShift || node.input_shifts[i] >= in[0].ring_bits)
      fail(node, "input shift " + std::to_string(node.input_shifts[i]) + " must be below the ring and at most 24");
    if (node.input_signs[i] != 1 && node.input_signs[i] != -1) fail(node, "a sign must be 1 or -1");
    const Interval term = scaled(in[i], node.input_signs[i] * (std::int64_t{1} << node.input_shifts[i]));
    sum = {sum.lo + term.lo, sum.hi + term.hi};
  }
  return with_interval(in[0].shape, in[0].ring_bits, sum);
}

TensorType concat_type(const Node& node, std::span<const TensorType> in) {
  if (node.input_shifts.size() != in.size()) fail(node, "one shift an input");
  Shape shape{0, in[0].shape.h, in[0].shape.w};
  Interval all = scaled(in[0], 1);
  bool first = true;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i].shape.h != shape.h || in[i].shape.w != shape.w || in[i].ring_bits != in[0].ring_bits)
      fail(node, "inputs of different height, width or ring");
    if (node.input_shifts[i] > kMaxInputShift || node.input_shifts[i] >= in[0].ring_bits)
      fail(node, "input shift " + std::to_string(node.input_shifts[i]) + " must be below the ring and at most 24");
    shape.c += in[i].shape.c;
    const Interval part = scaled(in[i], std::int64_t{1} << node.input_shifts[i]);
    all = first ? part : Interval{std::min(all.lo, part.lo), std::max(all.hi, part.hi)};
    first = false;
  }
  check_shape(node, shape);
  return with_interval(shape, in[0].ring_bits, all);
}

TensorType pool_type(const Node& node, const TensorType& in) {
  const Shape shape = windowed(node, in.shape, in.shape.c);
  try {
    check_pool(in.shape, node.window);
  } catch (const Error& e) {
    fail(node, e.what());
  }
  Interval i = scaled(in, 1);
  if (padded(node.window)) {
    if (node.op == Op::kMaxPool && !in.non_negative())
      fail(node, "padding counts as 0 and is only allowed where the input is proven non-negative");
    i = {std::min<Int128>(i.lo, 0), std::max<Int128>(i.hi, 0)};
  }
  if (node.op == Op::kSumPool) {
    const Int128 n = Int128{node.window.kernel_h} * node.window.kernel_w;
    i = {i.lo * n, i.hi * n};
  }
  return with_interval(shape, in.ring_bits, i);
}

TensorType pad_type(const Node& node, const TensorType& in) {
  for (std::size_t d = 0; d < 3; ++d)
    for (const std::int64_t p : {node.pad_before[d], node.pad_after[d]})
      if (p < 0 || p > kMaxDimension) fail(node, "padding must be in 0..2^20");
  const Shape shape{in.shape.c + node.pad_before[0] + node.pad_after[0],
                    in.shape.h + node.pad_before[1] + node.pad_after[1],
                    in.shape.w + node.pad_before[2] + node.pad_after[2]};
  return {shape, in.ring_bits, std::min<std::int64_t>(in.lo, 0), std::max<std::int64_t>(in.hi, 0)};
}

TensorType slice_type(const Node& node, const TensorType& in) {
  const Shape& out = node.type.shape;
  check_shape(node, out);
  const std::array<std::int64_t, 3> size{in.shape.c, in.shape.h, in.shape.w}, count{out.c, out.h, out.w};
  for (std::size_t d = 0; d < 3; ++d) {
    if (node.step[d] < 1 || node.step[d] > kMaxDimension) fail(node, "step must be in 1..2^20");
    if (node.start[d] < 0 || node.start[d] >= size[d] || (count[d] - 1) * node.step[d] >= size[d] - node.start[d])
      fail(node, "the slice leaves its input");
  }
  return {out, in.ring_bits, in.lo, in.hi};
}

TensorType shift_type(const Node& node, const TensorType& in) {
  if (node.shift < 1 || node.shift >= in.ring_bits)
    fail(node, "shift " + std::to_string(node.shift) + " is not in 1.." + std::to_string(in.ring_bits - 1));
  const unsigned ring = node.op == Op::kTruncate ? in.ring_bits : in.ring_bits - node.shift;
  return {in.shape, ring, in.lo >> node.shift, in.hi >> node.shift};
}

TensorType requantize_type(const Node& node, const TensorType& in) {
  check_ring(node, node.type.ring_bits);
  if (node.shift >= in.ring_bits)
    fail(node, "shift " + std::to_string(node.shift) + " is not below the ring's " + std::to_string(in.ring_bits));
  Interval i{in.lo >> node.shift, in.hi >> node.shift};
  if (node.relu) i = {std::max<Int128>(i.lo, 0), std::max<Int128>(i.hi, 0)};
  return with_interval(in.shape, node.type.ring_bits, i);
}

TensorType input_type(const Node& node, unsigned input_bits) {
  check_ring(node, node.type.ring_bits);
  if (input_bits < 1 || input_bits > kMaxInputBits || input_bits > node.type.ring_bits)
    fail(node, "an image of " + std::to_string(input_bits) + " bits in a ring of " +
                   std::to_string(node.type.ring_bits) + " (at most 16, and it has to fit)");
  return {node.type.shape, node.type.ring_bits, ring_lo(input_bits), ring_hi(input_bits)};
}

TensorType infer(const Node& node, std::span<const TensorType> in, unsigned input_bits) {
  switch (node.op) {
    case Op::kInput:
      return input_type(node, input_bits);
    case Op::kConv:
      return conv_type(node, in[0]);
    case Op::kAdd:
      return add_type(node, in);
    case Op::kAddConstant:
      if (node.constant < ring_lo(in[0].ring_bits) || node.constant > ring_hi(in[0].ring_bits))
        fail(node, "the constant does not fit the ring");
      return with_interval(in[0].shape, in[0].ring_bits,
                           {Int128{in[0].lo} + node.constant, Int128{in[0].hi} + node.constant});
    case Op::kRelu:
      return {in[0].shape, in[0].ring_bits, 0, std::max<std::int64_t>(in[0].hi, 0)};
    case Op::kTruncate:
    case Op::kTruncateReduce:
      return shift_type(node, in[0]);
    case Op::kExtend:
      check_ring(node, node.type.ring_bits);
      if (node.type.ring_bits <= in[0].ring_bits) fail(node, "the new ring must be wider");
      return {in[0].shape, node.type.ring_bits, in[0].lo, in[0].hi};
    case Op::kReduce:
      check_ring(node, node.type.ring_bits);
      if (node.type.ring_bits >= in[0].ring_bits) fail(node, "the new ring must be narrower");
      return with_interval(in[0].shape, node.type.ring_bits, scaled(in[0], 1));
    case Op::kRequantize:
      return requantize_type(node, in[0]);
    case Op::kMaxPool:
    case Op::kSumPool:
      return pool_type(node, in[0]);
    case Op::kConcat:
      return concat_type(node, in);
    case Op::kPad:
      return pad_type(node, in[0]);
    case Op::kSlice:
      return slice_type(node, in[0]);
    case Op::kReshape:
      check_shape(node, node.type.shape);
      if (node.type.shape.size() != in[0].shape.size()) fail(node, "the number of elements must stay");
      return {node.type.shape, in[0].ring_bits, in[0].lo, in[0].hi};
    case Op::kArgMax: {
      const std::int64_t n = in[0].shape.c;
      if (in[0].shape != Shape{n, 1, 1} || n > static_cast<std::int64_t>(kMaxArgmax))
        fail(node, "the logits must be a vector of at most 4096, have " + in[0].shape.to_string());
      return full({1, 1, 1}, index_bits(static_cast<std::size_t>(n)));
    }
  }
  fail(node, "unknown operation");
}

}  // namespace

const char* op_name(Op op) {
  constexpr const char* kNames[] = {
      "Input",   "Conv",    "Add",    "AddConstant", "Relu",  "Truncate", "TruncateReduce", "Extend",    "Reduce",
      "MaxPool", "SumPool", "Concat", "Pad",         "Slice", "Reshape",  "ArgMax",         "Requantize"};
  const auto i = static_cast<std::size_t>(op);
  return i < std::size(kNames) ? kNames[i] : "unknown";
}

std::int64_t ring_lo(unsigned ring_bits) { return -ring_hi(ring_bits) - 1; }
std::int64_t ring_hi(unsigned ring_bits) { return static_cast<std::int64_t>(Ring(ring_bits).mask() >> 1); }

TensorType infer_type(const Node& node, std::span<const TensorType> inputs, unsigned input_bits) {
  const bool many = node.op == Op::kAdd || node.op == Op::kConcat;
  const std::size_t least = node.op == Op::kInput ? 0 : 1;
  if (inputs.size() < least || inputs.size() > (many ? kMaxInputs : least))
    fail(node, std::to_string(inputs.size()) + " inputs");
  for (const TensorType& t : inputs) {
    check_shape(node, t.shape);
    check_ring(node, t.ring_bits);
    if (t.lo > t.hi || t.lo < ring_lo(t.ring_bits) || t.hi > ring_hi(t.ring_bits))
      fail(node, "an input's interval does not fit its ring");
  }
  const TensorType type = infer(node, inputs, input_bits);
  check_shape(node, type.shape);
  return type;
}

}  // namespace eqo
