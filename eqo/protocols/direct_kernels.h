#pragma once
#include <cstdint>
#include <span>

#include "eqo/core/secret.h"
#include "eqo/protocols/convolution.h"

namespace eqo {

// A convolution with its weights as plain kernels, whatever domain they are stored in, for products that multiply by
// whole weights.
//
// Winograd taps are quantized one by one, so they are in general no transformed 3x3 kernel. With A^T and B^T of
// kernels/winograd_tiles.h, output (a, b) of a tile is a linear function of the tile's 4x4 inputs:
//   E[a,b][i][j] = sum over taps (p, q) of A^T[a][p] A^T[b][q] B^T[p][i] B^T[q][j] U[p,q],
// a 4x4 kernel of stride 2. The four outputs of a tile become channels, (2a + b) * out_channels + k.
struct DirectKernels {
  ConvShape shape;               // kDirect
  std::uint64_t max_weight = 1;  // no kernel element is greater in magnitude, mod 2^l; at least 1
};
DirectKernels direct_kernels(const ConvSpec& spec);

// The elements themselves, [shape.out_channels][shape.in.c / groups][kernel_h][kernel_w], signed representatives mod
// 2^l. Throws internal_error if the codes do not fit or max_weight does not fit 31 bits.
WipedVector<std::int32_t> direct_weights(const ConvSpec& spec, std::span<const std::uint16_t> codes);

// [batch][shape.out()] of the direct kernels -> [batch][spec.shape.out()].
Words direct_outputs(const ConvSpec& spec, std::uint64_t batch, Words y);

}  // namespace eqo
