#include "eqo/quantizer/reweight.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "eqo/core/error.h"
#include "eqo/quantizer/tap_sample.h"

namespace eqo::quant {
namespace {

constexpr std::size_t kSampled = 1024;  // weights of a tap
constexpr unsigned kFewBits = 4;        // up to which two gaps are tried

WeightCode code_of(const std::vector<unsigned>& pattern, unsigned base, std::int64_t offset) {
  WeightCode code;
  for (const unsigned e : pattern) {
    code.exponents.push_back(static_cast<std::uint8_t>(base + e));
    code.signs.push_back(1);
  }
  code.offset = offset;
  return code;
}

class Search {
 public:
  Search(const TapSample& view, const WeightCode& uniform, double step)
      : view_(view), step_(step), best_(uniform), least_(error_of(uniform)) {}

  double error_of(const WeightCode& code) const {
    return view_.error(Levels(code), std::ldexp(step_, static_cast<int>(code.shift)));
  }

  // Offsets from `start` on downhill, by ever smaller moves.
  void descend(const std::vector<unsigned>& pattern, unsigned base, std::int64_t start) {
    WeightCode code = code_of(pattern, base, start);
    double error = error_of(code);
    for (std::int64_t move = std::int64_t{1} << base; move >= 1; move /= 2)
      for (const std::int64_t delta : {move, -move}) {
        WeightCode other = code;
        other.offset += delta;
        const double found = error_of(other);
        if (found >= error) continue;
        error = found;
        code = other;
      }
    if (error >= least_) return;
    least_ = error;
    best_ = code;
  }

  const WeightCode& best() const { return best_; }

 private:
  const TapSample& view_;
  double step_;
  WeightCode best_;
  double least_;
};

}  // namespace

unsigned place_sum(const WeightCode& code) {
  unsigned sum = 0;
  for (unsigned i = 0; i < code.bits(); ++i) sum += code.place(i);
  return sum;
}

std::vector<std::vector<unsigned>> significance_patterns(unsigned bits) {
  if (bits < 1 || bits > 8) throw usage_error("weights of " + std::to_string(bits) + " bits (1 to 8 are possible)");
  // Bits a gap is in front of; 0 stands for none.
  std::vector<std::vector<unsigned>> out;
  for (unsigned first = 0; first < bits; ++first)
    for (unsigned second = 0; second < bits && second <= first; ++second) {
      if (second != 0 && bits > kFewBits) continue;
      std::vector<unsigned> pattern;
      for (unsigned i = 0; i < bits; ++i)
        pattern.push_back(i + (first != 0 && i >= first ? 1U : 0U) + (second != 0 && i >= second ? 1U : 0U));
      out.push_back(std::move(pattern));
    }
  return out;
}

WeightCode reweighted_code(const LinearWeights& w, std::size_t tap, const WeightCode& uniform, double step) {
  const TapSample view(w, tap, std::max<std::size_t>(1, w.filters * w.inner / kSampled) | 1U);
  Search search(view, uniform, step);
  const unsigned needed = place_sum(uniform), bits = uniform.bits();
  const double centre = view.mean() / step;
  for (const std::vector<unsigned>& pattern : significance_patterns(bits)) {
    const unsigned top = pattern.back();
    std::int64_t lower = 0;  // sum of all bits but the highest
    unsigned sum = top;
    for (std::size_t i = 0; i + 1 < pattern.size(); ++i) {
      lower += std::int64_t{1} << pattern[i];
      sum += pattern[i];
    }
    const std::int64_t highest = std::int64_t{1} << top;
    const bool gap = top >= bits;
    for (unsigned base = 0; base <= uniform.place(0) + 1 && base + top <= kMaxSignificance; ++base) {
      if (sum + base * bits < needed) continue;
      // The weights' mean in the middle of the levels, of the lower half of them, of the upper one.
      std::set<std::int64_t> twice{lower + highest};
      if (gap) twice.insert({lower, lower + 2 * highest});
      for (const std::int64_t t : twice)
        search.descend(pattern, base,
                       std::llrint(centre - std::ldexp(static_cast<double>(t), static_cast<int>(base) - 1)));
    }
  }
  return search.best();
}

}  // namespace eqo::quant
