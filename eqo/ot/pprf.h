#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/ot/base_ot.h"

namespace eqo {

// 128 bits of Delta, cut into ceil(128 / k) trees: tree i covers bits [i * k, min(128, (i + 1) * k)).
struct Forest {
  explicit Forest(unsigned k);  // throws usage_error unless 1 <= k <= 8
  unsigned k;
  std::size_t trees;
  unsigned depth(std::size_t tree) const;
  std::size_t leaves(std::size_t tree) const { return std::size_t{1} << depth(tree); }
  std::uint64_t message_bytes() const;
};

// Puncturable PRFs, the GGM tree: the sender knows all leaves of each tree, the receiver all but one, at a place of its
// choice, and the sender does not learn which. From one base OT for each level: their keys are the first level's nodes,
// and mask the two sums (of all left and of all right children) of the others.
// Source: Boyle et al., CCS 2019 ("Efficient Two-Round OT Extension ..."), section 4 (PPRF from OT); as used by Roy,
// "SoftSpokenOT", CRYPTO 2022. Semi-honest.
// `leaves` holds the trees one after another. The receiver's place x of tree i is bits [i * k, ...) of `delta`, and its
// leaves are permuted: its leaf y is the sender's leaf y ^ x, so the missing one is always y = 0 (zero there). No step
// depends on delta. Base OT number j has choice 1 ^ (bit of delta at pprf_bit(j)).
void pprf_expand(const Forest& forest, std::span<const std::array<Block, 2>> base, Blocks& leaves,
                 std::span<Block> message);
void pprf_reconstruct(const Forest& forest, std::span<const Block> base, std::span<const std::uint8_t> choices,
                      std::span<const Block> message, Blocks& leaves, Block& delta);

}  // namespace eqo
