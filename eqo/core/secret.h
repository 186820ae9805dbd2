#pragma once
#include <string.h>  // explicit_bzero

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "eqo/core/ring.h"

namespace eqo {

// N secret bytes, wiped on destruction and on move-out. Not copyable, not printable, not comparable with ==.
// reveal() is the one greppable way in.
template <std::size_t N>
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::span<const std::byte, N> bytes) { std::copy(bytes.begin(), bytes.end(), bytes_.begin()); }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  Secret(Secret&& o) noexcept : bytes_(o.bytes_) { o.wipe(); }
  Secret& operator=(Secret&& o) noexcept {
    if (this != &o) {
      bytes_ = o.bytes_;
      o.wipe();
    }
    return *this;
  }
  ~Secret() { wipe(); }
  std::span<const std::byte, N> reveal() const { return bytes_; }
  std::span<std::byte, N> writable() { return bytes_; }

 private:
  void wipe() { explicit_bzero(bytes_.data(), N); }
  alignas(16) std::array<std::byte, N> bytes_{};
};

using Seed = Secret<16>;

// An allocator that wipes what it frees: shares, choice bits, pads and keys live in vectors that use it.
template <typename T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <typename U>
  WipingAllocator(const WipingAllocator<U>&) {}
  T* allocate(std::size_t n) { return std::allocator<T>{}.allocate(n); }
  void deallocate(T* p, std::size_t n) noexcept {
    explicit_bzero(static_cast<void*>(p), n * sizeof(T));
    std::allocator<T>{}.deallocate(p, n);
  }
  friend bool operator==(const WipingAllocator&, const WipingAllocator&) { return true; }
};

template <typename T>
using WipedVector = std::vector<T, WipingAllocator<T>>;

using Words = WipedVector<Word>;         // ring elements: shares, messages
using Bits = WipedVector<std::uint8_t>;  // one bit an element, each 0 or 1: XOR shares, choices
using Bytes = WipedVector<std::byte>;

}  // namespace eqo
