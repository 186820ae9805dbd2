#include "eqo/crypto/kernels.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <string>

#include "eqo/crypto/hash.h"
#include "eqo/crypto/spread_bits.h"

namespace eqo::detail {
namespace {

Block from_hex(const std::string& hex) {
  std::array<std::uint8_t, 16> bytes;
  for (std::size_t i = 0; i < 16; ++i)
    bytes[i] = static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  Block b;
  std::memcpy(&b, bytes.data(), 16);
  return b;
}

Blocks random_blocks(std::size_t n, std::mt19937_64& rng) {
  Blocks out(n);
  for (Block& b : out) b = Block{rng(), rng()};
  return out;
}

bool bit(const Block& b, std::size_t i) { return ((i < 64 ? b.lo : b.hi) >> (i % 64) & 1) != 0; }

class KernelTest : public ::testing::TestWithParam<const Kernel*> {
 protected:
  const Kernel& k = *GetParam();
  AesKey expanded(Block key) const {
    AesKey out;
    k.expand_key(key, out);
    return out;
  }
};

// FIPS 197, appendix C.1; NIST SP 800-38A, F.1.1 (ECB) and F.5.1 (CTR, output blocks).
TEST_P(KernelTest, AesKnownAnswers) {
  struct Answer {
    const char *key, *in, *out;
  };
  const char* const sp = "2b7e151628aed2a6abf7158809cf4f3c";
  for (const Answer& a : std::vector<Answer>{
           {"000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a"},
           {sp, "6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"},
           {sp, "ae2d8a571e03ac9c9eb76fac45af8e51", "f5d3d58503b9699de785895a96fdbaaf"},
           {sp, "30c81c46a35ce411e5fbc1191a0a52ef", "43b1cd7f598ece23881b00e3ed030688"},
           {sp, "f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"},
           {sp, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "ec8cdf7398607cb0f2d21675ea9ea1e4"},
           {sp, "f0f1f2f3f4f5f6f7f8f9fafbfcfdff00", "362b7c3c6773516318a077d7fc5073ae"}}) {
    Block out;
    k.ctr(expanded(from_hex(a.key)), from_hex(a.in), 1, &out);
    EXPECT_EQ(out, from_hex(a.out)) << a.in;
  }
}

// Any length, one block after another, and nothing written behind the end.
TEST_P(KernelTest, CtrCountsForAnyLength) {
  std::mt19937_64 rng(1);
  const AesKey key = expanded(Block{rng(), rng()});
  const Block first{~std::uint64_t{0} - 20, rng()};  // the count wraps in its lower half alone
  for (std::size_t n = 0; n < 150; ++n) {
    Blocks out(n + 1, Block{1, 2});
    k.ctr(key, first, n, out.data());
    for (std::size_t i = 0; i < n; ++i) {
      Block one;
      portable_kernel().ctr(key, Block{first.lo + i, first.hi}, 1, &one);
      ASSERT_EQ(out[i], one) << n << " " << i;
    }
    ASSERT_EQ(out[n], (Block{1, 2}));
  }
}

TEST_P(KernelTest, HashEqualsPortable) {
  std::mt19937_64 rng(2);
  for (std::size_t n = 0; n < 150; ++n) {
    const Blocks in = random_blocks(n, rng);
    Blocks want(n), got(n + 1, Block{1, 2});
    const std::uint64_t domain = rng(), first = n % 3 == 0 ? ~std::uint64_t{0} - 5 : rng();
    portable_kernel().hash(in.data(), n, domain, first, want.data());
    k.hash(in.data(), n, domain, first, got.data());
    ASSERT_EQ(got[n], (Block{1, 2}));
    got.pop_back();
    ASSERT_EQ(got, want) << n;
    Blocks in_place = in;
    k.hash(in_place.data(), n, domain, first, in_place.data());
    ASSERT_EQ(in_place, want) << n;
  }
}

TEST_P(KernelTest, ExpandIsTheHashOfEachKeyAndIndex) {
  std::mt19937_64 rng(3);
  for (std::size_t blocks = 0; blocks <= 70; ++blocks) {
    for (const std::size_t n : {0, 1, 2, 7, 33, 70}) {
      const Blocks keys = random_blocks(n, rng);
      const std::uint64_t domain = rng();
      Blocks out(n * blocks + 1, Block{1, 2});
      k.expand(keys.data(), n, domain, blocks, out.data());
      for (std::size_t i = 0; i < n; ++i) {
        const Blocks copies(blocks, keys[i]);
        Blocks want(blocks);
        portable_kernel().hash(copies.data(), blocks, domain, 0, want.data());
        for (std::size_t j = 0; j < blocks; ++j) ASSERT_EQ(out[i * blocks + j], want[j]) << blocks << " " << n;
      }
      ASSERT_EQ(out[n * blocks], (Block{1, 2}));
    }
  }
}

TEST_P(KernelTest, LeafSumsAreSumsOfCtrStreams) {
  std::mt19937_64 rng(4);
  for (unsigned depth = 1; depth <= kMaxLeafDepth; ++depth) {
    const std::size_t leaves = std::size_t{1} << depth;
    AesKeys keys(leaves);
    for (AesKey& key : keys) key = expanded(Block{rng(), rng()});
    for (const std::size_t n : {1, 2, 15, 16, 63, 64, 65, 130}) {
      for (const bool with_first : {false, true}) {
        const std::uint64_t counter = rng();
        const std::size_t stride = 160;
        Blocks all(n), rows(depth * n), got_all(stride), got_rows(depth * stride), stream(n);
        for (std::size_t x = with_first ? 0 : 1; x < leaves; ++x) {
          portable_kernel().ctr(keys[x], Block{counter, 0}, n, stream.data());
          for (std::size_t i = 0; i < n; ++i) {
            all[i] ^= stream[i];
            for (unsigned b = 0; b < depth; ++b) rows[b * n + i] ^= masked(x >> b, stream[i]);
          }
        }
        k.leaf_sums(keys.data(), depth, with_first, counter, n, got_all.data(), got_rows.data(), stride);
        for (std::size_t i = 0; i < n; ++i) {
          ASSERT_EQ(got_all[i], all[i]) << depth << " " << n << " " << i;
          for (unsigned b = 0; b < depth; ++b)
            ASSERT_EQ(got_rows[b * stride + i], rows[b * n + i]) << depth << " " << b;
        }
      }
    }
  }
}

TEST_P(KernelTest, Transpose) {
  std::mt19937_64 rng(5);
  for (std::size_t columns = 0; columns <= 9; ++columns) {
    const std::size_t stride = columns + 2;
    const Blocks rows = random_blocks(128 * stride, rng);
    Blocks out(columns * 128 + 1, Block{1, 2});
    k.transpose(rows.data(), stride, columns, out.data());
    for (std::size_t c = 0; c < columns * 128; ++c) {
      for (std::size_t r = 0; r < 128; ++r)
        ASSERT_EQ(bit(out[c], r), bit(rows[r * stride + c / 128], c % 128)) << columns << " " << r << " " << c;
    }
    ASSERT_EQ(out[columns * 128], (Block{1, 2}));
  }
}

// The definition of a level of two correlated trees, and that children sum to their parents.
TEST_P(KernelTest, HalfTreeLevel) {
  std::mt19937_64 rng(7);
  AesKey key;
  portable_kernel().expand_key(kTreeKey, key);
  for (const std::size_t n : {4, 8, 12, 16, 28, 32, 64, 100, 256, 260, 600}) {
    const Blocks parents = random_blocks(n, rng);
    Blocks nodes = parents;
    nodes.resize(2 * n + 1, Block{1, 2});
    std::array<Block, 2> sums{Block{3, 4}, Block{5, 6}}, want{};
    k.half_tree_level(nodes.data(), n, sums.data());
    for (std::size_t i = 0; i < n; ++i) {
      const Block x = parents[i], s{x.hi, x.lo ^ x.hi};
      Block h;
      portable_kernel().ctr(key, s, 1, &h);
      h ^= s;
      ASSERT_EQ(nodes[i], h) << n << " " << i;
      ASSERT_EQ(nodes[n + i], h ^ x) << n << " " << i;
      want[i % 2] ^= h;
    }
    EXPECT_EQ(sums, want) << n;
    EXPECT_EQ(nodes[2 * n], (Block{1, 2}));
  }
}

TEST_P(KernelTest, PatchNodesChangesOneOfEachTree) {
  std::mt19937_64 rng(8);
  for (const std::size_t n : {2, 4, 16, 64}) {
    for (std::size_t round = 0; round < 20; ++round) {
      const Blocks before = random_blocks(n + 1, rng), patch = random_blocks(2, rng);
      const std::array<std::uint64_t, 2> at{rng() % (n / 2), rng() % (n / 2)};
      Blocks want = before, got = before;
      for (std::size_t j = 0; j < 2; ++j) want[2 * at[j] + j] ^= patch[j];
      k.patch_nodes(got.data(), n, at.data(), patch.data());
      ASSERT_EQ(got, want);
    }
  }
}

// Rows by the definition in kernels.h; any length, and one bit of each element alongside.
TEST_P(KernelTest, EncodeIsTheSumOfTenColumns) {
  std::mt19937_64 rng(9);
  AesKey key;
  portable_kernel().expand_key(kCodeKey, key);
  for (const unsigned log_k : {6U, 16U, 19U}) {
    const std::size_t dimension = std::size_t{1} << log_k;
    const Blocks table = random_blocks(dimension, rng);
    Bits with_bit(dimension * kCodeEntryBytes);
    for (std::size_t i = 0; i < dimension; ++i) {
      std::memcpy(&with_bit[i * kCodeEntryBytes], &table[i], sizeof(Block));
      with_bit[i * kCodeEntryBytes + sizeof(Block)] = rng() & 1;
    }
    for (const std::size_t n : {0, 1, 63, 64, 65, 200}) {
      const CodeRows rows{rng(), rng() >> 1, log_k};
      const Blocks start = random_blocks(n + 1, rng);
      Blocks want = start, got = start, with_bits = start;
      Bits want_bits(n + 1, 1), got_bits(n + 1, 1);
      for (std::size_t i = 0; i < n; ++i) {
        std::array<Block, 2> w;
        portable_kernel().ctr(key, Block{2 * (rows.first + i), rows.stream}, 2, w.data());
        const std::array<std::uint64_t, 4> words{w[0].lo, w[0].hi, w[1].lo, w[1].hi};
        for (unsigned j = 0; j < kCodeLocality; ++j) {
          const std::uint64_t at = words[j / 3] >> (21 * (j % 3)) & (dimension - 1);
          want[i] ^= table[at];
          want_bits[i] ^= with_bit[at * kCodeEntryBytes + sizeof(Block)];
        }
      }
      k.encode(rows, table.data(), n, got.data());
      k.encode_with_bits(rows, with_bit.data(), n, with_bits.data(), got_bits.data());
      ASSERT_EQ(got, want) << log_k << " " << n;
      ASSERT_EQ(with_bits, want) << log_k << " " << n;
      ASSERT_EQ(got_bits, want_bits) << log_k << " " << n;
    }
  }
}

// The wire format's public code: the first two rows of a set with 2^17 columns must never change.
TEST_P(KernelTest, CodeKnownAnswer) {
  const std::size_t dimension = std::size_t{1} << 17;
  Blocks table(dimension);
  for (std::size_t i = 0; i < dimension; ++i) table[i] = Block{i, std::uint64_t{1} << (i % 64)};
  Blocks out(2);
  k.encode(CodeRows{1, 0, 17}, table.data(), 2, out.data());
  EXPECT_EQ(out[0], (Block{0x1da4e, 0x800430d0220800}));
  EXPECT_EQ(out[1], (Block{0x95e8, 0x200c1808000000}));
}

INSTANTIATE_TEST_SUITE_P(AllKernels, KernelTest, ::testing::ValuesIn(kernels()),
                         [](const auto& name) { return std::string(name.param->name); });

TEST(Kernels, TheFastestIsInUse) {
  EXPECT_EQ(kernels().back(), &portable_kernel());
  EXPECT_STREQ(hash_kernel_name(), kernels().front()->name);
}

TEST(SpreadBits, EachBitGoesToItsByte) {
  std::mt19937_64 rng(6);
  const Blocks in = random_blocks(5, rng);
  Bits out(5 * 128);
  spread_bits(in, out.data());
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], bit(in[i / 128], i % 128) ? 1 : 0);
}

}  // namespace
}  // namespace eqo::detail
