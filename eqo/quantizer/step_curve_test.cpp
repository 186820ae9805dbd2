#include "eqo/quantizer/step_curve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "eqo/core/error.h"

namespace eqo::quant {
namespace {

TEST(Histogram, MatchesTheErrorOfRoundingEveryValue) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal(0, 1);
  for (const bool rectified : {false, true}) {
    std::vector<float> values;
    for (int i = 0; i < 40000; ++i) {
      const auto v = static_cast<float>(normal(random));
      values.push_back(rectified ? std::max(v, 0.0F) : v);
    }
    const Histogram h(values);
    for (const double step : {0.5, 0.1, 0.03, 0.004})
      for (const double levels : {4.0, 64.0}) {
        const double least = rectified ? 0 : -levels / 2, greatest = least + levels - 1;
        double expected = 0;
        for (const float v : values) {
          const double d = v - std::clamp(std::nearbyint(v / step), least, greatest) * step;
          expected += d * d / 40000;
        }
        EXPECT_NEAR(h.error(step, least, greatest), expected, 0.05 * expected) << step << " " << levels;
      }
  }
}

TEST(Histogram, BestStepOfAUniformActivationReachesItsMaximum) {
  std::vector<float> values;
  for (int i = 0; i <= 10000; ++i) values.push_back(static_cast<float>(i) / 10000.0F);
  const StepCurve curve = Histogram(values).curve(4);
  const auto least = std::min_element(curve.cost.begin(), curve.cost.end()) - curve.cost.begin();
  EXPECT_NEAR(std::exp2(static_cast<double>(curve.first + least) / kStepsPerOctave), 1.0 / 15.5, 0.005);
}

TEST(Histogram, ConstantsAndZeros) {
  const Histogram zero(std::vector<float>(10, 0.0F));
  EXPECT_EQ(zero.variance(), 0);
  EXPECT_GE(zero.curve(8).cost.size(), static_cast<std::size_t>(kStepsPerOctave));
  const Histogram three(std::vector<float>(10, 3.0F));
  EXPECT_NEAR(three.variance(), 0, 1e-9);
  EXPECT_LT(three.curve(8).best(0).cost, 1e-3);
  EXPECT_THROW(Histogram(std::vector<float>{}), Error);
  EXPECT_THROW(Histogram(std::vector<float>{1, std::numeric_limits<float>::infinity()}), Error);
}

TEST(StepCurve, BestKeepsTheFraction) {
  StepCurve curve;
  curve.first = -40;
  for (int i = -40; i <= 40; ++i) curve.cost.push_back(std::abs(i - 19));
  for (const double x : {0.0, 0.25, 7.5, -3.125, 100.1875}) {
    const StepCurve::Choice c = curve.best(x);
    EXPECT_NEAR(c.log2_step - x, std::round(c.log2_step - x), 1e-9);
    EXPECT_LE(std::abs(c.log2_step - 19.0 / kStepsPerOctave), 0.5 + 1e-9);
    EXPECT_NEAR(c.cost, std::abs(c.log2_step * kStepsPerOctave - 19), 0.51);
  }
  curve.cost.resize(3);
  EXPECT_THROW(curve.best(0), Error);
}

}  // namespace
}  // namespace eqo::quant
