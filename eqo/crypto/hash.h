#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "eqo/crypto/block.h"

namespace eqo {

// The tweakable circular-correlation-robust hash TMMO: H(x, i) = pi(pi(x) ^ i) ^ pi(x), pi = AES-128 under a fixed,
// public key. Source: Guo, Katz, Wang, Yu, "Efficient and Secure Multiparty Computation from Fixed-Key Block
// Ciphers", IEEE S&P 2020, section 7.4. The tweak i is the 128-bit value {lo = index, hi = domain}. A tweak is
// used once for a given key. Constant time; the kernel (portable, AES-NI, VAES) is chosen at run time.

// out[j] = H(in[j], {first + j, domain}). `in` and `out` have equal length and may be the same span.
void hash_blocks(std::span<const Block> in, std::uint64_t domain, std::uint64_t first, std::span<Block> out);

// out[k * blocks + j] = H(keys[k], {j, domain}) for j < blocks: the expansion of each key into a pad of `blocks`
// blocks. pi(key) is computed once a key. out.size() == keys.size() * blocks.
void hash_expand(std::span<const Block> keys, std::uint64_t domain, std::size_t blocks, std::span<Block> out);

// The name of the kernel in use: "vaes512", "vaes256", "aesni", "neon-aes" or "portable".
const char* hash_kernel_name();

}  // namespace eqo
