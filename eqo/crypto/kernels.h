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
