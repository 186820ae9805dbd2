#include "eqo/protocols/maximum.h"

#include <algorithm>

#include "eqo/protocols/local.h"
#include "eqo/protocols/relu.h"

namespace eqo {

Words maximum(Context& ctx, Ring ring, std::span<const Word> a, std::span<const Word> b,
              const CompareOptions& options) {
  require_length("maximum", b.size(), a.size());
  Words d(a.size());
  for_each_index(ctx, d.size(), [&](std::size_t i) { d[i] = ring.sub(a[i], b[i]); });
  Words y = relu(ctx, ring, d, options);
  for_each_index(ctx, y.size(), [&](std::size_t i) { y[i] = ring.add(y[i], b[i]); });
  return y;
}

void maximum_cost(CostMeter& meter, Ring ring, std::uint64_t n, const CompareOptions& options) {
  relu_cost(meter, ring, n, options);
}

Words max_tree(Context& ctx, Ring ring, std::span<const Word> x, std::size_t k, std::size_t n,
               const CompareOptions& options) {
  if (k == 0 || x.size() % k != 0 || x.size() / k != n)
    throw usage_error("max_tree: the length is not k windows' of n");
  Words v(x.begin(), x.end());
  while (k > 1) {
    const std::size_t pairs = k / 2;
    Words a, b;
    a.reserve(pairs * n);
    b.reserve(pairs * n);
    for (std::size_t j = 0; j < pairs; ++j) {
      const auto first = v.begin() + static_cast<std::ptrdiff_t>(2 * j * n);
      const auto second = first + static_cast<std::ptrdiff_t>(n);
      a.insert(a.end(), first, second);
      b.insert(b.end(), second, second + static_cast<std::ptrdiff_t>(n));
    }
    Words next = maximum(ctx, ring, a, b, options);
    if (k % 2 == 1) next.insert(next.end(), v.end() - static_cast<std::ptrdiff_t>(n), v.end());
    v = std::move(next);
    k = pairs + k % 2;
  }
  return v;
}

void max_tree_cost(CostMeter& meter, Ring ring, std::size_t k, std::uint64_t n, const CompareOptions& options) {
  if (k == 0) throw usage_error("max_tree: no values");
  for (; k > 1; k = (k + 1) / 2) maximum_cost(meter, ring, k / 2 * n, options);
}

}  // namespace eqo
