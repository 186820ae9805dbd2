#pragma once
#include <functional>
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/ot/context.h"
#include "eqo/protocols/compare_options.h"

namespace eqo {

// F_MAX of shared numbers in Z_{2^l}, two's complement: b + ReLU(a - b), bit for bit max_plain / max_tree_plain of
// kernels/elementwise.h, wrapped differences included. It is the maximum if every difference fits the ring, which one
// guard bit ensures (|a|, |b| < 2^(l-2)); choosing l so is the caller's.
// Security: that of relu.h, nothing else is sent. Constant time. Throws usage_error for bad lengths, before anything
// is sent.

// Element-wise max(a, b). Cost: a ReLU.
Words maximum(Context& ctx, Ring ring, std::span<const Word> a, std::span<const Word> b, const CompareOptions& options);
void maximum_cost(CostMeter& meter, Ring ring, std::uint64_t n, const CompareOptions& options);

// The maximum of each of n windows of k >= 1 values, x[j * n + i], by the tree of max_tree_plain.
// Cost: (k - 1) n ReLUs in ceil(log2 k) steps, each with the flights of one ReLU.
Words max_tree(Context& ctx, Ring ring, std::span<const Word> x, std::size_t k, std::size_t n,
               const CompareOptions& options);
void max_tree_cost(CostMeter& meter, Ring ring, std::size_t k, std::uint64_t n, const CompareOptions& options);

// The same with another ReLU: relu(differences) gives fresh shares, relu_cost(n) is what one of n numbers costs.
using ReluProtocol = std::function<Words(std::span<const Word>)>;
Words max_tree_by(Context& ctx, Ring ring, std::span<const Word> x, std::size_t k, std::size_t n,
                  const ReluProtocol& relu);
void max_tree_by_cost(std::size_t k, std::uint64_t n, const std::function<void(std::uint64_t)>& relu_cost);

}  // namespace eqo
