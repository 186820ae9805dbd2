#pragma once
#include <cstdint>
#include <span>

#include "eqo/crypto/block.h"

namespace eqo {

// Single-point correlated OTs, two trees at a time: the sender gets 2^depth blocks v, the receiver w = v ^ u * Delta
// with u = 1 at one uniform place and 0 elsewhere. Element y of tree j is number 2 * y + j of its span (2 * 2^depth
// long). Source: Guo, Yang, Wang, Zhang, Xie, Liu, Zhao, "Half-Tree: Halving the Cost of Tree Expansion in COT and
// DPF", EUROCRYPT 2023, the correlated GGM tree: sibling nodes sum to their parent, each level sums to Delta.
// Semi-honest. Deviations: a base COT's random choice *is* the complement of the place's bit, so the receiver sends
// nothing; the first base COT of a tree is its root (left node q, right node q ^ Delta), so the first level needs no
// message; the bits of the place come lowest first, which orders the leaves otherwise, and places are uniform. Per
// tree: `depth` base COTs, (depth - 1) * 16 bytes, sender to receiver. The receiver sees of each level the sum of the
// one side it may know: pseudo-random under the circular correlation robustness of H(x) = pi(s(x)) ^ s(x) (ibid.).
// Constant time in the places. base: level l (0 <= l < depth) of tree j is number 2 * l + j; message:
// level l >= 1 is number 2 * (l - 1) + j.

void half_tree_send(unsigned depth, Block delta, std::span<const Block> base, std::span<Block> out,
                    std::span<Block> message);

// unit: u, one bit a byte, as long as `out`. The message may hold anything.
void half_tree_receive(unsigned depth, std::span<const Block> base, std::span<const std::uint8_t> base_choices,
                       std::span<const Block> message, std::span<Block> out, std::span<std::uint8_t> unit);

}  // namespace eqo
