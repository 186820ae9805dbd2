#pragma once
#include <cstddef>
#include <cstdint>

#include "eqo/crypto/block.h"

namespace eqo {

// One iteration of the silent OT extension: `trees` single-point COTs of 2^depth leaves each are the regular noise, a
// 10-local code of dimension 2^log_k spreads it. It consumes seeds() COTs and makes outputs().
// The protocol is Yang et al., "Ferret", ACM CCS 2020, with the trees of Guo et al., "Half-Tree", EUROCRYPT 2023. The
// sets are emp-ot 1.0's (github.com/emp-toolkit/emp-ot), stated there as about 128 bit against the published
// attacks on regular LPN. A smaller *or larger* number of trees at the same (log_k, depth) is weaker: never make one
// up.
struct LpnSet {
  std::uint64_t stream;  // of the public code: one for each set
  unsigned trees, log_k, depth;

  constexpr std::uint64_t dimension() const { return std::uint64_t{1} << log_k; }
  constexpr std::uint64_t tree_leaves() const { return std::uint64_t{1} << depth; }
  constexpr std::uint64_t outputs() const { return trees * tree_leaves(); }
  constexpr std::uint64_t seeds() const { return dimension() + std::uint64_t{trees} * depth; }
  // What is left of the outputs when the next iteration's seeds are taken off.
  constexpr std::uint64_t net() const { return outputs() - seeds(); }
  // The first level of a tree costs nothing (see half_tree.h).
  constexpr std::uint64_t message_bytes(std::uint64_t of_trees) const { return of_trees * (depth - 1) * sizeof(Block); }
};

inline constexpr LpnSet kLpnSets[] = {{0, 850, 16, 10}, {1, 1170, 17, 11}, {2, 1520, 18, 12}, {3, 1900, 19, 13}};
inline constexpr unsigned kLpnSetCount = 4;

}  // namespace eqo
