#include "eqo/model/local_ops.h"

#include <string>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/kernels/layout.h"
#include "eqo/kernels/pooling.h"

namespace eqo {
namespace {

Words add(Ring ring, const Node& node, std::span<const std::span<const Word>> in) {
  Words out(in[0].size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    const Word factor = (node.input_signs[i] < 0 ? ~Word{0} : Word{1}) << node.input_shifts[i];
    for (std::size_t j = 0; j < out.size(); ++j) out[j] += in[i][j] * factor;
  }
  for (Word& x : out) x = ring.reduce(x);
  return out;
}

Words add_constant(Ring ring, std::span<const Word> in, std::int64_t constant) {
  const Word c = ring.from_signed(constant);
  Words out(in.begin(), in.end());
  for (Word& x : out) x = ring.add(x, c);
  return out;
}

Words copy(Ring ring, std::span<const Word> in) {
  Words out(in.begin(), in.end());
  for (Word& x : out) x = ring.reduce(x);
  return out;
}

Words shifted_concat(Ring ring, const Node& node, std::span<const TensorType> types,
                     std::span<const std::span<const Word>> in, std::size_t batch) {
  std::vector<Shape> shapes;
  for (const TensorType& t : types) shapes.push_back(t.shape);
  Words out = concat(shapes, batch, in);
  // The part of each input in each image.
  std::size_t at = 0;
  for (std::size_t n = 0; n < batch; ++n) {
    for (std::size_t i = 0; i < in.size(); ++i) {
      const std::size_t end = at + static_cast<std::size_t>(shapes[i].size());
      for (; at < end; ++at) out[at] = ring.reduce(out[at] << node.input_shifts[i]);
    }
  }
  return out;
}

Words pad_zeros(const Node& node, const TensorType& type, std::span<const Word> in, std::size_t batch) {
  Margins margins;
  for (std::size_t d = 0; d < margins.size(); ++d) margins[d] = {node.pad_before[d], node.pad_after[d]};
  return pad(type.shape, margins, batch, in, 0);
}

Words slice_of(const Node& node, const TensorType& type, std::span<const Word> in, std::size_t batch) {
  const Shape& out = node.type.shape;
  const std::array<std::int64_t, 3> count{out.c, out.h, out.w};
  Slices slices;
  for (std::size_t d = 0; d < slices.size(); ++d) slices[d] = {node.start[d], node.step[d], count[d]};
  return slice(type.shape, slices, batch, in);
}

}  // namespace

bool is_local(Op op) {
  switch (op) {
    case Op::kAdd:
    case Op::kAddConstant:
    case Op::kReduce:
    case Op::kSumPool:
    case Op::kConcat:
    case Op::kPad:
    case Op::kSlice:
    case Op::kReshape:
      return true;
    default:
      return false;
  }
}

Words apply_local_in(Ring ring, const Node& node, std::span<const TensorType> types,
                     std::span<const std::span<const Word>> inputs, std::size_t batch, bool add_constants,
                     ThreadPool& threads) {
  bool fits = inputs.size() == types.size() && !inputs.empty();
  for (std::size_t i = 0; fits && i < inputs.size(); ++i)
    fits = inputs[i].size() == batch * static_cast<std::size_t>(types[i].shape.size());
  if (!fits) throw internal_error("step '" + node.name + "': a tensor does not fit its type");
  switch (node.op) {
    case Op::kAdd:
      return add(ring, node, inputs);
    case Op::kAddConstant:
      return add_constant(ring, inputs[0], add_constants ? node.constant : 0);
    case Op::kReduce:
    case Op::kReshape:
      return copy(ring, inputs[0]);
    case Op::kSumPool:
      return sum_pool(types[0].shape, node.window, batch, ring, inputs[0], threads);
    case Op::kConcat:
      return shifted_concat(ring, node, types, inputs, batch);
    case Op::kPad:
      return pad_zeros(node, types[0], inputs[0], batch);
    case Op::kSlice:
      return slice_of(node, types[0], inputs[0], batch);
    default:
      throw internal_error(std::string("step ") + op_name(node.op) + " is not local");
  }
}

Words apply_local(const Node& node, std::span<const TensorType> types, std::span<const std::span<const Word>> inputs,
                  std::size_t batch, bool add_constants, ThreadPool& threads) {
  return apply_local_in(node.type.ring(), node, types, inputs, batch, add_constants, threads);
}

}  // namespace eqo
