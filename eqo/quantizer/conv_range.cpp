#include "eqo/quantizer/conv_range.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "eqo/core/error.h"

namespace eqo::quant {
namespace {

constexpr int kInputRows[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};  // B^T
constexpr int kOutputRows[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};                              // A^T

std::int64_t checked(double bound) {
  if (!(std::abs(bound) < 0x1p61)) throw model_error("a convolution's sums don't fit 62 bits");
  return static_cast<std::int64_t>(bound);
}

}  // namespace

std::pair<std::int64_t, std::int64_t> conv_range(const Node& node, std::span<const std::int64_t> weights,
                                                 std::span<const std::int64_t> bias, const Shape& input,
                                                 std::int64_t lo, std::int64_t hi) {
  // Sums of positive and of negative weights bound the output; double is exact enough after rounding up.
  const auto x_lo = static_cast<double>(std::min<std::int64_t>(lo, 0));
  const auto x_hi = static_cast<double>(std::max<std::int64_t>(hi, 0));
  const auto filters = static_cast<std::size_t>(node.type.shape.c);
  double least = 0, most = 0;
  const auto use = [&](double positive, double negative, std::size_t k) {
    const double b = bias.empty() ? 0 : static_cast<double>(bias[k]);
    least = std::min(least, positive * x_lo + negative * x_hi + b);
    most = std::max(most, positive * x_hi + negative * x_lo + b);
  };
  if (node.domain == ConvDomain::kDirect) {
    const std::size_t inner = weights.size() / filters;
    for (std::size_t k = 0; k < filters; ++k) {
      double positive = 0, negative = 0;
      for (std::size_t i = 0; i < inner; ++i) {
        const auto w = static_cast<double>(weights[k * inner + i]);
        (w > 0 ? positive : negative) += w;
      }
      use(positive, negative, k);
    }
  } else {
    const auto channels = static_cast<std::size_t>(input.c);
    for (std::size_t k = 0; k < filters; ++k)
      for (int o = 0; o < 4; ++o) {
        double positive = 0, negative = 0;
        for (std::size_t c = 0; c < channels; ++c) {
          std::array<double, 16> kernel{};  // the 4x4 kernel of this output of a tile
          for (std::size_t p = 0; p < 16; ++p) {
            const int gain = kOutputRows[o / 2][p / 4] * kOutputRows[o % 2][p % 4];
            if (gain == 0) continue;
            const double u = gain * static_cast<double>(weights[(p * filters + k) * channels + c]);
            for (std::size_t i = 0; i < 4; ++i)
              for (std::size_t j = 0; j < 4; ++j) kernel[4 * i + j] += u * kInputRows[p / 4][i] * kInputRows[p % 4][j];
          }
          for (const double w : kernel) (w > 0 ? positive : negative) += w;
        }
        use(positive, negative, k);
      }
  }
  return {checked(std::floor(least)), checked(std::ceil(most))};
}

std::pair<std::int64_t, std::int64_t> conv_range(const Node& node, std::span<const std::int64_t> bias,
                                                 const Shape& input, std::int64_t lo, std::int64_t hi) {
  const double x = std::max(std::abs(static_cast<double>(lo)), std::abs(static_cast<double>(hi)));
  const auto largest = [](const WeightCode& c) {
    return std::max(std::abs(static_cast<double>(c.min_value())), std::abs(static_cast<double>(c.max_value())));
  };
  double sum = 0;
  if (node.domain == ConvDomain::kDirect) {
    sum = largest(node.codes.at(0)) *
          static_cast<double>(input.c / node.groups * node.window.kernel_h * node.window.kernel_w) * x;
  } else {
    // An output takes nine taps; a transformed input is a signed sum of four values.
    for (int o = 0; o < 4; ++o) {
      double taps = 0;
      for (std::size_t p = 0; p < 16; ++p)
        if (kOutputRows[o / 2][p / 4] * kOutputRows[o % 2][p % 4] != 0) taps += largest(node.codes.at(p));
      sum = std::max(sum, taps * static_cast<double>(input.c) * 4 * x);
    }
  }
  for (const std::int64_t b : bias)
    if (std::abs(static_cast<double>(b)) > sum)
      throw model_error("the bias of '" + node.name + "' is larger than its products can be",
                        "choose another rule for the accumulators' range");
  return {checked(-2 * sum), checked(2 * sum)};
}

}  // namespace eqo::quant
