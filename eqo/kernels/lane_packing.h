#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace eqo {

// core/bits.h for long runs of elements kept in lanes of 16, 32 or 64 bits: the same packing (LSB first, no gaps, the
// last byte's padding bits zero), several elements at a time. 1 <= width <= the lane's bits; upper bits of `in` are
// ignored. Exactly packed_bytes(n, width) bytes are written or read; throws internal_error if the span is not so long.
void pack_lanes(std::span<const std::uint16_t> in, unsigned width, std::span<std::byte> out);
void pack_lanes(std::span<const std::uint32_t> in, unsigned width, std::span<std::byte> out);
void pack_lanes(std::span<const std::uint64_t> in, unsigned width, std::span<std::byte> out);
void unpack_lanes(std::span<const std::byte> in, unsigned width, std::span<std::uint16_t> out);
void unpack_lanes(std::span<const std::byte> in, unsigned width, std::span<std::uint32_t> out);
void unpack_lanes(std::span<const std::byte> in, unsigned width, std::span<std::uint64_t> out);

// Puts the bytes of `in` into `out` from bit `first_bit` (0..7) of out[0] on. The bits below are kept; everything
// above, up to the last byte touched, is overwritten. out.size() must be in.size() + 1 (a spare byte may stay zero).
void shift_in(std::span<const std::byte> in, unsigned first_bit, std::span<std::byte> out);
// The reverse: out[i] = the 8 bits of `in` from bit 8 * i + first_bit on; bits beyond the end of `in` are zero.
// in.size() is out.size() or out.size() + 1.
void shift_out(std::span<const std::byte> in, unsigned first_bit, std::span<std::byte> out);

}  // namespace eqo
