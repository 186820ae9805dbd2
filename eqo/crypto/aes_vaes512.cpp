#include "eqo/crypto/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

// Everything below is compiled for these instructions and called only where the CPU has them.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("aes,vaes,avx2,avx512f,avx512bw,avx512vl,avx512dq"))), \
                             apply_to = function)
#else
#pragma GCC target("aes,vaes,avx2,avx512f,avx512bw,avx512vl,avx512dq")
#endif

namespace eqo::detail {
namespace {

constexpr std::size_t kLaneBytes = 64;

struct Vec {
  using Type = __m512i;
  static constexpr std::size_t kBlocks = 4;
  static Type load(const Block* p) { return _mm512_loadu_si512(p); }
  static void store(Block* p, Type x) { _mm512_storeu_si512(p, x); }
  // The first n < kBlocks blocks.
  static void store_some(Block* p, Type x, std::size_t n) {
    _mm512_mask_storeu_epi64(p, static_cast<__mmask8>((1U << (2 * n)) - 1), x);
  }
  static Type broadcast(const Block* p) {
    // All lanes are kept; the plain form warns in GCC 12.
    return _mm512_maskz_broadcast_i32x4(0xffff, _mm_load_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Type fill(std::uint64_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
  // The lanes b, b + 1, ... (in the lower half).
  static Type lanes(Block b) {
    const auto lo = static_cast<long long>(b.lo), hi = static_cast<long long>(b.hi);
    return _mm512_set_epi64(hi, lo + 3, hi, lo + 2, hi, lo + 1, hi, lo);
  }
  static Type count(Type x, std::size_t n) {
    const auto add = static_cast<long long>(n);
    return _mm512_add_epi64(x, _mm512_set_epi64(0, add, 0, add, 0, add, 0, add));
  }
  static Type exor(Type a, Type b) { return _mm512_xor_si512(a, b); }
  static Type conj(Type a, Type b) { return _mm512_and_si512(a, b); }
  static Type swap(Type x) { return _mm512_maskz_shuffle_epi32(0xffff, x, _MM_PERM_BADC); }
  static Type enc(Type x, Type k) { return _mm512_aesenc_epi128(x, k); }
  static Type last(Type x, Type k) { return _mm512_aesenclast_epi128(x, k); }
};

#include "eqo/crypto/aes_inl.h"
#include "eqo/crypto/ferret_inl.h"
#include "eqo/crypto/half_tree_inl.h"
#include "eqo/crypto/transpose_inl.h"

}  // namespace

const Kernel* vaes512_kernel() {
  static constexpr Kernel kTable{"vaes512", expand_key,      ctr,         hash,   expand,          leaf_sums,
                                 transpose, half_tree_level, patch_nodes, encode, encode_with_bits};
  return &kTable;
}

}  // namespace eqo::detail

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
namespace eqo::detail {
const Kernel* vaes512_kernel() { return nullptr; }
}  // namespace eqo::detail
#endif
