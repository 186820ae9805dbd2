#pragma once
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"
#include "eqo/ot/context.h"

namespace eqo {

// F_MUX: y = b * x, for an XOR-shared bit b and a shared number x.
//   in   bits [n], each 0 or 1; x [n] additive shares in `ring`      out  y [n], fresh
// With b = b_s ^ b_c: b x_s = b_s x_s + b_c (1 - 2 b_s) x_s, the second term by a COT in which the client's bit is the
// choice; the same the other way for x_c.
// Source: Rathee et al., "CrypTFlow2", CCS 2020, section 3.1.3 (multiplexer), here by two correlated OTs.
// Security: semi-honest; each party sees masked choice bits and values masked by pads it does not know. Constant time.
// Cost: 2 (1 + l) bits; 2 flights (both parties send at once); one COT each way.
// Throws usage_error if the lengths differ, before anything is sent.
Words mux(Context& ctx, Ring ring, std::span<const std::uint8_t> bits, std::span<const Word> x);
void mux_cost(CostMeter& meter, Ring ring, std::uint64_t n);

}  // namespace eqo
