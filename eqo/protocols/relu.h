#pragma once
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/ot/context.h"
#include "eqo/protocols/compare_options.h"

namespace eqo {

// Sign and ReLU of shared numbers x in Z_{2^l}, read as two's complement.
//   in   x [n] additive shares in `ring`
// With the shares read as unsigned, msb(x) = msb(x_s) ^ msb(x_c) ^ carry_{l-1}(x_s, x_c).
// Security: that of carry.h and mux.h, nothing else is sent. Constant time in x.
// Source: Rathee et al., "CrypTFlow2", CCS 2020, section 4.1.

// XOR-shared [x < 0] and its negation, DReLU = [x >= 0]. Cost: carry of l - 1 bits (l = 1: nothing).
Bits less_than_zero(Context& ctx, Ring ring, std::span<const Word> x, const CompareOptions& options);
void less_than_zero_cost(CostMeter& meter, Ring ring, std::uint64_t n, const CompareOptions& options);
Bits drelu(Context& ctx, Ring ring, std::span<const Word> x, const CompareOptions& options);
void drelu_cost(CostMeter& meter, Ring ring, std::uint64_t n, const CompareOptions& options);

// max(x, 0), fresh additive shares. Cost: DReLU and one mux, 2 flights more than the carry.
Words relu(Context& ctx, Ring ring, std::span<const Word> x, const CompareOptions& options);
void relu_cost(CostMeter& meter, Ring ring, std::uint64_t n, const CompareOptions& options);

// min(max(x, 0), hi) for a public 0 <= hi < 2^(l-1) (ReLU6 is this), exact for every x: hi - ReLU(hi - ReLU(x)).
// Cost: two ReLUs. Throws usage_error if hi is out of range.
Words clip(Context& ctx, Ring ring, std::span<const Word> x, Word hi, const CompareOptions& options);
void clip_cost(CostMeter& meter, Ring ring, std::uint64_t n, const CompareOptions& options);

}  // namespace eqo
