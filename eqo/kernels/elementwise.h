#pragma once
#include <cstdint>
#include <span>

#include "eqo/core/ct.h"
#include "eqo/core/ring.h"
#include "eqo/core/secret.h"

namespace eqo {

// The integer arithmetic of every element-wise operator, on reduced ring elements read as two's complement: the one
// definition that the twin computes and that the protocols reproduce bit for bit. Everything wraps mod 2^l; nothing
// saturates. Constant time in the values. Widths and shifts are the caller's to check here; the span forms throw
// usage_error for a bad shift, ring or length.

// max(x, 0) for signed x.
constexpr Word relu_plain(Ring ring, Word x) { return x & ct::mask_from_bit(ring.msb(x) ^ 1); }

// floor(x / 2^s), 0 <= s < l: signed (arithmetic shift) or unsigned (logical shift), in the same ring.
constexpr Word truncate_plain(Ring ring, Word x, unsigned s) { return ring.from_signed(ring.to_signed(x) >> s); }
constexpr Word truncate_unsigned_plain(Ring, Word x, unsigned s) { return x >> s; }

// floor(x / 2^s) mod 2^(l - s), 0 <= s < l: the same bits for signed and unsigned x.
constexpr Word truncate_reduce_plain(Ring, Word x, unsigned s) { return x >> s; }

// The same number in a ring at least as wide.
constexpr Word extend_plain(Ring from, Ring to, Word x) { return to.from_signed(from.to_signed(x)); }
constexpr Word extend_unsigned_plain(Ring, Ring, Word x) { return x; }

// floor(x / 2^s), of max(x, 0) with `relu`, for signed x, mod 2^l' of a ring of any width; 0 <= s < l.
constexpr Word requantize_plain(Ring from, Ring to, unsigned s, bool relu, Word x) {
  return to.from_signed(from.to_signed(relu ? relu_plain(from, x) : x) >> s);
}

// b + ReLU(a - b): the maximum if |a - b| < 2^(l-1) as numbers, and this wrapped value otherwise.
constexpr Word max_plain(Ring ring, Word a, Word b) { return ring.add(b, relu_plain(ring, ring.sub(a, b))); }

// 1 if the signed difference a - b does not fit the ring, so that max_plain and argmax_plain go by a wrapped one.
constexpr Word difference_overflows(Ring ring, Word a, Word b) {
  return ring.msb(a ^ b) & ring.msb(a ^ ring.sub(a, b));
}

// min(max(x, 0), hi) for signed x and 0 <= hi < 2^(l-1). No overflow for any x.
constexpr Word clip_plain(Ring ring, Word x, Word hi) {
  return ring.sub(hi, relu_plain(ring, ring.sub(hi, relu_plain(ring, x))));
}

// In place over a tensor.
void relu_plain(Ring ring, std::span<Word> x);
void truncate_plain(Ring ring, std::span<Word> x, unsigned s);
void truncate_unsigned_plain(Ring ring, std::span<Word> x, unsigned s);
void truncate_reduce_plain(Ring ring, std::span<Word> x, unsigned s);
void extend_plain(Ring from, Ring to, std::span<Word> x);
void requantize_plain(Ring from, Ring to, unsigned s, bool relu, std::span<Word> x);
void clip_plain(Ring ring, std::span<Word> x, Word hi);

// The maximum of each of n windows of k values, k >= 1; value j of window i is x[j * n + i].
// The order is fixed: in each round values 0 and 1, 2 and 3, ... of what is left become max(first, second), and an odd
// last one passes on unchanged; so the results keep the order of their values. With differences that fit the ring any
// order gives the maximum; where one wraps, this order defines the result. `overflows`, if given, is increased by the
// number of differences that did not fit.
Words max_tree_plain(Ring ring, std::span<const Word> x, std::size_t k, std::size_t n,
                     std::uint64_t* overflows = nullptr);

// The position (0 .. k-1) of the maximum of each of n vectors of k values, 1 <= k <= 4096, laid out and paired as
// above: the second of a pair wins only if first - second is negative, so ties go to the lowest position.
Words argmax_plain(Ring ring, std::span<const Word> x, std::size_t k, std::size_t n,
                   std::uint64_t* overflows = nullptr);

inline constexpr std::size_t kMaxArgmax = 4096;

// Bits of a position below k: ceil(log2 k), but at least 1.
constexpr unsigned index_bits(std::size_t k) {
  unsigned bits = 1;
  while (bits < 63 && (std::size_t{1} << bits) < k) ++bits;
  return bits;
}

}  // namespace eqo
