#include "eqo/ot/softspoken.h"

#include <algorithm>
#include <cstring>

#include "eqo/core/error.h"
#include "eqo/crypto/spread_bits.h"

namespace eqo {
namespace {

static_assert(kTileBlocks % detail::kLeafGrain == 0);

// One thread's working space: the 128 rows of a tile, and one row more.
constexpr std::size_t kRows = 128 * kTileBlocks;

detail::AesKeys expand_keys(const Blocks& leaves) {
  detail::AesKeys keys(leaves.size());
  for (std::size_t i = 0; i < leaves.size(); ++i) detail::kernel().expand_key(leaves[i], keys[i]);
  return keys;
}

std::uint64_t checked_blocks(const Forest& forest, std::size_t cots, std::size_t message) {
  const std::uint64_t blocks = cots / kCotsPerBlock;
  if (cots % kCotsPerBlock != 0 || message != softspoken_message_bytes(forest, blocks))
    throw internal_error("SoftSpoken: buffers of wrong sizes");
  return blocks;
}

// Calls body(scratch, first block, blocks) for each tile of [0, blocks); each thread has a scratch of its own.
template <typename F>
void for_tiles(ThreadPool& threads, std::vector<Blocks>& scratch, std::uint64_t blocks, const F& body) {
  const std::size_t tiles = (blocks + kTileBlocks - 1) / kTileBlocks;
  threads.parallel_for(std::min(scratch.size(), tiles), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t w = begin; w < end; ++w) {
      for (std::size_t tile = w; tile < tiles; tile += scratch.size()) {
        const std::uint64_t first = tile * kTileBlocks;
        body(scratch[w], first, std::min(kTileBlocks, blocks - first));
      }
    }
  });
}

}  // namespace

std::uint64_t softspoken_message_bytes(const Forest& forest, std::uint64_t blocks) {
  return (forest.trees - 1) * blocks * sizeof(Block);
}

SoftSpokenReceiver::SoftSpokenReceiver(const Forest& forest, const Blocks& leaves, ThreadPool& threads)
    : forest_(forest), keys_(expand_keys(leaves)), threads_(threads), scratch_(threads.size()) {
  for (Blocks& s : scratch_) s.resize(kRows + kTileBlocks);
}

void SoftSpokenReceiver::extend(std::span<Block> t, std::span<std::uint8_t> choices, std::span<std::byte> message) {
  const std::uint64_t blocks = checked_blocks(forest_, t.size(), message.size());
  if (choices.size() != t.size()) throw internal_error("SoftSpoken: buffers of wrong sizes");
  for_tiles(threads_, scratch_, blocks, [&](Blocks& scratch, std::uint64_t first, std::uint64_t n) {
    Block* const rows = scratch.data();
    Block* const choice = rows + kRows;
    std::byte* out = message.data() + first * (forest_.trees - 1) * sizeof(Block);
    const detail::AesKey* keys = keys_.data();
    Block sum[kTileBlocks];
    for (std::size_t tree = 0; tree < forest_.trees; ++tree) {
      Block* const to = tree == 0 ? choice : sum;
      detail::kernel().leaf_sums(keys, forest_.depth(tree), true, counter_ + first, n, to,
                                 rows + tree * forest_.k * kTileBlocks, kTileBlocks);
      keys += forest_.leaves(tree);
      if (tree == 0) continue;
      for (std::size_t i = 0; i < n; ++i) sum[i] ^= choice[i];
      std::memcpy(out, sum, n * sizeof(Block));
      out += n * sizeof(Block);
    }
    detail::kernel().transpose(rows, kTileBlocks, n, t.data() + first * kCotsPerBlock);
    detail::spread_bits(std::span<const Block>(choice, n), choices.data() + first * kCotsPerBlock);
  });
  counter_ += blocks;
}

SoftSpokenSender::SoftSpokenSender(const Forest& forest, const Blocks& leaves, Block delta, ThreadPool& threads)
    : forest_(forest), keys_(expand_keys(leaves)), delta_(delta), threads_(threads), scratch_(threads.size()) {
  for (Blocks& s : scratch_) s.resize(kRows + kTileBlocks);
}

void SoftSpokenSender::extend(std::span<Block> q, std::span<const std::byte> message) {
  const std::uint64_t blocks = checked_blocks(forest_, q.size(), message.size());
  for_tiles(threads_, scratch_, blocks, [&](Blocks& scratch, std::uint64_t first, std::uint64_t n) {
    Block* const rows = scratch.data();
    Block* const correction = rows + kRows;
    const std::byte* in = message.data() + first * (forest_.trees - 1) * sizeof(Block);
    const detail::AesKey* keys = keys_.data();
    for (std::size_t tree = 0; tree < forest_.trees; ++tree) {
      const unsigned depth = forest_.depth(tree);
      Block* const row = rows + tree * forest_.k * kTileBlocks;
      detail::kernel().leaf_sums(keys, depth, false, counter_ + first, n, correction, row, kTileBlocks);
      keys += forest_.leaves(tree);
      if (tree == 0) continue;
      std::memcpy(static_cast<void*>(correction), in, n * sizeof(Block));
      in += n * sizeof(Block);
      for (unsigned b = 0; b < depth; ++b) {
        const std::size_t bit = tree * forest_.k + b;
        const std::uint64_t d = (bit < 64 ? delta_.lo : delta_.hi) >> (bit % 64);
        for (std::size_t i = 0; i < n; ++i) row[b * kTileBlocks + i] ^= masked(d, correction[i]);
      }
    }
    detail::kernel().transpose(rows, kTileBlocks, n, q.data() + first * kCotsPerBlock);
  });
  counter_ += blocks;
}

}  // namespace eqo
