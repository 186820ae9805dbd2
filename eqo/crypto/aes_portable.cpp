#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "eqo/core/error.h"
#include "eqo/crypto/kernels.h"

// AES by OpenSSL: constant time wherever OpenSSL has an AES of vector or AES instructions, which is every x86-64 with
// SSSE3 and every 64-bit ARM.
namespace eqo::detail {
namespace {

class Ecb {
 public:
  explicit Ecb(Block key) : ctx_(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free) {
    if (!ctx_ ||
        EVP_EncryptInit_ex(ctx_.get(), EVP_aes_128_ecb(), nullptr, reinterpret_cast<const unsigned char*>(&key),
                           nullptr) != 1 ||
        EVP_CIPHER_CTX_set_padding(ctx_.get(), 0) != 1)
      throw internal_error("AES-128: OpenSSL refuses the cipher");
    explicit_bzero(&key, sizeof key);
  }
  void encrypt(Block* inout, std::size_t n) {
    int written = 0;
    auto* bytes = reinterpret_cast<unsigned char*>(inout);
    if (EVP_EncryptUpdate(ctx_.get(), bytes, &written, bytes, static_cast<int>(n * sizeof(Block))) != 1 ||
        written != static_cast<int>(n * sizeof(Block)))
      throw internal_error("AES-128: OpenSSL fails to encrypt");
  }

 private:
  std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> ctx_;
};

constexpr std::size_t kBatch = 256;

// The key schedule stays inside OpenSSL.
void expand_key(Block key, AesKey& out) { out.round[0] = key; }

void counter_run(Ecb& aes, Block mask, Block first, std::size_t n, Block* out) {
  for (std::size_t j = 0; j < n; j += kBatch) {
    const std::size_t m = std::min(kBatch, n - j);
    for (std::size_t i = 0; i < m; ++i) out[j + i] = mask ^ Block { first.lo + j + i, first.hi };
    aes.encrypt(out + j, m);
    for (std::size_t i = 0; i < m; ++i) out[j + i] ^= mask;
  }
}

void ctr(const AesKey& key, Block first, std::size_t n, Block* out) {
  Ecb aes(key.round[0]);
  counter_run(aes, Block{}, first, n, out);
}

void hash(const Block* in, std::size_t n, std::uint64_t domain, std::uint64_t first, Block* out) {
  Ecb aes(kFixedKey);
  Blocks a(std::min(n, kBatch));
  for (std::size_t j = 0; j < n; j += kBatch) {
    const std::size_t m = std::min(kBatch, n - j);
    std::copy_n(in + j, m, a.begin());
    aes.encrypt(a.data(), m);
    for (std::size_t i = 0; i < m; ++i) out[j + i] = a[i] ^ Block { first + j + i, domain };
    aes.encrypt(out + j, m);
    for (std::size_t i = 0; i < m; ++i) out[j + i] ^= a[i];
  }
}

void expand(const Block* keys, std::size_t n, std::uint64_t domain, std::size_t blocks, Block* out) {
  Ecb aes(kFixedKey);
  Blocks a(keys, keys + n);
  for (std::size_t k = 0; k < n; k += kBatch) aes.encrypt(a.data() + k, std::min(kBatch, n - k));
  if (blocks >= kBatch / 2) {
    for (std::size_t k = 0; k < n; ++k) counter_run(aes, a[k], Block{0, domain}, blocks, out + k * blocks);
    return;
  }
  // Several keys' blocks in one call of OpenSSL.
  const std::size_t group = kBatch / std::max<std::size_t>(blocks, 1);
  for (std::size_t k = 0; k < n; k += group) {
    const std::size_t m = std::min(group, n - k);
    Block* const to = out + k * blocks;
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < blocks; ++j) to[i * blocks + j] = a[k + i] ^ Block { j, domain };
    }
    aes.encrypt(to, m * blocks);
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < blocks; ++j) to[i * blocks + j] ^= a[k + i];
    }
  }
}

constexpr std::size_t kPiece = 64;  // blocks at a time: the scratch stays in the first-level cache

inline void xor_into(Block* __restrict to, const Block* __restrict from, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    to[i].lo ^= from[i].lo;
    to[i].hi ^= from[i].hi;
  }
}

// The leaves are summed like a binary counter: partial[b] is the sum of a complete subtree of 2^b leaves that waits
// for its sibling, and a right-hand subtree of 2^b leaves goes into row b.
void leaf_sums(const AesKey* keys, unsigned depth, bool with_first, std::uint64_t counter, std::size_t n, Block* all,
               Block* rows, std::size_t stride) {
  alignas(64) Block partial[kMaxLeafDepth + 1][kPiece];
  alignas(64) Block leaf[kPiece];
  for (unsigned b = 0; b < depth; ++b) std::memset(static_cast<void*>(rows + b * stride), 0, n * sizeof(Block));
  for (std::size_t done = 0; done < n; done += kPiece) {
    const std::size_t m = n - done < kPiece ? n - done : kPiece;
    for (std::size_t x = 0; x < std::size_t{1} << depth; ++x) {
      if (x == 0 && !with_first) {
        std::memset(static_cast<void*>(leaf), 0, sizeof leaf);
      } else {
        ctr(keys[x], Block{counter + done, 0}, m, leaf);
      }
      unsigned b = 0;
      for (; (x >> b) & 1; ++b) {
        xor_into(rows + b * stride + done, leaf, m);
        xor_into(leaf, partial[b], m);
      }
      std::memcpy(static_cast<void*>(partial[b]), leaf, m * sizeof(Block));
    }
    std::memcpy(static_cast<void*>(all + done), partial[depth], m * sizeof(Block));
  }
  explicit_bzero(static_cast<void*>(partial), sizeof partial);
  explicit_bzero(static_cast<void*>(leaf), sizeof leaf);
}

void half_tree_level(Block* nodes, std::size_t n, Block* sums) {
  Ecb aes(kTreeKey);
  alignas(64) Block a[kBatch], x[kBatch];
  sums[0] = sums[1] = Block{};
  for (std::size_t y = 0; y < n; y += kBatch) {
    const std::size_t m = std::min(kBatch, n - y);
    for (std::size_t i = 0; i < m; ++i) {
      const Block node = nodes[y + i];
      a[i] = x[i] = Block{node.hi, node.lo ^ node.hi};
    }
    aes.encrypt(x, m);
    for (std::size_t i = 0; i < m; ++i) {
      const Block h = x[i] ^ a[i];
      nodes[n + y + i] = nodes[y + i] ^ h;
      nodes[y + i] = h;
      sums[i % 2] ^= h;
    }
  }
  explicit_bzero(static_cast<void*>(a), sizeof a);
  explicit_bzero(static_cast<void*>(x), sizeof x);
}

constexpr std::size_t kLaneBytes = 16;

#include "eqo/crypto/ferret_inl.h"
#include "eqo/crypto/transpose_inl.h"

}  // namespace

const Kernel& portable_kernel() {
  static constexpr Kernel kTable{"portable", expand_key,      ctr,         hash,   expand,          leaf_sums,
                                 transpose,  half_tree_level, patch_nodes, encode, encode_with_bits};
  return kTable;
}

}  // namespace eqo::detail
