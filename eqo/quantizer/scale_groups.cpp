#include <cmath>
#include <numeric>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/quantizer/scale_solver.h"

namespace eqo::quant {
namespace {

// A positive ratio of odd numbers in lowest terms.
struct OddRatio {
  std::int64_t num = 1, den = 1;
  friend bool operator==(const OddRatio&, const OddRatio&) = default;
};

std::int64_t odd_part(std::int64_t n) {
  while (n > 1 && n % 2 == 0) n /= 2;
  return n;
}

OddRatio product(OddRatio a, OddRatio b, const std::string& name) {
  const std::int64_t g = std::gcd(a.num, b.den), h = std::gcd(b.num, a.den);
  OddRatio out;
  if (__builtin_mul_overflow(a.num / g, b.num / h, &out.num) || __builtin_mul_overflow(a.den / h, b.den / g, &out.den))
    throw model_error("too many average poolings before '" + name + "'", "their window sizes multiply beyond 2^63");
  return out;
}

OddRatio inverse(OddRatio a) { return {a.den, a.num}; }

// Union-find whose edges carry the ratio of a tensor's scale to its parent's.
class WeightedUnion {
 public:
  explicit WeightedUnion(std::size_t n) : parent_(n), ratio_(n) { std::iota(parent_.begin(), parent_.end(), 0U); }

  // The root, and the tensor's ratio to it.
  std::pair<std::size_t, OddRatio> find(std::size_t t, const std::string& name) {
    OddRatio ratio;
    std::size_t root = t;
    while (parent_[root] != root) {
      ratio = product(ratio, ratio_[root], name);
      root = parent_[root];
    }
    parent_[t] = root;
    ratio_[t] = t == root ? OddRatio{} : ratio;
    return {root, ratio};
  }

  // scale(a) = scale(b) * ratio.
  void join(std::size_t a, std::size_t b, OddRatio ratio, const std::string& name) {
    const auto [ra, to_a] = find(a, name);
    const auto [rb, to_b] = find(b, name);
    const OddRatio wanted = product(product(ratio, to_b, name), inverse(to_a), name);
    if (ra == rb) {
      if (wanted != OddRatio{})
        throw model_error("'" + name + "' combines tensors whose scales differ by a factor that is no power of two",
                          "an average pooling over such a number of values must be followed by a linear layer");
      return;
    }
    parent_[ra] = rb;
    ratio_[ra] = wanted;
  }

 private:
  std::vector<std::size_t> parent_;
  std::vector<OddRatio> ratio_;
};

}  // namespace

ScaleGroups::ScaleGroups(const FloatGraph& graph) {
  const std::size_t n = graph.nodes.size();
  WeightedUnion sets(n);
  for (std::size_t i = 0; i < n; ++i) {
    const FloatNode& node = graph.nodes[i];
    if (is_linear(node.op)) continue;
    OddRatio ratio;
    if (node.op == FloatOp::kAvgPool) ratio.den = odd_part(node.window.kernel_h * node.window.kernel_w);
    for (const int in : node.inputs) sets.join(i, static_cast<std::size_t>(in), ratio, node.name);
  }
  std::vector<std::size_t> index(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto [root, ratio] = sets.find(i, graph.nodes[i].name);
    if (index[root] == n) index[root] = count_++;
    group_.push_back(index[root]);
    ratio_.push_back(static_cast<double>(ratio.num) / static_cast<double>(ratio.den));
  }
}

int exact_log2_ratio(double a, double b) {
  int exponent = 0;
  const double fraction = std::frexp(a / b, &exponent);
  // The quotient of two scales of a group is a power of two up to the rounding of the ratio itself.
  if (std::abs(fraction - 0.5) < 1e-9) return exponent - 1;
  if (std::abs(fraction - 1.0) < 1e-9) return exponent;
  throw internal_error("two scales that must be aligned differ by " + std::to_string(a / b));
}

}  // namespace eqo::quant
