#pragma once
#include <cstddef>
#include <span>

#include "eqo/core/secret.h"
#include "eqo/core/thread_pool.h"
#include "eqo/model/graph.h"

namespace eqo {

// The steps that both parties compute on their own shares without a message, and the twin on values: linear over the
// integers, so linear mod 2^l. One definition for both:
//   kAdd  kAddConstant  kReduce  kSumPool  kConcat  kPad  kSlice  kReshape
bool is_local(Op op);

// Applies a local step to `batch` images, each tensor one image behind the other, elements reduced in the ring of
// their type. `types` and `inputs` are the node's inputs in order. kAddConstant adds its constant only if
// `add_constants`: the twin and the server do, the client does not. Constant time in the values.
// Throws internal_error if the step is not local or a length is not batch * shape.size().
Words apply_local(const Node& node, std::span<const TensorType> types, std::span<const std::span<const Word>> inputs,
                  std::size_t batch, bool add_constants, ThreadPool& threads);

// The same step computed in another ring than the node's. In Ring(64) on two's complement values it is the step over
// the integers wherever the results fit: what the twin compares with the ring's reading to count overflows.
Words apply_local_in(Ring ring, const Node& node, std::span<const TensorType> types,
                     std::span<const std::span<const Word>> inputs, std::size_t batch, bool add_constants,
                     ThreadPool& threads);

}  // namespace eqo
