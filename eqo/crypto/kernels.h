#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "eqo/core/secret.h"
#include "eqo/crypto/block.h"

// The vector code behind prg.h, hash.h and the OT extension, one table of functions per instruction set. Internal to
// the crypto and ot layers, and to their tests, which compare every table that the CPU can run.
namespace eqo::detail {

// An expanded AES-128 key; round[0] is the key itself.
struct AesKey {
  std::array<Block, 11> round{};
};
using AesKeys = WipedVector<AesKey>;

// The hash's fixed, public key: the first 128 bits of the fractional part of pi, in byte order 24 3f 6a 88 85 ...
inline constexpr Block kFixedKey{0xd308a385886a3f24, 0x447370032e8a1913};

// The silent OT's fixed, public keys: the next bits of pi, a4 09 38 22 ... and 45 28 21 e6 ...
inline constexpr Block kTreeKey{0xd0319f29223809a4, 0x896c4eec98fa2e08};
inline constexpr Block kCodeKey{0x7713d038e6212845, 0x6c0ce934cf6654be};

// Rows first, first + 1, ... of a public pseudo-random matrix with 2^log_k columns and kCodeLocality entries a row (two
// that meet cancel): the words w of AES_kCodeKey({2 * row, stream}), AES_kCodeKey({2 * row + 1, stream}), lower halves
// first, give the columns: column j is the low log_k bits of w[j / 3] >> (kCodeIndexBits * (j % 3)).
inline constexpr unsigned kCodeLocality = 10, kCodeIndexBits = 21;
inline constexpr std::size_t kCodeEntryBytes = sizeof(Block) + 1;
struct CodeRows {
  std::uint64_t stream = 0, first = 0;
  unsigned log_k = 0;  // <= kCodeIndexBits
};

inline constexpr unsigned kMaxLeafDepth = 8;
inline constexpr std::size_t kLeafGrain = 16;

// All functions are constant time in the contents of the blocks and thread-safe.
struct Kernel {
  const char* name;
  void (*expand_key)(Block key, AesKey& out);
  // out[i] = AES_key({first.lo + i, first.hi}) for i < n
  void (*ctr)(const AesKey& key, Block first, std::size_t n, Block* out);
  // See hash_blocks() and hash_expand() in hash.h.
  void (*hash)(const Block* in, std::size_t n, std::uint64_t domain, std::uint64_t first, Block* out);
  void (*expand)(const Block* keys, std::size_t n, std::uint64_t domain, std::size_t blocks, Block* out);
  // Let S_x = AES_keys[x]({counter, 0} ...), n blocks, for x < 2^depth, and S_0 = 0 if !with_first.
  // all = xor of S_x over all x; rows[b * stride ...] = xor of S_x over the x whose bit b is set, b < depth <=
  // kMaxLeafDepth. All buffers must have room for n rounded up to a multiple of kLeafGrain; what is there is undefined.
  void (*leaf_sums)(const AesKey* keys, unsigned depth, bool with_first, std::uint64_t counter, std::size_t n,
                    Block* all, Block* rows, std::size_t stride);
  // A 128 x (128 * columns) bit matrix, row r at rows[r * stride ...], `columns` blocks long, to its transpose:
  // bit r of out[c] = bit c of row r.
  void (*transpose)(const Block* rows, std::size_t stride, std::size_t columns, Block* out);
  // One level of two correlated GGM trees, node y of tree j at nodes[2 * y + j], n nodes of both, n a multiple of 4.
  // With h = pi(s(x)) ^ s(x), pi = AES under kTreeKey, s(x) = {x.hi, x.lo ^ x.hi}: a node x at i becomes its left child
  // h at i and its right child x ^ h at n + i. sums[j] = xor of tree j's left children.
  void (*half_tree_level)(Block* nodes, std::size_t n, Block* sums);
  // nodes[2 * at[j] + j] ^= patch[j] for j < 2, n nodes in all. Constant time in `at`.
  void (*patch_nodes)(Block* nodes, std::size_t n, const std::uint64_t* at, const Block* patch);
  // inout[i] ^= row first + i of the matrix times the table.
  void (*encode)(const CodeRows& rows, const Block* table, std::size_t n, Block* inout);
  // The same where each element of the table has a bit, 0 or 1, in a byte behind it: bits[i] likewise. Side by side,
  // both come from one line of the cache; entries are kCodeEntryBytes long, without padding.
  void (*encode_with_bits)(const CodeRows& rows, const std::uint8_t* table, std::size_t n, Block* inout,
                           std::uint8_t* bits);
};

// The fastest table this CPU can run.
const Kernel& kernel();
// All that it can run, the fastest first; the portable one is the last.
std::vector<const Kernel*> kernels();

// The tables; null where this build or this processor does not have the instructions.
const Kernel* vaes512_kernel();
const Kernel* vaes256_kernel();
const Kernel* aesni_kernel();
const Kernel& portable_kernel();

}  // namespace eqo::detail
