#include "eqo/core/bits.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "eqo/core/error.h"

namespace eqo {
namespace {

static_assert(std::endian::native == std::endian::little, "packing copies words as little-endian bytes");

void check_size(std::size_t have, std::size_t n, unsigned bits) {
  if (bits < 1 || bits > 64) throw internal_error("pack: width must be in 1..64");
  if (have != packed_bytes(n, bits)) throw internal_error("pack: buffer size does not fit the elements");
}

}  // namespace

void pack(std::span<const Word> in, unsigned bits, std::span<std::byte> out) {
  check_size(out.size(), in.size(), bits);
  const Word mask = Ring(bits).mask();
  Word acc = 0;
  unsigned fill = 0;
  std::byte* p = out.data();
  for (const Word raw : in) {
    const Word w = raw & mask;
    acc |= w << fill;
    fill += bits;
    if (fill >= 64) {
      std::memcpy(p, &acc, 8);
      p += 8;
      fill -= 64;
      acc = fill == 0 ? 0 : w >> (bits - fill);
    }
  }
  if (fill > 0) std::memcpy(p, &acc, (fill + 7) / 8);
}

void unpack(std::span<const std::byte> in, unsigned bits, std::span<Word> out) {
  check_size(in.size(), out.size(), bits);
  const Word mask = Ring(bits).mask();
  const std::size_t n = out.size();
  std::size_t pos = 0;
  std::size_t i = 0;
  if (bits <= 57) {
    // One unaligned load an element as long as eight bytes are left.
    for (; i < n && pos / 8 + 8 <= in.size(); ++i, pos += bits) {
      Word w;
      std::memcpy(&w, in.data() + pos / 8, 8);
      out[i] = (w >> (pos % 8)) & mask;
    }
  }
  for (; i < n; ++i, pos += bits) {
    std::array<std::byte, 16> tail{};
    std::memcpy(tail.data(), in.data() + pos / 8, std::min<std::size_t>(9, in.size() - pos / 8));
    Word lo, hi;
    std::memcpy(&lo, tail.data(), 8);
    std::memcpy(&hi, tail.data() + 8, 8);
    const unsigned s = pos % 8;
    out[i] = (s == 0 ? lo : (lo >> s) | (hi << (64 - s))) & mask;
  }
}

Bytes pack(std::span<const Word> in, unsigned bits) {
  Bytes out(packed_bytes(in.size(), bits));
  pack(in, bits, out);
  return out;
}

Words unpack(std::span<const std::byte> in, std::size_t n, unsigned bits) {
  Words out(n);
  unpack(in, bits, out);
  return out;
}

Bytes pack_bits(std::span<const std::uint8_t> in) {
  Bytes out(packed_bytes(in.size(), 1));
  for (std::size_t i = 0; i < in.size(); ++i)
    out[i / 8] |= static_cast<std::byte>(static_cast<unsigned>(in[i] & 1U) << (i % 8));
  return out;
}

Bits unpack_bits(std::span<const std::byte> in, std::size_t n) {
  check_size(in.size(), n, 1);
  Bits out(n);
  for (std::size_t i = 0; i < n; ++i)
    out[i] = static_cast<std::uint8_t>((static_cast<unsigned>(in[i / 8]) >> (i % 8)) & 1U);
  return out;
}

}  // namespace eqo
