#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "eqo/core/secret.h"

namespace eqo {

// Bytes needed for n elements of `bits` bits packed without gaps. n * bits must stay below 2^64.
constexpr std::uint64_t packed_bytes(std::uint64_t n, unsigned bits) { return (n * bits + 7) / 8; }

// LSB-first packing of reduced elements. Padding bits of the last byte are zero: they go on the wire.
// Throws internal_error if `out` is not exactly packed_bytes(in.size(), bits) long.
void pack(std::span<const Word> in, unsigned bits, std::span<std::byte> out);
void unpack(std::span<const std::byte> in, unsigned bits, std::span<Word> out);
Bytes pack(std::span<const Word> in, unsigned bits);
Words unpack(std::span<const std::byte> in, std::size_t n, unsigned bits);

// The same for single bits kept one a byte.
Bytes pack_bits(std::span<const std::uint8_t> in);
Bits unpack_bits(std::span<const std::byte> in, std::size_t n);

}  // namespace eqo
