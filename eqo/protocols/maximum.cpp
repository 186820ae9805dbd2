#include "eqo/protocols/maximum.h"

#include <algorithm>

#include "eqo/protocols/local.h"
#include "eqo/protocols/relu.h"

namespace eqo {

namespace {

Words maximum(Context& ctx, Ring ring, std::span<const Word> a, std::span<const Word> b, const ReluProtocol& positive) {
  require_length("maximum", b.size(), a.size());
  Words d(a.size());
  for_each_index(ctx, d.size(), [&](std::size_t i) { d[i] = ring.sub(a[i], b[i]); });
  Words y = positive(d);
  for_each_index(ctx, y.size(), [&](std::size_t i) { y[i] = ring.add(y[i], b[i]); });
  return y;
}

ReluProtocol relu_with(Context& ctx, Ring ring, const CompareOptions& options) {
  return [&ctx, ring, &options](std::span<const Word> d) { return relu(ctx, ring, d, options); };
}

}  // namespace

Words maximum(Context& ctx, Ring ring, std::span<const Word> a, std::span<const Word> b,
              const CompareOptions& options) {
  return maximum(ctx, ring, a, b, relu_with(ctx, ring, options));
}

void maximum_cost(CostMeter& meter, Ring ring, std::uint64_t n, const CompareOptions& options) {
  relu_cost(meter, ring, n, options);
}

Words max_tree(Context& ctx, Ring ring, std::span<const Word> x, std::size_t k, std::size_t n,
               const CompareOptions& options) {
  return max_tree_by(ctx, ring, x, k, n, relu_with(ctx, ring, options));
}

Words max_tree_by(Context& ctx, Ring ring, std::span<const Word> x, std::size_t k, std::size_t n,
                  const ReluProtocol& positive) {
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
    Words next = maximum(ctx, ring, a, b, positive);
    if (k % 2 == 1) next.insert(next.end(), v.end() - static_cast<std::ptrdiff_t>(n), v.end());
    v = std::move(next);
    k = pairs + k % 2;
  }
  return v;
}

void max_tree_cost(CostMeter& meter, Ring ring, std::size_t k, std::uint64_t n, const CompareOptions& options) {
  max_tree_by_cost(k, n, [&](std::uint64_t m) { maximum_cost(meter, ring, m, options); });
}

void max_tree_by_cost(std::size_t k, std::uint64_t n, const std::function<void(std::uint64_t)>& relu_cost) {
  if (k == 0) throw usage_error("max_tree: no values");
  for (; k > 1; k = (k + 1) / 2) relu_cost(k / 2 * n);
}

}  // namespace eqo
