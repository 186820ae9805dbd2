#pragma once
#include <span>

#include "eqo/peers/peer_context.h"

namespace eqo::peers {

// Sign and ReLU as CrypTFlow2 and SiRNN do them: msb(x) = msb(x_s) ^ msb(x_c) ^ wrap of l - 1 bits, then a multiplexer
// by two COTs.
//   in   x [n] additive shares in `ring`, read as two's complement
// Source: Rathee et al., "CrypTFlow2", CCS 2020, sections 3.1.3 and 4.1; "SiRNN", IEEE S&P 2021 (the multiplexer by
// COT). Security: that of wrap.h and protocols/mux.h. Constant time in x.

// XOR-shared [x < 0] and its negation, DReLU = [x >= 0]. Cost of either: the wrap of l - 1 bits (l = 1: nothing).
Bits less_than_zero(PeerContext& ctx, Ring ring, std::span<const Word> x);
Bits drelu(PeerContext& ctx, Ring ring, std::span<const Word> x);
void drelu_cost(CostMeter& meter, Ring ring, std::uint64_t n);

// max(x, 0). Cost: DReLU and 2 (128 + l) bits; 2 flights more.
Words relu(PeerContext& ctx, Ring ring, std::span<const Word> x);
void relu_cost(CostMeter& meter, Ring ring, std::uint64_t n);

}  // namespace eqo::peers
