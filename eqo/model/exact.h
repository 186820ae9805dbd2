#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/core/secret.h"
#include "eqo/core/thread_pool.h"
#include "eqo/core/wide.h"
#include "eqo/kernels/convolution.h"
#include "eqo/model/graph.h"

namespace eqo {

// Arithmetic over the integers, for the twin: where 64 bits are proven to suffice the kernels compute it, here is what
// tells whether they do and the slow exact form for the rest (rings near 64 bits).

// A convolution's weights as signed numbers in ConvWeights order; every |value| < 2^62.
WipedVector<std::int64_t> weight_values(const ConvShape& shape, const ConvWeights& weights);

// max over the filters of sum |w|, the largest output for inputs of magnitude 1, tap exponents included. For Winograd
// the sums are those of the effective kernels over a 4x4 tile, one for each of the four outputs.
std::uint64_t largest_weight_sum(const ConvShape& shape, std::span<const std::int64_t> values);

// W * x without bias for one image x[in] (two's complement) -> [out]. The plan's limits (types.h) keep it below 2^126.
std::vector<Int128> conv_exact(const ConvShape& shape, std::span<const std::int64_t> values, std::span<const Word> x);

// A local step (local_ops.h) on two's complement values of any size.
std::vector<Int128> local_exact(const Node& node, std::span<const TensorType> types,
                                std::span<const std::span<const Word>> inputs, std::size_t batch, ThreadPool& threads);

}  // namespace eqo
