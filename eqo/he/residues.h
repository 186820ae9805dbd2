#pragma once
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "eqo/core/secret.h"

namespace eqo {

// Like WipingAllocator, and aligned to cache lines: the widest vector loads never straddle two.
template <typename T>
struct AlignedWipingAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{64};
  AlignedWipingAllocator() = default;
  template <typename U>
  AlignedWipingAllocator(const AlignedWipingAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kAlignment)); }
  void deallocate(T* p, std::size_t n) noexcept {
    explicit_bzero(static_cast<void*>(p), n * sizeof(T));
    ::operator delete(p, kAlignment);
  }
  friend bool operator==(const AlignedWipingAllocator&, const AlignedWipingAllocator&) { return true; }
};

// Residues modulo primes below 2^31: one polynomial's N after another, prime after prime.
using Residues = std::vector<std::uint32_t, AlignedWipingAllocator<std::uint32_t>>;

}  // namespace eqo
