#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "eqo/importer/const_tensor.h"

namespace eqo {

// The arguments of ONNX's reshaping operators, worked out on dimensions alone: the same for constants and activations.
using Dims = std::vector<std::int64_t>;

// Reshape: 0 copies the input's dimension (unless allow_zero), one -1 takes what is left.
Dims reshaped(const Dims& from, const Dims& target, bool allow_zero);
// Flatten at `axis`.
Dims flattened(const Dims& from, std::int64_t axis);
// Squeeze: no axes means every dimension of 1.
Dims squeezed(const Dims& from, const std::optional<Dims>& axes);
Dims unsqueezed(const Dims& from, const Dims& axes);
// Transpose: no permutation means reversed. The result's axis i is the input's axis perm[i].
Dims permutation(std::size_t rank, const Dims& perm);

// One axis of a Slice.
struct SliceRange {
  std::int64_t start = 0, step = 1, count = 0;
};
// Slice: one range per axis of `from`, negative and too large indices resolved; count may be 0, step negative.
std::vector<SliceRange> slice_ranges(const Dims& from, const Dims& starts, const Dims& ends, const Dims& axes,
                                     const Dims& steps);

// Multidirectional broadcasting of two shapes. Throws model_error if they don't fit.
Dims broadcast_dims(const Dims& a, const Dims& b);
// The element of a tensor of shape `dims` that broadcasts to element `n` of a tensor of shape `to`.
std::size_t broadcast_index(const Dims& dims, const Dims& to, std::int64_t n);

}  // namespace eqo
