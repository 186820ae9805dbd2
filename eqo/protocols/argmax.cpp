#include "eqo/protocols/argmax.h"

#include <algorithm>

#include "eqo/protocols/local.h"
#include "eqo/protocols/mux.h"
#include "eqo/protocols/relu.h"

namespace eqo {
namespace {

void check(std::size_t k) {
  if (k == 0 || k > kMaxArgmax) throw usage_error("argmax: of 1 to " + std::to_string(kMaxArgmax) + " values");
}

// Values and positions are selected in one mux, so in the wider one's ring: mod 2^l the result is the narrower one's.
Ring mux_ring(Ring ring, std::size_t k) { return Ring(std::max(ring.bits(), index_bits(k))); }

std::span<const Word> block(const Words& v, std::size_t j, std::size_t n) { return std::span(v).subspan(j * n, n); }

}  // namespace

Words argmax(Context& ctx, Ring ring, std::span<const Word> x, std::size_t k, std::size_t n,
             const CompareOptions& options) {
  return argmax_by(ctx, ring, x, k, n,
                   SignProtocol([&](std::span<const Word> d) { return less_than_zero(ctx, ring, d, options); }));
}

Words argmax_by(Context& ctx, Ring ring, std::span<const Word> x, std::size_t k, std::size_t n,
                const SignProtocol& sign) {
  check(k);
  if (x.size() % k != 0 || x.size() / k != n) throw usage_error("argmax: the length is not that of n vectors of k");
  const Ring index_ring(index_bits(k)), wide = mux_ring(ring, k);
  Words value(x.begin(), x.end()), index(x.size());
  if (ctx.party == Party::kServer)
    for (std::size_t j = 0; j < k; ++j) std::fill_n(index.begin() + static_cast<std::ptrdiff_t>(j * n), n, Word{j});

  while (k > 1) {
    const std::size_t pairs = k / 2, m = pairs * n;
    Words difference(m);
    for (std::size_t j = 0; j < pairs; ++j)
      for (std::size_t i = 0; i < n; ++i)
        difference[j * n + i] = ring.sub(value[2 * j * n + i], value[(2 * j + 1) * n + i]);
    const Bits second = sign(difference);

    const bool last = k == 2;
    Bits bits(second);
    Words delta(m);
    for (std::size_t j = 0; j < pairs; ++j)
      for (std::size_t i = 0; i < n; ++i) delta[j * n + i] = wide.sub(index[(2 * j + 1) * n + i], index[2 * j * n + i]);
    if (!last) {
      bits.insert(bits.end(), second.begin(), second.end());
      for (const Word d : difference) delta.push_back(wide.neg(d));
    }
    const Words chosen = mux(ctx, wide, bits, delta);

    Words next_value, next_index;
    for (std::size_t j = 0; j < k; j += 2) {
      const auto v = block(value, j, n), p = block(index, j, n);
      next_value.insert(next_value.end(), v.begin(), v.end());
      next_index.insert(next_index.end(), p.begin(), p.end());
    }
    for (std::size_t i = 0; i < m; ++i) {
      next_index[i] = wide.add(next_index[i], chosen[i]);
      if (!last) next_value[i] = ring.add(next_value[i], chosen[m + i]);
    }
    value = std::move(next_value);
    index = std::move(next_index);
    k = pairs + k % 2;
  }
  for (Word& p : index) p = index_ring.reduce(p);
  return index;
}

void argmax_cost(CostMeter& meter, Ring ring, std::size_t k, std::uint64_t n, const CompareOptions& options) {
  argmax_by_cost(meter, ring, k, n, [&](std::uint64_t m) { less_than_zero_cost(meter, ring, m, options); });
}

void argmax_by_cost(CostMeter& meter, Ring ring, std::size_t k, std::uint64_t n,
                    const std::function<void(std::uint64_t)>& sign_cost) {
  check(k);
  const Ring wide = mux_ring(ring, k);
  for (; k > 1; k = (k + 1) / 2) {
    const std::uint64_t m = k / 2 * n;
    sign_cost(m);
    mux_cost(meter, wide, k == 2 ? m : 2 * m);
  }
}

}  // namespace eqo
