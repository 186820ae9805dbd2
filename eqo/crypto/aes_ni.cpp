#include "eqo/crypto/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

// Everything below is compiled for these instructions and called only where the CPU has them.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("aes,sse4.1"))), apply_to = function)
#else
#pragma GCC target("aes,sse4.1")
#endif

namespace eqo::detail {
namespace {

constexpr std::size_t kLaneBytes = 16;

struct Vec {
  using Type = __m128i;
  static constexpr std::size_t kBlocks = 1;
  static Type load(const Block* p) { return _mm_load_si128(reinterpret_cast<const Type*>(p)); }
  static void store(Block* p, Type x) { _mm_store_si128(reinterpret_cast<Type*>(p), x); }
  static void store_some(Block*, Type, std::size_t) {}  // never less than a whole vector
  static Type broadcast(const Block* p) { return load(p); }
  static Type fill(std::uint64_t x) { return _mm_set1_epi64x(static_cast<long long>(x)); }
  static Type lanes(Block b) { return _mm_set_epi64x(static_cast<long long>(b.hi), static_cast<long long>(b.lo)); }
  static Type count(Type x, std::size_t n) { return _mm_add_epi64(x, _mm_set_epi64x(0, static_cast<long long>(n))); }
  static Type exor(Type a, Type b) { return _mm_xor_si128(a, b); }
  static Type conj(Type a, Type b) { return _mm_and_si128(a, b); }
  static Type swap(Type x) { return _mm_shuffle_epi32(x, 0x4e); }
  static Type enc(Type x, Type k) { return _mm_aesenc_si128(x, k); }
  static Type last(Type x, Type k) { return _mm_aesenclast_si128(x, k); }
};

#include "eqo/crypto/aes_inl.h"
#include "eqo/crypto/ferret_inl.h"
#include "eqo/crypto/half_tree_inl.h"
#include "eqo/crypto/transpose_inl.h"

}  // namespace

const Kernel* aesni_kernel() {
  static constexpr Kernel kTable{"aesni",   expand_key,      ctr,         hash,   expand,          leaf_sums,
                                 transpose, half_tree_level, patch_nodes, encode, encode_with_bits};
  return &kTable;
}

}  // namespace eqo::detail

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
namespace eqo::detail {
const Kernel* aesni_kernel() { return nullptr; }
}  // namespace eqo::detail
#endif
