#include "eqo/model/quantize.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "eqo/core/error.h"

namespace eqo {

std::vector<Word> quantize_image(const PublicPlan& plan, std::span<const float> real) {
  const TensorType& type = plan.nodes.at(0).type;
  if (real.size() != static_cast<std::size_t>(type.shape.size()))
    throw data_error("an image of " + std::to_string(real.size()) + " values, the model takes " +
                     type.shape.to_string());
  const double lo = static_cast<double>(type.lo), hi = static_cast<double>(type.hi);
  const Ring ring = type.ring();
  std::vector<Word> out(real.size());
  bool finite = true;
  for (std::size_t i = 0; i < real.size(); ++i) {
    finite &= std::isfinite(real[i]);
    const double scaled = static_cast<double>(real[i]) / plan.input_scale;
    // The comparisons also turn NaN into a number: it is refused below.
    const double inside = scaled < hi ? (scaled > lo ? scaled : lo) : hi;
    out[i] = ring.from_signed(std::llrint(inside));
  }
  if (!finite) throw data_error("the image has a value that is not a finite number");
  return out;
}

std::vector<double> logits_to_real(const PublicPlan& plan, std::span<const std::int64_t> logits) {
  std::vector<double> real;
  for (const std::int64_t v : logits) real.push_back(static_cast<double>(v) * plan.output_scale);
  return real;
}

std::vector<double> softmax(std::span<const double> real) {
  std::vector<double> p(real.begin(), real.end());
  if (p.empty()) return p;
  const double largest = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& v : p) sum += v = std::exp(v - largest);
  for (double& v : p) v /= sum;
  return p;
}

int top_label(std::span<const std::int64_t> logits) {
  if (logits.empty()) throw usage_error("there are no logits");
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace eqo
