#include "eqo/ot/pprf.h"

#include <algorithm>
#include <string>

#include "eqo/core/error.h"
#include "eqo/crypto/hash.h"

namespace eqo {
namespace {

// Domains of the hash: below 2^32 there are the trees' nodes, by level, and the masks of their sums.
constexpr std::uint64_t kNodeDomain = 0x1000;
constexpr std::uint64_t kSumDomain = 0x2000;

// children[2 * y], children[2 * y + 1] of each parent.
void double_level(std::span<const Block> parents, unsigned level, std::span<Block> children) {
  hash_expand(parents, kNodeDomain + level, 2, children);
}

Block mask_of(const Block& key, std::uint64_t base_index) {
  Block out;
  hash_blocks(std::span(&key, 1), kSumDomain, base_index, std::span(&out, 1));
  return out;
}

}  // namespace

Forest::Forest(unsigned bits) : k(bits), trees(0) {
  if (k < 1 || k > 8)
    throw usage_error("SoftSpoken's k must be in 1..8, got " + std::to_string(bits), "take 4 if in doubt");
  trees = (128 + k - 1) / k;
}

unsigned Forest::depth(std::size_t tree) const {
  return static_cast<unsigned>(std::min<std::size_t>(k, 128 - tree * k));
}

std::uint64_t Forest::message_bytes() const { return (128 - trees) * 2 * sizeof(Block); }

void pprf_expand(const Forest& forest, std::span<const std::array<Block, 2>> base, Blocks& leaves,
                 std::span<Block> message) {
  Blocks level, next;
  std::size_t j = 0, at = 0;
  leaves.clear();
  for (std::size_t tree = 0; tree < forest.trees; ++tree) {
    level.assign(base[j].begin(), base[j].end());
    ++j;
    for (unsigned l = 1; l < forest.depth(tree); ++l, ++j) {
      next.resize(2 * level.size());
      double_level(level, l, next);
      for (std::size_t c = 0; c < 2; ++c) {
        Block sum;
        for (std::size_t y = c; y < next.size(); y += 2) sum ^= next[y];
        message[at++] = sum ^ mask_of(base[j][c], j);
      }
      std::swap(level, next);
    }
    leaves.insert(leaves.end(), level.begin(), level.end());
  }
}

void pprf_reconstruct(const Forest& forest, std::span<const Block> base, std::span<const std::uint8_t> choices,
                      std::span<const Block> message, Blocks& leaves, Block& delta) {
  Blocks level, next;
  std::size_t j = 0, at = 0;
  leaves.clear();
  delta = Block{};
  for (std::size_t tree = 0; tree < forest.trees; ++tree) {
    const unsigned depth = forest.depth(tree);
    level.clear();
    for (unsigned l = 0; l < depth; ++l, ++j) {
      // The place's bit on this level, the upper levels being the upper bits; the sibling is on the other side.
      const std::uint64_t place = 1U ^ (choices[j] & 1U);
      const std::size_t bit = tree * forest.k + (depth - 1 - l);
      (bit < 64 ? delta.lo : delta.hi) |= place << (bit % 64);
      if (l == 0) {
        level = {Block{}, base[j]};
        continue;
      }
      next.resize(2 * level.size());
      double_level(level, l, next);
      next[0] = next[1] = Block{};
      for (std::size_t y = 2; y < next.size(); y += 2) {
        const Block swap = masked(place, next[y] ^ next[y + 1]);
        next[y] ^= swap;
        next[y + 1] ^= swap;
      }
      Block sum = message[at] ^ masked(choices[j], message[at] ^ message[at + 1]) ^ mask_of(base[j], j);
      at += 2;
      for (std::size_t y = 3; y < next.size(); y += 2) sum ^= next[y];
      next[1] = sum;
      std::swap(level, next);
    }
    leaves.insert(leaves.end(), level.begin(), level.end());
  }
}

}  // namespace eqo
