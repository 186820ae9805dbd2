#pragma once
#include <span>

#include "eqo/peers/half_gates.h"
#include "eqo/protocols/requantize.h"

namespace eqo::peers {

// The non-linear steps of COINN as garbled circuits: one circuit an element adds the two shares, does the step and adds
// a number of the server's, whose negative is its share of the result.
//   in   y [n] additive shares in spec.from      out  additive shares in spec.to of what requantize.h defines
// Every combination of ReLU, exact shift and change of ring is one circuit. The server garbles; the client's share is
// its input by COTs, the server's and the new mask are numbers that the garbler knows (half_gates.h), the client learns
// the masked result from the output labels' colors.
// Source: Hussain, Javaheripi, Samragh, Koushanfar, "COINN", CCS 2021: garbled circuits with change of scale between
// products; the circuits, gate by gate, are this project's, and exact.
// Security: semi-honest; the client sees garbled tables, the labels of its own input, and a result masked by a number
// that it does not know; the server sees choice bits under pads. Constant time in y.
// Cost in bits, l and l' the rings, m = l - shift, t = min(m - 1, l') with ReLU and min(m, l') without:
//   l COTs and as many choice bits; 128 + 256 (l - 2) for the sum of the shares; 256 t for the ReLU;
//   128 + 256 (min(t, l' - 1) - 1) + 128 (l' - 1 - t), if positive, for the new mask (without ReLU 128 + 256 (l' - 2));
//   l' colors. 2 flights. What needs no comparison (no ReLU, no shift, l' <= l) is local and free.
Words garbled_requantize(Context& ctx, Garbling& garbling, const RequantizeSpec& spec, std::span<const Word> y);
void garbled_requantize_cost(CostMeter& meter, const RequantizeSpec& spec, std::uint64_t n);

// XOR-shared [x < 0]: the sum's top bit, the labels' colors being its shares. l COTs and choice bits, 128 + 256 (l - 2)
// bits, 2 flights; l = 1: local.
Bits garbled_sign(Context& ctx, Garbling& garbling, Ring ring, std::span<const Word> x);
void garbled_sign_cost(CostMeter& meter, Ring ring, std::uint64_t n);

// The labels and tables that are in memory at once, from above, a thread.
std::uint64_t garbled_memory(const RequantizeSpec& spec);

}  // namespace eqo::peers
