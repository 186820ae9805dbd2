#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/crypto/block.h"

// What the pools share: buffers of COTs that are made and not yet handed out.
namespace eqo::detail {

// Keeps all sizes far from overflow.
inline constexpr std::uint64_t kMostCots = std::uint64_t{1} << 40;
// Both ways, each party sends this much before it receives: as long as what transports queue and buffers should hold
// allow, since each turn is a flight.
inline constexpr std::uint64_t kBothWaysBytes = std::uint64_t{16} << 20;

inline void check_cots(std::uint64_t n) {
  if (n > kMostCots) throw resource_error("more than 2^40 correlated OTs at once", "take a smaller batch");
}

// The COTs of one direction: [begin, begin + left) of a buffer.
template <typename T>
struct Store {
  WipedVector<T> data;
  // Room for `extra` elements behind the first `left` ones, which are moved to the front.
  void make_room(std::size_t begin, std::size_t left, std::size_t extra) {
    if (left == 0 && data.size() < extra) data = WipedVector<T>();  // first free, then allocate
    if (data.size() < left + extra) {
      WipedVector<T> larger(left + extra);
      std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(begin), left, larger.begin());
      data = std::move(larger);
    } else if (begin > 0) {
      std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(begin), left, data.begin());
    }
  }
};

struct Window {
  std::size_t begin = 0, left = 0;
  std::uint64_t index = 0;  // of the COT at `begin`

  std::size_t take(std::size_t n, const char* role) {
    if (n > left)
      throw internal_error(std::string("OT pool: ") + std::to_string(n) + " COTs taken as " + role + ", " +
                           std::to_string(left) + " left");
    const std::size_t at = begin;
    begin += n;
    left -= n;
    index += n;
    return at;
  }
};

}  // namespace eqo::detail
