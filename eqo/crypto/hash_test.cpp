#include "eqo/crypto/hash.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <bit>
#include <cstring>
#include <random>

#include "eqo/core/error.h"

namespace eqo {
namespace {

// AES-128 under the first 128 fractional bits of pi, by OpenSSL.
Block pi(Block x) {
  const unsigned char key[16] = {0x24, 0x3f, 0x6a, 0x88, 0x85, 0xa3, 0x08, 0xd3,
                                 0x13, 0x19, 0x8a, 0x2e, 0x03, 0x70, 0x73, 0x44};
  EVP_CIPHER_CTX* const ctx = EVP_CIPHER_CTX_new();
  EXPECT_EQ(EVP_EncryptInit_ex(ctx, EVP_aes_128_ecb(), nullptr, key, nullptr), 1);
  Block out;
  int n = 0;
  EXPECT_EQ(
      EVP_EncryptUpdate(ctx, reinterpret_cast<unsigned char*>(&out), &n, reinterpret_cast<unsigned char*>(&x), 16), 1);
  EVP_CIPHER_CTX_free(ctx);
  return out;
}

Block reference(Block x, std::uint64_t domain, std::uint64_t index) { return pi(pi(x) ^ Block{index, domain}) ^ pi(x); }

TEST(Hash, IsTheDefinition) {
  std::mt19937_64 rng(1);
  const std::uint64_t domain = rng(), first = rng();
  Blocks in(75), out(75);
  for (Block& b : in) b = Block{rng(), rng()};
  hash_blocks(in, domain, first, out);
  for (std::size_t i = 0; i < in.size(); ++i) EXPECT_EQ(out[i], reference(in[i], domain, first + i));
  Blocks expanded(75 * 3);
  hash_expand(in, domain, 3, expanded);
  for (std::size_t i = 0; i < expanded.size(); ++i) EXPECT_EQ(expanded[i], reference(in[i / 3], domain, i % 3));
}

// Frozen: both parties must agree on it, so a change is a new version of the protocol.
TEST(Hash, KnownAnswers) {
  const Block in[2] = {{0, 0}, {0x0706050403020100, 0x0f0e0d0c0b0a0908}};
  Block out[2];
  hash_blocks(in, 0, 0, out);
  EXPECT_EQ(out[0].lo, 0xbfa87bfa24df58d2);
  EXPECT_EQ(out[0].hi, 0x66c5dee17991db8f);
  hash_blocks(in, 7, 41, out);
  EXPECT_EQ(out[1].lo, 0x1b79dfdb2ec2ce23);
  EXPECT_EQ(out[1].hi, 0x66226122121e243c);
}

// Every output bit is balanced over counted inputs, and a flipped input or tweak bit flips half of the output.
TEST(Hash, BitsAreBalancedAndIndependent) {
  constexpr std::size_t kN = 20000;
  Blocks in(kN), out(kN), other(kN);
  for (std::size_t i = 0; i < kN; ++i) in[i] = Block{i, 0};
  hash_blocks(in, 1, 0, out);
  for (unsigned flip = 0; flip < 3; ++flip) {
    Blocks changed = in;
    if (flip == 0) {
      for (Block& b : changed) b.hi ^= std::uint64_t{1} << 63;
    }
    hash_blocks(changed, flip == 1 ? 2 : 1, flip == 2 ? 1 : 0, other);
    std::uint64_t ones = 0, differ = 0;
    std::array<std::uint64_t, 64> count{};
    for (std::size_t i = 0; i < kN; ++i) {
      ones += static_cast<std::uint64_t>(std::popcount(out[i].lo) + std::popcount(out[i].hi));
      const Block d = out[i] ^ other[i];
      differ += static_cast<std::uint64_t>(std::popcount(d.lo) + std::popcount(d.hi));
      for (unsigned b = 0; b < 64; ++b) count[b] += d.lo >> b & 1;
    }
    const double half = kN * 64.0, sigma = 0.5 * 1600;  // sqrt(20000 * 128) = 1600
    EXPECT_NEAR(static_cast<double>(ones), half, 7 * sigma);
    EXPECT_NEAR(static_cast<double>(differ), half, 7 * sigma);
    for (unsigned b = 0; b < 64; ++b) EXPECT_NEAR(static_cast<double>(count[b]), kN / 2.0, 7 * 71) << b;
  }
}

TEST(Hash, WrongSizesThrow) {
  Blocks in(3), out(4);
  const auto internal = [](const auto& f) {
    try {
      f();
    } catch (const Error& e) {
      return e.category() == Category::kInternal;
    }
    return false;
  };
  EXPECT_TRUE(internal([&] { hash_blocks(in, 0, 0, out); }));
  EXPECT_TRUE(internal([&] { hash_expand(in, 0, 2, out); }));
  EXPECT_TRUE(internal([&] { hash_expand(in, 0, 0, out); }));
  // 2^63 + 2 blocks for 3 keys: the product wraps to 6.
  EXPECT_TRUE(internal([&] { hash_expand(Blocks(2), 0, (std::size_t{1} << 63) + 2, out); }));
  EXPECT_NO_THROW(hash_expand(in, 0, 0, {}));
}

}  // namespace
}  // namespace eqo
