#pragma once
#include <cstdint>
#include <span>

#include "eqo/model/graph.h"

namespace eqo {

// Limits of every plan, so that sizes never overflow and a hostile plan costs a bounded amount of memory.
inline constexpr std::int64_t kMaxDimension = std::int64_t{1} << 20;
inline constexpr std::int64_t kMaxElements = std::int64_t{1} << 31;  // of all tensors of one image together
inline constexpr std::size_t kMaxNodes = 1 << 14;
inline constexpr std::size_t kMaxInputs = 64;       // of one node
inline constexpr unsigned kMaxInputShift = 24;      // kAdd, kConcat
inline constexpr unsigned kMaxInputBits = 16;       // of the quantized image
inline constexpr unsigned kMaxMethodLevels = 8;     // Method::levels
inline constexpr std::size_t kMaxNameBytes = 1024;  // names and classes
inline constexpr std::size_t kMaxTextBytes = 8192;  // PublicPlan::leakage
inline constexpr std::size_t kMaxClassNames = 65536;
// sum |w| over one output of a convolution, for the largest code: below 2^62, so that sums of 64-bit values are exact
// in 128 bits.
inline constexpr unsigned kMaxWeightSumBits = 62;

// The type that the node's output must have, given its inputs' types; throws model_error that names the node if the
// step does not fit them. Read from node.type, because nothing else says it: kInput shape and ring; kConv type.shape.c
// (filters); kExtend, kReduce and kRequantize the ring; kReshape and kSlice the shape. The interval is only as narrow
// as it is proven to be whatever the weights and the image are; where a value may wrap it is the full range:
//   kInput  [-2^(b-1), 2^(b-1) - 1], b = input_bits          kRelu  [0, max(0, hi)]
//   kConv   full (weights and bias are secret)               kTruncate, kTruncateReduce  [lo >> s, hi >> s]
//   kRequantize  both of the above if it fits the ring
//   kExtend, kMaxPool, kReshape, kSlice  the input's; kReduce the same if it fits; with padding, pools and kPad include
//   0 kAdd, kAddConstant, kSumPool, kConcat  interval arithmetic if the result fits kArgMax  the label as an unsigned
//   number of index_bits(n) bits: full
TensorType infer_type(const Node& node, std::span<const TensorType> inputs, unsigned input_bits = 8);

// The interval of all signed values of a ring.
std::int64_t ring_lo(unsigned ring_bits);
std::int64_t ring_hi(unsigned ring_bits);

// Checks every invariant of a plan, whoever wrote it; throws model_error that names the node. Everything behind it may
// rely on: topological order, node 0 the only input, unique clean names, every step used by a later one or the output,
// stored types equal to infer_type, unused fields at their defaults, and the limits above. kArgMax is the last node and
// the output; its differences wrap like the twin's and are counted, not proven.
void validate(const PublicPlan& plan);

// validate(plan), and the secrets: one entry a node, exact sizes, codes below 2^bits, |bias| < 2^62, scales positive
// (0 is allowed where nothing is to be reported: kArgMax).
void validate(const Model& model);

// Number of weights of a convolution and the length of its bias, from public sizes. `input` is its input's shape.
std::uint64_t weight_count(const Node& node, const Shape& input);

// An upper bound of sum |w| of one output element over all weights that the node's codes can express.
// Throws model_error if it reaches 2^kMaxWeightSumBits.
std::uint64_t weight_sum_bound(const Node& node, const Shape& input);

}  // namespace eqo
