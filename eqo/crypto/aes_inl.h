// Included by each x86 kernel's source file, inside its anonymous namespace and its target options; no include guard.
// Needs `struct Vec` with: Type, kBlocks, load, store, store_some, broadcast, fill, lanes, count, exor,
// conj, enc, last (see the kernels).

using V = Vec::Type;
constexpr std::size_t kB = Vec::kBlocks;
constexpr std::size_t kWide = 8;  // independent vectors in flight: hides the latency of a round

template <std::size_t kN>
inline __attribute__((always_inline)) void encrypt(const V* rk, V* x) {
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kN; ++i) x[i] = Vec::exor(x[i], rk[0]);
#pragma GCC unroll 9
  for (std::size_t r = 1; r < 10; ++r) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kN; ++i) x[i] = Vec::enc(x[i], rk[r]);
  }
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kN; ++i) x[i] = Vec::last(x[i], rk[10]);
}

inline __attribute__((always_inline)) void broadcast_key(const AesKey& key, V* rk) {
#pragma GCC unroll 11
  for (std::size_t r = 0; r < 11; ++r) rk[r] = Vec::broadcast(&key.round[r]);
}

// The key schedule (FIPS 197, section 5.2), one round.
template <int kRcon>
inline __attribute__((always_inline)) __m128i next_round_key(__m128i k) {
  const __m128i g = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(k, kRcon), 0xff);
  k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
  k = _mm_xor_si128(k, _mm_slli_si128(k, 8));
  return _mm_xor_si128(k, g);
}

void expand_key(Block key, AesKey& out) {
  __m128i k[11];
  k[0] = _mm_set_epi64x(static_cast<long long>(key.hi), static_cast<long long>(key.lo));
  k[1] = next_round_key<0x01>(k[0]);
  k[2] = next_round_key<0x02>(k[1]);
  k[3] = next_round_key<0x04>(k[2]);
  k[4] = next_round_key<0x08>(k[3]);
  k[5] = next_round_key<0x10>(k[4]);
  k[6] = next_round_key<0x20>(k[5]);
  k[7] = next_round_key<0x40>(k[6]);
  k[8] = next_round_key<0x80>(k[7]);
  k[9] = next_round_key<0x1b>(k[8]);
  k[10] = next_round_key<0x36>(k[9]);
  std::memcpy(static_cast<void*>(out.round.data()), k, sizeof k);
}

AesKey make_fixed_key() {
  AesKey key;
  expand_key(kFixedKey, key);
  return key;
}

const AesKey& fixed_key() {
  static const AesKey key = make_fixed_key();
  return key;
}

// out[j + i] = E_rk(whitening ^ (first + j + i)) ^ whitening for kN vectors. E is AES under the round keys rk.
template <std::size_t kN>
inline __attribute__((always_inline)) void counter_step(const V* rk, V whitening, V first, std::size_t j, Block* out) {
  V x[kN];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kN; ++i) x[i] = Vec::exor(whitening, Vec::count(first, j + i * kB));
  encrypt<kN>(rk, x);
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kN; ++i) Vec::store(out + j + i * kB, Vec::exor(x[i], whitening));
}

// The same for all j < n.
inline __attribute__((always_inline)) void counter_run(const V* rk, V whitening, V first, std::size_t n, Block* out) {
  std::size_t j = 0;
  for (; j + kWide * kB <= n; j += kWide * kB) counter_step<kWide>(rk, whitening, first, j, out);
  if (j + 4 * kB <= n) {
    counter_step<4>(rk, whitening, first, j, out);
    j += 4 * kB;
  }
  if (j + 2 * kB <= n) {
    counter_step<2>(rk, whitening, first, j, out);
    j += 2 * kB;
  }
  if (j + kB <= n) {
    counter_step<1>(rk, whitening, first, j, out);
    j += kB;
  }
  if (j < n) {
    V x[1] = {Vec::exor(whitening, Vec::count(first, j))};
    encrypt<1>(rk, x);
    Vec::store_some(out + j, Vec::exor(x[0], whitening), n - j);
  }
}

void ctr(const AesKey& key, Block first, std::size_t n, Block* out) {
  V rk[11];
  broadcast_key(key, rk);
  const Block zero;
  counter_run(rk, Vec::broadcast(&zero), Vec::lanes(first), n, out);
}

template <std::size_t kN, bool kCounting>
inline __attribute__((always_inline)) void hash_step(const V* rk, const Block* in, V tweak, Block* out) {
  V a[kN];
  V x[kN];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kN; ++i) a[i] = Vec::load(in + i * kB);
  encrypt<kN>(rk, a);
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kN; ++i) x[i] = Vec::exor(a[i], kCounting ? Vec::count(tweak, i * kB) : tweak);
  encrypt<kN>(rk, x);
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kN; ++i) Vec::store(out + i * kB, Vec::exor(a[i], x[i]));
}

// kCounting: the tweak's index goes up from block to block.
template <bool kCounting>
inline __attribute__((always_inline)) void hash_run(const Block* in, std::size_t n, V tweak, Block* out) {
  V rk[11];
  broadcast_key(fixed_key(), rk);
  std::size_t j = 0;
  const auto at = [&] { return kCounting ? Vec::count(tweak, j) : tweak; };
  for (; j + kWide * kB <= n; j += kWide * kB) hash_step<kWide, kCounting>(rk, in + j, at(), out + j);
  for (; j + kB <= n; j += kB) hash_step<1, kCounting>(rk, in + j, at(), out + j);
  if (j < n) {
    alignas(64) Block tail[kB] = {};
    std::memcpy(static_cast<void*>(tail), in + j, (n - j) * sizeof(Block));
    hash_step<1, kCounting>(rk, tail, at(), tail);
    Vec::store_some(out + j, Vec::load(tail), n - j);
  }
}

void hash(const Block* in, std::size_t n, std::uint64_t domain, std::uint64_t first, Block* out) {
  hash_run<true>(in, n, Vec::lanes(Block{first, domain}), out);
}

// pi(in) for n <= kN * kBlocks blocks, both buffers that long.
template <std::size_t kN>
inline __attribute__((always_inline)) void permute(const V* rk, const Block* in, Block* out) {
  V x[kN];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kN; ++i) x[i] = Vec::load(in + i * kB);
  encrypt<kN>(rk, x);
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kN; ++i) Vec::store(out + i * kB, x[i]);
}

constexpr std::size_t kKeysAtOnce = kWide * kB;
constexpr std::size_t kFlat = 128;  // blocks of output at a time where one key's are few

struct ExpandScratch {
  alignas(64) Block key[kKeysAtOnce] = {};
  alignas(64) Block in[kFlat] = {}, tweak[kFlat] = {};
  ~ExpandScratch() { explicit_bzero(static_cast<void*>(this), sizeof *this); }
};

// Few blocks a key: lay several keys' inputs out side by side, so that all lanes work. s.tweak is filled already.
inline __attribute__((always_inline)) void expand_flat(const V* rk, const Block* permuted, std::size_t n,
                                                       std::size_t blocks, ExpandScratch& s, Block* out) {
  const std::size_t group = kFlat / blocks;
  for (std::size_t k = 0; k < n; k += group) {
    const std::size_t m = n - k < group ? n - k : group;
    const std::size_t all = m * blocks;
    for (std::size_t i = 0, o = 0; i < m; ++i) {
      for (std::size_t j = 0; j < blocks; ++j, ++o) s.in[o] = permuted[k + i];
    }
    Block* const to = out + k * blocks;
    for (std::size_t j = 0; j < all; j += kWide * kB) {
      V a[kWide], x[kWide];
#pragma GCC unroll 8
      for (std::size_t i = 0; i < kWide; ++i) {
        a[i] = Vec::load(s.in + j + i * kB);
        x[i] = Vec::exor(a[i], Vec::load(s.tweak + j + i * kB));
      }
      encrypt<kWide>(rk, x);
      const bool whole = j + kWide * kB <= all;
      Block* const dest = whole ? to + j : s.in + j;
#pragma GCC unroll 8
      for (std::size_t i = 0; i < kWide; ++i) Vec::store(dest + i * kB, Vec::exor(x[i], a[i]));
      if (!whole) std::memcpy(static_cast<void*>(to + j), dest, (all - j) * sizeof(Block));
    }
  }
}

void expand(const Block* keys, std::size_t n, std::uint64_t domain, std::size_t blocks, Block* out) {
  if (blocks == 0) return;
  const Block first{0, domain};
  if (blocks == 1) return hash_run<false>(keys, n, Vec::broadcast(&first), out);
  V rk[11];
  broadcast_key(fixed_key(), rk);
  const V tweak = Vec::lanes(first);
  ExpandScratch s;
  const bool flat = blocks < kB;
  for (std::size_t o = 0, j = 0; flat && o < kFlat; ++o, j = j + 1 == blocks ? 0 : j + 1) s.tweak[o] = Block{j, domain};
  for (std::size_t k = 0; k < n; k += kKeysAtOnce) {
    const std::size_t m = n - k < kKeysAtOnce ? n - k : kKeysAtOnce;
    std::memcpy(static_cast<void*>(s.key), keys + k, m * sizeof(Block));
    permute<kWide>(rk, s.key, s.key);
    if (flat) {
      expand_flat(rk, s.key, m, blocks, s, out + k * blocks);
    } else {
      for (std::size_t i = 0; i < m; ++i)
        counter_run(rk, Vec::broadcast(&s.key[i]), tweak, blocks, out + (k + i) * blocks);
    }
  }
}

// Adds to a sum in memory, or starts it.
inline __attribute__((always_inline)) void accumulate(Block* p, V x, bool start) {
  Vec::store(p, start ? x : Vec::exor(Vec::load(p), x));
}

constexpr std::size_t kPiece = 64;  // blocks at a time: the partial sums stay in the first-level cache

// Groups of 2^kBits leaves are summed in registers; the groups' sums like a binary counter: partial[b] is the sum of a
// complete subtree of 2^b groups that waits for its sibling, and a right-hand subtree goes into row kBits + b.
template <unsigned kBits>
inline __attribute__((always_inline)) void leaf_sums_by(const AesKey* keys, unsigned depth, bool with_first,
                                                        std::uint64_t counter, std::size_t n, Block* all, Block* rows,
                                                        std::size_t stride) {
  constexpr std::size_t kLeaves = std::size_t{1} << kBits;
  constexpr std::size_t kN = kWide / kLeaves;
  static_assert(kN * kB <= kLeafGrain && kPiece % kLeafGrain == 0);
  alignas(64) Block partial[kMaxLeafDepth][kPiece];
  const unsigned upper = depth - kBits;
  const V keep_first = Vec::fill(with_first ? ~std::uint64_t{0} : 0);
  for (std::size_t done = 0; done < n; done += kPiece) {
    const std::size_t m = n - done < kPiece ? n - done : kPiece;
    const V start = Vec::lanes(Block{counter + done, 0});
    for (std::size_t g = 0; g < std::size_t{1} << upper; ++g) {
      const AesKey* const key = keys + g * kLeaves;
      V first = start;
      for (std::size_t j = 0; j < m; j += kN * kB) {
        V x[kLeaves][kN];
#pragma GCC unroll 4
        for (std::size_t l = 0; l < kLeaves; ++l) {
          const V k = Vec::broadcast(&key[l].round[0]);
#pragma GCC unroll 4
          for (std::size_t i = 0; i < kN; ++i) x[l][i] = Vec::exor(Vec::count(first, i * kB), k);
        }
        first = Vec::count(first, kN * kB);
#pragma GCC unroll 9
        for (std::size_t r = 1; r < 10; ++r) {
#pragma GCC unroll 4
          for (std::size_t l = 0; l < kLeaves; ++l) {
            const V k = Vec::broadcast(&key[l].round[r]);
#pragma GCC unroll 4
            for (std::size_t i = 0; i < kN; ++i) x[l][i] = Vec::enc(x[l][i], k);
          }
        }
#pragma GCC unroll 4
        for (std::size_t l = 0; l < kLeaves; ++l) {
          const V k = Vec::broadcast(&key[l].round[10]);
#pragma GCC unroll 4
          for (std::size_t i = 0; i < kN; ++i) x[l][i] = Vec::last(x[l][i], k);
        }
#pragma GCC unroll 4
        for (std::size_t i = 0; i < kN; ++i) {
          if (g == 0) x[0][i] = Vec::conj(x[0][i], keep_first);
          const std::size_t at = j + i * kB;
          V sum = Vec::exor(x[0][i], x[1][i]);
          if constexpr (kBits == 2) {
            const V right = Vec::exor(x[2][i], x[3][i]);
            accumulate(rows + done + at, Vec::exor(x[1][i], x[3][i]), g == 0);
            accumulate(rows + stride + done + at, right, g == 0);
            sum = Vec::exor(sum, right);
          } else {
            accumulate(rows + done + at, x[1][i], g == 0);
          }
          unsigned b = 0;
          for (; (g >> b) & 1; ++b) {
            accumulate(rows + (kBits + b) * stride + done + at, sum, g + 1 == std::size_t{2} << b);
            sum = Vec::exor(sum, Vec::load(&partial[b][at]));
          }
          Vec::store(b == upper ? all + done + at : &partial[b][at], sum);
        }
      }
    }
  }
  explicit_bzero(static_cast<void*>(partial), upper * sizeof partial[0]);
}

void leaf_sums(const AesKey* keys, unsigned depth, bool with_first, std::uint64_t counter, std::size_t n, Block* all,
               Block* rows, std::size_t stride) {
  if (depth == 1) {
    leaf_sums_by<1>(keys, depth, with_first, counter, n, all, rows, stride);
  } else {
    leaf_sums_by<2>(keys, depth, with_first, counter, n, all, rows, stride);
  }
}
