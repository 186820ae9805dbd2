#include "eqo/crypto/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

// Everything below is compiled for these instructions and called only where the CPU has them.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("aes,vaes,avx2"))), apply_to = function)
#else
#pragma GCC target("aes,vaes,avx2")
#endif

namespace eqo::detail {
namespace {

constexpr std::size_t kLaneBytes = 32;

struct Vec {
  using Type = __m256i;
  static constexpr std::size_t kBlocks = 2;
  static Type load(const Block* p) { return _mm256_loadu_si256(reinterpret_cast<const Type*>(p)); }
  static void store(Block* p, Type x) { _mm256_storeu_si256(reinterpret_cast<Type*>(p), x); }
  // The first n < kBlocks blocks.
  static void store_some(Block* p, Type x, std::size_t n) {
    if (n == 1) _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(x));
  }
  static Type broadcast(const Block* p) {
    return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Type fill(std::uint64_t x) { return _mm256_set1_epi64x(static_cast<long long>(x)); }
  // The lanes b, b + 1 (in the lower half).
  static Type lanes(Block b) {
    const auto lo = static_cast<long long>(b.lo), hi = static_cast<long long>(b.hi);
    return _mm256_set_epi64x(hi, lo + 1, hi, lo);
  }
  static Type count(Type x, std::size_t n) {
    const auto add = static_cast<long long>(n);
    return _mm256_add_epi64(x, _mm256_set_epi64x(0, add, 0, add));
  }
  static Type exor(Type a, Type b) { return _mm256_xor_si256(a, b); }
  static Type conj(Type a, Type b) { return _mm256_and_si256(a, b); }
  static Type swap(Type x) { return _mm256_shuffle_epi32(x, 0x4e); }
  static Type enc(Type x, Type k) { return _mm256_aesenc_epi128(x, k); }
  static Type last(Type x, Type k) { return _mm256_aesenclast_epi128(x, k); }
};

#include "eqo/crypto/aes_inl.h"
#include "eqo/crypto/ferret_inl.h"
#include "eqo/crypto/half_tree_inl.h"
#include "eqo/crypto/transpose_inl.h"

}  // namespace

const Kernel* vaes256_kernel() {
  static constexpr Kernel kTable{"vaes256", expand_key,      ctr,         hash,   expand,          leaf_sums,
                                 transpose, half_tree_level, patch_nodes, encode, encode_with_bits};
  return &kTable;
}

}  // namespace eqo::detail

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
namespace eqo::detail {
const Kernel* vaes256_kernel() { return nullptr; }
}  // namespace eqo::detail
#endif
