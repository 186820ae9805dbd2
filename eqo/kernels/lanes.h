#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "eqo/core/ring.h"
#include "eqo/core/secret.h"

namespace eqo {

// Arithmetic mod 2^l runs in machine words of 32 or 64 bits and is reduced at the end: 2^l divides 2^32 or 2^64.
template <typename L>
concept Lane = std::same_as<L, std::uint32_t> || std::same_as<L, std::uint64_t>;

template <Lane L>
using Lanes = WipedVector<L>;

// The 32-bit lanes suffice for this ring.
constexpr bool fits_lane32(Ring ring) { return ring.bits() <= 32; }

template <Lane L>
Lanes<L> to_lanes(std::span<const Word> x) {
  Lanes<L> out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = static_cast<L>(x[i]);
  return out;
}

template <Lane L>
Words from_lanes(std::span<const L> x, Ring ring) {
  Words out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = ring.reduce(x[i]);
  return out;
}

}  // namespace eqo
