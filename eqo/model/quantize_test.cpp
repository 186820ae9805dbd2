#include "eqo/model/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "eqo/core/error.h"
#include "eqo/model/testing/small_models.h"

namespace eqo {
namespace {

TEST(QuantizeImage, RoundsToEvenAndClamps) {
  PublicPlan plan = testing::dot_product({1, 1, 1, 1, 1, 1, 1, 1}, 0, 12, 4).plan;
  plan.input_scale = 0.5;
  const std::vector<float> real{0.25F, 0.75F, -0.25F, -0.75F, 1.1F, 3.5F, 1e30F, -1e30F};
  std::vector<std::int64_t> got;
  for (const Word w : quantize_image(plan, real)) {
    EXPECT_LE(w, Ring(12).mask());
    got.push_back(Ring(12).to_signed(w));
  }
  EXPECT_EQ(got, (std::vector<std::int64_t>{0, 2, 0, -2, 2, 7, 7, -8}));
}

TEST(QuantizeImage, RefusesWhatIsNoImage) {
  const PublicPlan plan = testing::dot_product({1, 1}, 0, 12, 8).plan;
  const auto category = [&](const std::vector<float>& image) {
    try {
      quantize_image(plan, image);
    } catch (const Error& e) {
      return e.category();
    }
    return Category::kInternal;
  };
  EXPECT_EQ(category({1.0F}), Category::kData);
  EXPECT_EQ(category({1.0F, 2.0F, 3.0F}), Category::kData);
  EXPECT_EQ(category({1.0F, std::numeric_limits<float>::quiet_NaN()}), Category::kData);
  EXPECT_EQ(category({std::numeric_limits<float>::infinity(), 0.0F}), Category::kData);
}

TEST(Logits, BecomeProbabilities) {
  PublicPlan plan;
  plan.output_scale = 0.25;
  const std::vector<double> real = logits_to_real(plan, std::vector<std::int64_t>{4, 0, -8});
  EXPECT_EQ(real, (std::vector<double>{1, 0, -2}));
  const std::vector<double> p = softmax(real);
  const double sum = std::exp(1.0) + 1 + std::exp(-2.0);
  EXPECT_NEAR(p[0], std::exp(1.0) / sum, 1e-12);
  EXPECT_NEAR(p[2], std::exp(-2.0) / sum, 1e-12);
  EXPECT_EQ(softmax(std::vector<double>{1e308, 0})[0], 1.0);  // no overflow
  EXPECT_TRUE(softmax({}).empty());
}

TEST(TopLabel, LowestIndexOnTies) {
  EXPECT_EQ(top_label(std::vector<std::int64_t>{-5, 3, 3}), 1);
  EXPECT_EQ(top_label(std::vector<std::int64_t>{-5, -5}), 0);
  EXPECT_THROW(top_label({}), Error);
}

}  // namespace
}  // namespace eqo
