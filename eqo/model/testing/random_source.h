#pragma once
#include <cstdint>
#include <initializer_list>
#include <random>

namespace eqo::testing {

// Choices from a seed; the same on every platform, unlike the standard distributions.
class RandomSource {
 public:
  explicit RandomSource(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t bits() { return engine_(); }
  std::int64_t in(std::int64_t lo, std::int64_t hi) {  // inclusive
    return lo + static_cast<std::int64_t>(engine_() % (static_cast<std::uint64_t>(hi - lo) + 1));
  }
  unsigned width(unsigned lo, unsigned hi) { return static_cast<unsigned>(in(lo, hi)); }
  bool one_in(std::int64_t n) { return in(1, n) == 1; }
  std::int64_t pick(std::initializer_list<std::int64_t> of) {
    return of.begin()[in(0, static_cast<std::int64_t>(of.size()) - 1)];
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace eqo::testing
