#pragma once
#include <cstdint>
#include <cstring>
#include <span>

#include "eqo/crypto/block.h"

namespace eqo::detail {

// Bit i of the packed blocks to byte i of out, which is 128 times as long as `packed`.
inline void spread_bits(std::span<const Block> packed, std::uint8_t* out) {
  for (const Block b : packed) {
    for (const std::uint64_t half : {b.lo, b.hi}) {
      for (unsigned byte = 0; byte < 8; ++byte, out += 8) {
        // Eight copies of the byte; bit i of copy i; from there to the lowest bit of its byte.
        const std::uint64_t x = ((half >> (8 * byte)) & 0xff) * 0x0101010101010101;
        const std::uint64_t spread = (((x & 0x8040201008040201) + 0x7f7f7f7f7f7f7f7f) >> 7) & 0x0101010101010101;
        std::memcpy(out, &spread, 8);
      }
    }
  }
}

}  // namespace eqo::detail
