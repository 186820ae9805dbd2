#include "eqo/he/ntt.h"

#include "eqo/core/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eqo/he/ntt.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eqo {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<std::uint32_t, 16>;  // a row of the transposed polynomial is 16 residues
using V = hn::Vec<D>;

#if HWY_TARGET == HWY_SCALAR

// The same operations where there are no vectors: the portable path.
HWY_INLINE V odd_to_even(V x) { return x; }
HWY_INLINE V high_product(V x, V y, V) {
  return hn::Set(D(), static_cast<std::uint32_t>((std::uint64_t{hn::GetLane(x)} * hn::GetLane(y)) >> 32));
}

// A sum of products in 64 bits, kept below p * 2^32: two products add less than that again.
struct Sum {
  std::uint64_t sum = 0;
  HWY_INLINE void add(V x, V w, V) { sum += std::uint64_t{hn::GetLane(x)} * hn::GetLane(w); }
  HWY_INLINE void shorten(std::uint32_t prime) {
    const std::uint64_t less = sum - (std::uint64_t{prime} << 32);
    sum = sum < less ? sum : less;
  }
  // Divided by 2^32 mod p (Montgomery's reduction), below 2p.
  HWY_INLINE V value(V p, V negative_inverse) const {
    const std::uint32_t m = static_cast<std::uint32_t>(sum) * hn::GetLane(negative_inverse);
    return hn::Set(D(), static_cast<std::uint32_t>((sum + std::uint64_t{m} * hn::GetLane(p)) >> 32));
  }
};

HWY_INLINE void transpose(const std::uint32_t* HWY_RESTRICT x, std::size_t rows, std::size_t cols,
                          std::uint32_t* HWY_RESTRICT out) {
  for (std::size_t c = 0; c < cols; ++c)
    for (std::size_t r = 0; r < rows; ++r) out[c * rows + r] = x[r * cols + c];
}

#else

using Wide = hn::RepartitionToWide<D>;

HWY_INLINE V odd_to_even(V x) { return hn::BitCast(D(), hn::ShiftRight<32>(hn::BitCast(Wide(), x))); }
// The high halves of x * y; `y_odd` is odd_to_even(y).
HWY_INLINE V high_product(V x, V y, V y_odd) {
  const V even = hn::BitCast(D(), hn::ShiftRight<32>(hn::MulEven(x, y)));
  return hn::OddEven(hn::BitCast(D(), hn::MulEven(odd_to_even(x), y_odd)), even);
}

// Sums of products of even and of odd lanes in 64 bits, kept below p * 2^32: two products add less than that again.
struct Sum {
  hn::Vec<Wide> even, odd;
  HWY_INLINE Sum() : even(hn::Zero(Wide())), odd(hn::Zero(Wide())) {}
  HWY_INLINE void add(V x, V w, V w_odd) {
    even = even + hn::MulEven(x, w);
    odd = odd + hn::MulEven(odd_to_even(x), w_odd);
  }
  HWY_INLINE void shorten(std::uint32_t prime) {
    const auto bound = hn::Set(Wide(), std::uint64_t{prime} << 32);
    even = hn::Min(even, even - bound);
    odd = hn::Min(odd, odd - bound);
  }
  // Divided by 2^32 mod p (Montgomery's reduction), below 2p.
  HWY_INLINE V value(V p, V negative_inverse) const {
    const auto divided = [&](hn::Vec<Wide> s) {
      const V m = hn::BitCast(D(), hn::MulEven(hn::BitCast(D(), s), negative_inverse));
      return s + hn::MulEven(m, p);
    };
    const V lower = hn::BitCast(D(), hn::ShiftRight<32>(divided(even)));
    return hn::OddEven(hn::BitCast(D(), divided(odd)), lower);
  }
};

// out[c * rows + r] = x[r * cols + c], in tiles of 4 x 4.
HWY_INLINE void transpose(const std::uint32_t* HWY_RESTRICT x, std::size_t rows, std::size_t cols,
                          std::uint32_t* HWY_RESTRICT out) {
  const hn::CappedTag<std::uint32_t, 4> d;
  const hn::CappedTag<std::uint64_t, 2> d64;
  const auto pairs = [&](auto v) { return hn::BitCast(d64, v); };
  for (std::size_t c = 0; c < cols; c += 4)
    for (std::size_t r = 0; r < rows; r += 4) {
      const std::uint32_t* from = x + r * cols + c;
      const auto r0 = hn::LoadU(d, from), r1 = hn::LoadU(d, from + cols), r2 = hn::LoadU(d, from + 2 * cols),
                 r3 = hn::LoadU(d, from + 3 * cols);
      const auto a = pairs(hn::InterleaveLower(d, r0, r1)), b = pairs(hn::InterleaveLower(d, r2, r3));
      const auto e = pairs(hn::InterleaveUpper(d, r0, r1)), f = pairs(hn::InterleaveUpper(d, r2, r3));
      std::uint32_t* to = out + c * rows + r;
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d64, a, b)), d, to);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d64, a, b)), d, to + rows);
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d64, e, f)), d, to + 2 * rows);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d64, e, f)), d, to + 3 * rows);
    }
}

#endif

// A factor with its quotient, and the quotients of the odd lanes moved to the even ones, where products read them.
struct Twiddle {
  V w, quotient, odd_quotient;
};
HWY_INLINE Twiddle twiddle(V w, V quotient) { return {w, quotient, odd_to_even(quotient)}; }
HWY_INLINE Twiddle broadcast(std::uint32_t w, std::uint32_t quotient) {
  const V q = hn::Set(D(), quotient);
  return {hn::Set(D(), w), q, q};
}
HWY_INLINE Twiddle broadcast(modular::Factor f) { return broadcast(f.value, f.quotient); }

// x * w mod p, below 2p; x may be any 32-bit number.
HWY_INLINE V multiply_lazy(V x, const Twiddle& t, V p) {
  return x * t.w - high_product(x, t.quotient, t.odd_quotient) * p;
}
HWY_INLINE V reduce(V x, V p) { return hn::Min(x, x - p); }  // of x < 2p: if x < p, x - p wraps and is larger
HWY_INLINE V multiply(V x, const Twiddle& t, V p) { return reduce(multiply_lazy(x, t, p), p); }
HWY_INLINE V add(V a, V b, V p) { return reduce(a + b, p); }
HWY_INLINE V sub(V a, V b, V p) {
  const V d = a - b;
  return hn::Min(d, d + p);
}

// Two stages on four residues: blocks of the first stage pair (0, 2) and (1, 3), those of the second (0, 1) and (2, 3).
struct Forward {
  Twiddle first, second0, second1;
  HWY_INLINE void operator()(V& x0, V& x1, V& x2, V& x3, V p) const {
    const V t2 = multiply(x2, first, p), t3 = multiply(x3, first, p);
    const V a0 = add(x0, t2, p), a2 = sub(x0, t2, p);
    const V a1 = multiply(x1 + t3, second0, p), a3 = multiply(x1 - t3 + p, second1, p);
    x0 = add(a0, a1, p);
    x1 = sub(a0, a1, p);
    x2 = add(a2, a3, p);
    x3 = sub(a2, a3, p);
  }
};

struct Inverse {
  Twiddle first, second0, second1;
  HWY_INLINE void operator()(V& x0, V& x1, V& x2, V& x3, V p) const {
    const V a0 = add(x0, x1, p), a2 = add(x2, x3, p);
    const V a1 = multiply(x0 - x1 + p, second0, p), a3 = multiply(x2 - x3 + p, second1, p);
    x0 = add(a0, a2, p);
    x1 = add(a1, a3, p);
    x2 = multiply(a0 - a2 + p, first, p);
    x3 = multiply(a1 - a3 + p, first, p);
  }
};

// The inverse's last two stages, with its factor 1 / N: `scaled` is the last twiddle factor times that.
struct InverseLast {
  Twiddle scaled, second0, second1, scale;
  HWY_INLINE void operator()(V& x0, V& x1, V& x2, V& x3, V p) const {
    const V a0 = add(x0, x1, p), a2 = add(x2, x3, p);
    const V a1 = multiply(x0 - x1 + p, second0, p), a3 = multiply(x2 - x3 + p, second1, p);
    x0 = multiply(a0 + a2, scale, p);
    x1 = multiply(a1 + a3, scale, p);
    x2 = multiply(a0 - a2 + p, scaled, p);
    x3 = multiply(a1 - a3 + p, scaled, p);
  }
};

// `count` vectors, `step` residues apart, of each of the four quarters that begin `quarter` residues apart.
template <class F>
HWY_INLINE void quads(const F& f, std::uint32_t* HWY_RESTRICT x, std::size_t quarter, std::size_t step,
                      std::size_t count, V p) {
  const D d;
  for (std::size_t i = 0; i < count; ++i, x += step) {
    V x0 = hn::LoadU(d, x), x1 = hn::LoadU(d, x + quarter), x2 = hn::LoadU(d, x + 2 * quarter),
      x3 = hn::LoadU(d, x + 3 * quarter);
    f(x0, x1, x2, x3, p);
    hn::StoreU(x0, d, x);
    hn::StoreU(x1, d, x + quarter);
    hn::StoreU(x2, d, x + 2 * quarter);
    hn::StoreU(x3, d, x + 3 * quarter);
  }
}

HWY_INLINE Twiddle top_twiddle(const NttTables::Direction& t, std::size_t i) {
  return broadcast(t.top[i], t.top_quotients[i]);
}
HWY_INLINE Twiddle low_twiddle(const NttTables::Direction& t, std::size_t row, std::size_t lane) {
  const D d;
  return twiddle(hn::LoadU(d, t.low.data() + 16 * row + lane), hn::LoadU(d, t.low_quotients.data() + 16 * row + lane));
}

// Two stages of the transposed polynomial, the first of m blocks of 4 * quarter rows.
template <class F>
HWY_INLINE void low_stages(const NttTables::Direction& t, std::size_t m, std::size_t quarter, std::uint32_t* x, V p) {
  const std::size_t lanes = hn::Lanes(D());
  for (std::size_t b = 0; b < m; ++b)
    for (std::size_t lane = 0; lane < 16; lane += lanes)
      quads(
          F{low_twiddle(t, m + b, lane), low_twiddle(t, 2 * m + 2 * b, lane), low_twiddle(t, 2 * m + 2 * b + 1, lane)},
          x + b * 64 * quarter + lane, 16 * quarter, 16, quarter, p);
}

// A single stage of one block: where the number of stages is odd.
HWY_INLINE void low_single_forward(const NttTables::Direction& t, std::size_t half, std::uint32_t* x, V p) {
  const D d;
  for (std::size_t lane = 0; lane < 16; lane += hn::Lanes(d)) {
    const Twiddle w = low_twiddle(t, 1, lane);
    for (std::size_t i = lane; i < 16 * half; i += 16) {
      const V x0 = hn::LoadU(d, x + i), x1 = multiply(hn::LoadU(d, x + i + 16 * half), w, p);
      hn::StoreU(add(x0, x1, p), d, x + i);
      hn::StoreU(sub(x0, x1, p), d, x + i + 16 * half);
    }
  }
}
HWY_INLINE void low_single_inverse(const NttTables::Direction& t, std::size_t half, std::uint32_t* x, V p) {
  const D d;
  for (std::size_t lane = 0; lane < 16; lane += hn::Lanes(d)) {
    const Twiddle w = low_twiddle(t, 1, lane);
    for (std::size_t i = lane; i < 16 * half; i += 16) {
      const V x0 = hn::LoadU(d, x + i), x1 = hn::LoadU(d, x + i + 16 * half);
      hn::StoreU(add(x0, x1, p), d, x + i);
      hn::StoreU(multiply(x0 - x1 + p, w, p), d, x + i + 16 * half);
    }
  }
}

void forward(const NttTables& tables, std::uint32_t* x, std::uint32_t* out) {
  const NttTables::Direction& t = tables.forward();
  const std::size_t n = tables.degree(), rows = n / 16, lanes = hn::Lanes(D());
  const V p = hn::Set(D(), tables.prime());
  for (std::size_t m = 1; m <= 4; m *= 4)
    for (std::size_t b = 0; b < m; ++b) {
      const std::size_t quarter = n / (4 * m);
      quads(Forward{top_twiddle(t, m + b), top_twiddle(t, 2 * m + 2 * b), top_twiddle(t, 2 * m + 2 * b + 1)},
            x + b * 4 * quarter, quarter, lanes, quarter / lanes, p);
    }
  transpose(x, 16, rows, out);
  std::size_t m = 1;
  if (hwy::Num0BitsBelowLS1Bit_Nonzero64(rows) % 2 == 1) {
    low_single_forward(t, rows / 2, out, p);
    m = 2;
  }
  for (; m < rows; m *= 4) low_stages<Forward>(t, m, rows / (4 * m), out, p);
}

void inverse(const NttTables& tables, std::uint32_t* x, std::uint32_t* out) {
  const NttTables::Direction& t = tables.inverse();
  const std::size_t n = tables.degree(), rows = n / 16, lanes = hn::Lanes(D());
  const V p = hn::Set(D(), tables.prime());
  std::size_t m = rows / 4;
  for (; m >= 1; m /= 4) low_stages<Inverse>(t, m, rows / (4 * m), x, p);
  if (hwy::Num0BitsBelowLS1Bit_Nonzero64(rows) % 2 == 1) low_single_inverse(t, rows / 2, x, p);
  transpose(x, rows, 16, out);
  for (std::size_t b = 0; b < 4; ++b)
    quads(Inverse{top_twiddle(t, 4 + b), top_twiddle(t, 8 + 2 * b), top_twiddle(t, 9 + 2 * b)}, out + b * (n / 4),
          n / 16, lanes, n / 16 / lanes, p);
  quads(InverseLast{broadcast(tables.scaled_last()), top_twiddle(t, 2), top_twiddle(t, 3), broadcast(tables.scale())},
        out, n / 4, lanes, n / 4 / lanes, p);
}

void dot(const NttTerm* terms, std::size_t n, std::size_t size, std::uint32_t prime, std::uint32_t* HWY_RESTRICT out_a,
         std::uint32_t* HWY_RESTRICT out_b) {
  const D d;
  const V p = hn::Set(d, prime), inv = hn::Set(d, modular::negative_inverse(prime));
  for (std::size_t i = 0; i < size; i += hn::Lanes(d)) {
    Sum a, b;
    const auto add = [&](const NttTerm& t) HWY_ATTR {
      const V w = hn::LoadU(d, t.w + i), w_odd = odd_to_even(w);
      a.add(hn::LoadU(d, t.a + i), w, w_odd);
      b.add(hn::LoadU(d, t.b + i), w, w_odd);
    };
    std::size_t j = 0;
    for (; j + 2 <= n; j += 2) {
      add(terms[j]);
      add(terms[j + 1]);
      a.shorten(prime);
      b.shorten(prime);
    }
    if (j < n) {
      add(terms[j]);
      a.shorten(prime);
      b.shorten(prime);
    }
    hn::StoreU(reduce(a.value(p, inv), p), d, out_a + i);
    hn::StoreU(reduce(b.value(p, inv), p), d, out_b + i);
  }
}

void multiply_values(const std::uint32_t* x, const std::uint32_t* y, std::size_t size, std::uint32_t prime,
                     std::uint32_t* out) {
  const D d;
  const V p = hn::Set(d, prime), inv = hn::Set(d, modular::negative_inverse(prime));
  for (std::size_t i = 0; i < size; i += hn::Lanes(d)) {
    Sum s;
    const V w = hn::LoadU(d, y + i);
    s.add(hn::LoadU(d, x + i), w, odd_to_even(w));
    hn::StoreU(reduce(s.value(p, inv), p), d, out + i);
  }
}

const char* ntt_target() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace eqo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eqo {
namespace {

HWY_EXPORT(forward);
HWY_EXPORT(inverse);
HWY_EXPORT(dot);
HWY_EXPORT(multiply_values);
HWY_EXPORT(ntt_target);

void check_sizes(std::size_t n, std::size_t x, std::size_t out) {
  if (x != n || out != n) throw internal_error("transform: a polynomial of the wrong length");
}

}  // namespace

void ntt_forward(const NttTables& tables, std::span<std::uint32_t> x, std::span<std::uint32_t> out) {
  check_sizes(tables.degree(), x.size(), out.size());
  HWY_DYNAMIC_DISPATCH(forward)(tables, x.data(), out.data());
}

void ntt_inverse(const NttTables& tables, std::span<std::uint32_t> x, std::span<std::uint32_t> out) {
  check_sizes(tables.degree(), x.size(), out.size());
  HWY_DYNAMIC_DISPATCH(inverse)(tables, x.data(), out.data());
}

void ntt_dot(std::span<const NttTerm> terms, std::uint32_t prime, std::span<std::uint32_t> out_a,
             std::span<std::uint32_t> out_b) {
  if (terms.empty() || out_a.size() != out_b.size() || out_a.size() % 16 != 0)
    throw internal_error("transform: a sum of products of the wrong shape");
  HWY_DYNAMIC_DISPATCH(dot)(terms.data(), terms.size(), out_a.size(), prime, out_a.data(), out_b.data());
}

void ntt_multiply(std::span<const std::uint32_t> x, std::span<const std::uint32_t> y, std::uint32_t prime,
                  std::span<std::uint32_t> out) {
  if (x.size() != out.size() || y.size() != out.size() || out.size() % 16 != 0)
    throw internal_error("transform: products of the wrong length");
  HWY_DYNAMIC_DISPATCH(multiply_values)(x.data(), y.data(), x.size(), prime, out.data());
}

const char* ntt_target_name() { return HWY_DYNAMIC_DISPATCH(ntt_target)(); }

}  // namespace eqo
#endif
