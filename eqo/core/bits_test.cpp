#include "eqo/core/bits.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/core/error.h"

namespace eqo {
namespace {

// A bit-by-bit packer to compare with.
Bytes slow_pack(std::span<const Word> in, unsigned bits) {
  Bytes out(packed_bytes(in.size(), bits));
  std::size_t pos = 0;
  for (const Word w : in)
    for (unsigned b = 0; b < bits; ++b, ++pos) out[pos / 8] |= static_cast<std::byte>(((w >> b) & 1) << (pos % 8));
  return out;
}

TEST(Bits, PackAgreesWithTheBitwiseDefinitionAndRoundTrips) {
  std::mt19937_64 gen(1);
  for (unsigned bits = 1; bits <= 64; ++bits)
    for (const std::size_t n : {0U, 1U, 7U, 8U, 9U, 63U, 64U, 65U, 1000U}) {
      Words in(n);
      for (Word& w : in) w = gen() & Ring(bits).mask();
      const Bytes packed = pack(in, bits);
      ASSERT_EQ(packed, slow_pack(in, bits)) << "bits " << bits << " n " << n;
      ASSERT_EQ(unpack(packed, n, bits), in) << "bits " << bits << " n " << n;
    }
}

TEST(Bits, SingleBitsUseTheSameLayout) {
  std::mt19937_64 gen(2);
  for (const std::size_t n : {0U, 1U, 8U, 9U, 100U}) {
    Bits in(n);
    Words words(n);
    for (std::size_t i = 0; i < n; ++i) words[i] = in[i] = static_cast<std::uint8_t>(gen() & 1);
    EXPECT_EQ(pack_bits(in), pack(words, 1));
    EXPECT_EQ(unpack_bits(pack_bits(in), n), in);
  }
}

TEST(Bits, WrongBufferSizesThrow) {
  Words in(9);
  Bytes small(9), right(10), large(11);
  EXPECT_THROW(pack(in, 8, std::span<std::byte>(small).first(8)), Error);
  EXPECT_THROW(pack(in, 8, large), Error);
  EXPECT_THROW(unpack(right, 8, 8), Error);
  EXPECT_THROW(pack(in, 0, right), Error);
  EXPECT_THROW(pack(in, 65, right), Error);
}

}  // namespace
}  // namespace eqo
