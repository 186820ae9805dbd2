#pragma once
#include <cstdint>

#include "eqo/core/secret.h"

namespace eqo {

// 128 bits: an AES block, an OT key, Delta.
struct alignas(16) Block {
  std::uint64_t lo = 0, hi = 0;
  friend constexpr Block operator^(Block a, Block b) { return {a.lo ^ b.lo, a.hi ^ b.hi}; }
  friend constexpr Block operator&(Block a, Block b) { return {a.lo & b.lo, a.hi & b.hi}; }
  constexpr Block& operator^=(Block b) { return *this = *this ^ b; }
  friend constexpr bool operator==(const Block&, const Block&) = default;  // for tests and public values only
};

// bit ? b : 0, without a branch.
constexpr Block masked(std::uint64_t bit, Block b) {
  const std::uint64_t m = std::uint64_t{0} - (bit & 1);
  return {b.lo & m, b.hi & m};
}

using Blocks = WipedVector<Block>;

}  // namespace eqo
