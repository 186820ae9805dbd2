#include "eqo/kernels/elementwise.h"

#include <string>

#include "eqo/core/error.h"

namespace eqo {
namespace {

void check_shift(Ring ring, unsigned s) {
  if (s >= ring.bits())
    throw usage_error("a shift by " + std::to_string(s) + " in a ring of " + std::to_string(ring.bits()) + " bits");
}

void check_windows(std::size_t have, std::size_t k, std::size_t n) {
  if (k == 0 || have % k != 0 || have / k != n)
    throw usage_error("max: " + std::to_string(have) + " values are not " + std::to_string(n) + " windows of " +
                      std::to_string(k));
}

template <typename F>
void apply(std::span<Word> x, F f) {
  for (Word& v : x) v = f(v);
}

}  // namespace

void relu_plain(Ring ring, std::span<Word> x) {
  apply(x, [ring](Word v) { return relu_plain(ring, v); });
}

void truncate_plain(Ring ring, std::span<Word> x, unsigned s) {
  check_shift(ring, s);
  apply(x, [ring, s](Word v) { return truncate_plain(ring, v, s); });
}

void truncate_unsigned_plain(Ring ring, std::span<Word> x, unsigned s) {
  check_shift(ring, s);
  apply(x, [ring, s](Word v) { return truncate_unsigned_plain(ring, v, s); });
}

void truncate_reduce_plain(Ring ring, std::span<Word> x, unsigned s) {
  check_shift(ring, s);
  apply(x, [ring, s](Word v) { return truncate_reduce_plain(ring, v, s); });
}

void extend_plain(Ring from, Ring to, std::span<Word> x) {
  if (to.bits() < from.bits()) throw usage_error("extension to a narrower ring");
  apply(x, [from, to](Word v) { return extend_plain(from, to, v); });
}

void requantize_plain(Ring from, Ring to, unsigned s, bool relu, std::span<Word> x) {
  check_shift(from, s);
  apply(x, [=](Word v) { return requantize_plain(from, to, s, relu, v); });
}

void clip_plain(Ring ring, std::span<Word> x, Word hi) {
  if (hi != ring.reduce(hi) || ring.msb(hi) != 0) throw usage_error("clip: the bound must be below 2^(l-1)");
  apply(x, [ring, hi](Word v) { return clip_plain(ring, v, hi); });
}

Words max_tree_plain(Ring ring, std::span<const Word> x, std::size_t k, std::size_t n, std::uint64_t* overflows) {
  check_windows(x.size(), k, n);
  Words v(x.begin(), x.end());
  std::uint64_t wrapped = 0;
  while (k > 1) {
    for (std::size_t j = 0; j + 1 < k; j += 2) {
      const Word* a = v.data() + j * n;
      const Word* b = a + n;
      Word* out = v.data() + j / 2 * n;
      for (std::size_t i = 0; i < n; ++i) {
        wrapped += difference_overflows(ring, a[i], b[i]);
        out[i] = max_plain(ring, a[i], b[i]);
      }
    }
    if (k % 2 == 1)
      std::copy_n(v.begin() + static_cast<std::ptrdiff_t>((k - 1) * n), n,
                  v.begin() + static_cast<std::ptrdiff_t>(k / 2 * n));
    k = (k + 1) / 2;
  }
  v.resize(n);
  if (overflows != nullptr) *overflows += wrapped;
  return v;
}

Words argmax_plain(Ring ring, std::span<const Word> x, std::size_t k, std::size_t n, std::uint64_t* overflows) {
  check_windows(x.size(), k, n);
  if (k > kMaxArgmax) throw usage_error("argmax: more than 4096 values");
  Words v(x.begin(), x.end());
  Words index(x.size());
  for (std::size_t j = 0; j < k; ++j)
    for (std::size_t i = 0; i < n; ++i) index[j * n + i] = j;
  std::uint64_t wrapped = 0;
  while (k > 1) {
    for (std::size_t j = 0; j < k; j += 2) {
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t a = j * n + i, out = j / 2 * n + i;
        if (j + 1 == k) {
          v[out] = v[a];
          index[out] = index[a];
          continue;
        }
        const std::size_t b = a + n;
        wrapped += difference_overflows(ring, v[a], v[b]);
        const Word second = ring.msb(ring.sub(v[a], v[b]));
        v[out] = ct::select(second, v[b], v[a]);
        index[out] = ct::select(second, index[b], index[a]);
      }
    }
    k = (k + 1) / 2;
  }
  index.resize(n);
  if (overflows != nullptr) *overflows += wrapped;
  return index;
}

}  // namespace eqo
