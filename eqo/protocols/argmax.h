#pragma once
#include <functional>
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/kernels/elementwise.h"
#include "eqo/ot/context.h"
#include "eqo/protocols/compare_options.h"

namespace eqo {

// F_ARGMAX: the position of the greatest of k shared numbers in Z_{2^l}, two's complement, for n vectors at once; bit
// for bit argmax_plain of kernels/elementwise.h: fixed tree, ties to the lowest position. Differences must fit the
// ring for the result to be the maximum's (one guard bit; the caller's).
//   in   x [k * n] additive shares in `ring`, value j of vector i at j * n + i; 1 <= k <= 4096
//   out  [n] additive shares of the position in the ring of index_bits(k) bits, fresh
// Nothing is revealed; the caller opens the position to whom it may. Security: that of relu.h and mux.h, nothing else
// is sent. Constant time. Throws usage_error for bad lengths, before anything is sent. Cost: (k - 1) n comparisons and
// as many muxes of value and position, in ceil(log2 k) steps, each with the flights of one comparison and one mux; the
// last step needs no value.
Words argmax(Context& ctx, Ring ring, std::span<const Word> x, std::size_t k, std::size_t n,
             const CompareOptions& options);
void argmax_cost(CostMeter& meter, Ring ring, std::size_t k, std::uint64_t n, const CompareOptions& options);

// The same with another comparison: sign(differences) gives XOR-shared [d < 0], sign_cost(n) is what n of them cost.
using SignProtocol = std::function<Bits(std::span<const Word>)>;
Words argmax_by(Context& ctx, Ring ring, std::span<const Word> x, std::size_t k, std::size_t n,
                const SignProtocol& sign);
void argmax_by_cost(CostMeter& meter, Ring ring, std::size_t k, std::uint64_t n,
                    const std::function<void(std::uint64_t)>& sign_cost);

}  // namespace eqo
