#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/protocols/compare_options.h"

namespace eqo {

// How the comparison of two numbers of `bits` bits is done: public, from public parameters alone, the same for every
// element. Leaves are numbered from the low end. The tree is a spine that grows upwards from leaf 0: after level i
// the spine covers the low leaves up to and including sibling i's, and sibling i is a balanced subtree of at most
// 2^(i-1) leaves, which is ready by then. So every spine node is the carry out of a low part of the number, and
// combining along the spine takes one AND instead of two; for its depth no other tree is cheaper.
struct CarryPlan {
  struct Leaf {
    unsigned offset = 0, bits = 0;  // bits [offset, offset + bits)
  };
  std::vector<Leaf> leaves;
  std::vector<unsigned> siblings;    // leaves of the subtree that joins the spine at level 1, 2, ...; one a level
  std::vector<unsigned> cut_levels;  // for each cut: the level after which the spine is the carry out of its low bits

  std::size_t levels() const { return siblings.size(); }
};

// A cut s (1 <= s <= bits, increasing) asks for the carry out of the low s bits; leaves do not straddle a cut.
// Between cuts there are as few leaves as leaf_bits allows, their widths differ by at most one, and the wider ones lie
// low. bits >= 1. Throws usage_error for options or cuts out of range.
CarryPlan plan_carry(unsigned bits, std::span<const unsigned> cuts, const CompareOptions& options);

// The ANDs of one level.
struct LevelAnds {
  std::uint64_t singles = 0, pairs = 0;
};
std::vector<LevelAnds> level_ands(const CarryPlan& plan);

}  // namespace eqo
