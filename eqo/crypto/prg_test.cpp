#include "eqo/crypto/prg.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "eqo/core/error.h"

namespace eqo {
namespace {

Seed seed_of(std::uint8_t first) {
  std::array<std::byte, 16> bytes;
  for (std::size_t i = 0; i < 16; ++i) bytes[i] = static_cast<std::byte>(first + i);
  return Seed(bytes);
}

// AES-128 of the counter blocks 0, 1, ... (little-endian) under the key 00 01 .. 0f; computed by
// `openssl enc -aes-128-ecb`.
TEST(Prg, KnownAnswer) {
  Prg prg(seed_of(0));
  Blocks out(2);
  prg.fill(std::span<Block>(out));
  EXPECT_EQ(out[0].lo, 0x825b8f87373ba1c6);
  EXPECT_EQ(out[0].hi, 0x79d8c8a162814f6f);
  EXPECT_EQ(out[1].lo, 0xa0877cdd63d37ce3);
  EXPECT_EQ(out[1].hi, 0x829ce0603e0eff9a);
}

// Each fill starts at a new block, whatever was left over of the one before; lengths and alignments don't matter.
TEST(Prg, AllFillsReadOneStream) {
  Blocks stream(3000);
  Prg(seed_of(1)).fill(std::span<Block>(stream));
  const auto* bytes = reinterpret_cast<const std::byte*>(stream.data());
  for (const std::size_t n : {0, 1, 15, 16, 17, 1000, 1024, 1025, 4096, 5000}) {
    for (const std::size_t shift : {0, 3}) {
      Prg prg(seed_of(1));
      Bytes out(n + shift + 1, std::byte{0x5a});
      prg.fill(std::span<std::byte>(out).subspan(shift, n));
      EXPECT_EQ(std::memcmp(out.data() + shift, bytes, n), 0) << n;
      EXPECT_EQ(out[n + shift], std::byte{0x5a});
      EXPECT_EQ(prg.block(), stream[(n + 15) / 16]) << n << " " << shift;
    }
  }
  Prg prg(seed_of(1));
  const Seed s = prg.seed();
  EXPECT_EQ(std::memcmp(s.reveal().data(), bytes, 16), 0);
}

TEST(Prg, WordsAreReduced) {
  for (const unsigned width : {1U, 7U, 32U, 63U, 64U}) {
    Prg raw(seed_of(2)), reduced(seed_of(2));
    Words a(1001), b(1001);
    raw.fill(a, Ring(64));
    reduced.fill(b, Ring(width));
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(b[i], Ring(width).reduce(a[i]));
  }
}

TEST(Prg, BitsAreTheStreamsBits) {
  Blocks stream(100);
  Prg(seed_of(3)).fill(std::span<Block>(stream));
  for (const std::size_t n : {0, 1, 127, 128, 129, 8192, 8193, 10000}) {
    Bits bits(n + 1, 9);
    Prg prg(seed_of(3));
    prg.fill_bits(std::span(bits).first(n));
    for (std::size_t i = 0; i < n; ++i) {
      const Block b = stream[i / 128];
      ASSERT_EQ(bits[i], (i % 128 < 64 ? b.lo : b.hi) >> (i % 64) & 1) << n << " " << i;
    }
    EXPECT_EQ(bits[n], 9);
    EXPECT_EQ(prg.block(), stream[(n + 127) / 128]);
  }
}

TEST(Prg, GeneratorsDiffer) {
  Prg a = Prg::from_os(), b = Prg::from_os(), c = a.fork();
  const Block x = a.block(), y = b.block(), z = c.block();
  EXPECT_NE(x, y);
  EXPECT_NE(x, z);
  EXPECT_NE(y, z);
  Prg moved = std::move(a);
  EXPECT_NE(moved.block(), x);
}

TEST(Prg, UniformBytes) {
  Prg prg = Prg::from_os();
  Bytes out(1 << 20);
  prg.fill(std::span<std::byte>(out));
  std::array<double, 256> count{};
  for (const std::byte b : out) ++count[std::to_integer<std::size_t>(b)];
  double chi2 = 0;
  for (const double k : count) chi2 += (k - 4096) * (k - 4096) / 4096;
  EXPECT_LT(chi2, 255 + 8 * 22.6);  // 8 standard deviations
  EXPECT_GT(chi2, 255 - 8 * 22.6);
}

TEST(Prg, AForkedProcessMayNotGoOn) {
  Prg prg = Prg::from_os();
  prg.block();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    int status = 1;
    try {
      prg.block();
    } catch (const Error& e) {
      if (e.category() == Category::kInternal) status = 0;
    }
    _exit(status);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_NO_THROW(prg.block());
}

}  // namespace
}  // namespace eqo
