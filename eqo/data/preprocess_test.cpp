#include "eqo/data/preprocess.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "eqo/core/error.h"

namespace eqo {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

Image random_image(Shape shape, std::mt19937& rng) {
  Image image{shape, std::vector<std::uint8_t>(at(shape.size()))};
  for (auto& p : image.pixels) p = static_cast<std::uint8_t>(rng());
  return image;
}

Category category_of(const Preprocess& p, const Image& image) {
  try {
    p.apply(image);
  } catch (const Error& e) {
    return e.category();
  }
  return Category::kInternal;
}

TEST(Preprocess, AnImageOfTheRightSizeIsOnlyNormalized) {
  std::mt19937 rng(1);
  for (const int resize : {0, 36}) {
    const Preprocess p{{3, 32, 32}, resize, {0.5, 0.25, 0.125}, {0.25, 0.5, 0.2}};
    const Image image = random_image(p.shape, rng);
    EXPECT_EQ(p.fit(image).pixels, image.pixels);
    const std::vector<float> x = p.apply(image);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double expected = (image.pixels[i] / 255.0 - p.mean[i / 1024]) / p.std[i / 1024];
      ASSERT_EQ(x[i], static_cast<float>(expected)) << i;
    }
  }
}

TEST(Preprocess, TheCropIsTheMiddle) {
  std::mt19937 rng(2);
  const Preprocess p{{3, 8, 8}};
  const Image image = random_image({3, 15, 8}, rng);  // the shorter side fits: nothing is scaled
  const Image out = p.fit(image);
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t i = 0; i < 64; ++i) ASSERT_EQ(out.pixels[at(c * 64 + i)], image.pixels[at(c * 120 + 3 * 8 + i)]);
  }
}

TEST(Preprocess, TriangleFilterHalves) {
  // 4 -> 2: each output is 1/7 (3, 3, 1) of the three pixels nearest to it.
  const Image row{{1, 4, 4}, {7, 70, 14, 210, 7, 70, 14, 210, 7, 70, 14, 210, 7, 70, 14, 210}};
  const Image out = Preprocess{{1, 2, 2}}.fit(row);
  EXPECT_EQ(out.pixels, (std::vector<std::uint8_t>{35, 106, 35, 106}));  // 35, (70 + 42 + 630) / 7
  const Image wide = Preprocess{{1, 2, 2}, 4}.fit(row);                  // not scaled, cropped
  EXPECT_EQ(wide.pixels, (std::vector<std::uint8_t>{70, 14, 70, 14}));
}

TEST(Preprocess, ScalingKeepsConstantsAndBounds) {
  std::mt19937 rng(3);
  for (int round = 0; round < 60; ++round) {
    const Shape from{round % 2 == 0 ? 3 : 1, 1 + static_cast<std::int64_t>(rng() % 70),
                     1 + static_cast<std::int64_t>(rng() % 70)};
    const Shape to{3, 1 + static_cast<std::int64_t>(rng() % 40), 1 + static_cast<std::int64_t>(rng() % 40)};
    const auto value = static_cast<std::uint8_t>(rng());
    const Preprocess p{to, round % 3 == 0 ? 48 : 0};
    const Image flat = p.fit({from, std::vector<std::uint8_t>(at(from.size()), value)});
    ASSERT_EQ(flat.shape, to);
    for (const std::uint8_t v : flat.pixels) ASSERT_EQ(v, value) << from.to_string() << " to " << to.to_string();
    ASSERT_EQ(p.apply(random_image(from, rng)).size(), at(to.size()));
  }
  // A ribbon: the scaled image would have 2^19 columns, of which 32 are made.
  EXPECT_EQ((Preprocess{{3, 32, 32}}.fit(random_image({3, 1, 16384}, rng)).shape), (Shape{3, 32, 32}));
}

TEST(Preprocess, GreyAndColour) {
  const Image colour{{3, 1, 2}, {255, 10, 255, 20, 255, 30}};
  EXPECT_EQ((Preprocess{{1, 1, 2}}.fit(colour).pixels), (std::vector<std::uint8_t>{255, 18}));  // 18.15
  const Image grey{{1, 1, 2}, {5, 9}};
  EXPECT_EQ((Preprocess{{3, 1, 2}}.fit(grey).pixels), (std::vector<std::uint8_t>{5, 9, 5, 9, 5, 9}));
}

TEST(Preprocess, RefusesWhatMakesNoSense) {
  const Image image{{3, 2, 2}, std::vector<std::uint8_t>(12)};
  EXPECT_EQ(category_of({{3, 2, 2}}, {{3, 2, 2}, std::vector<std::uint8_t>(11)}), Category::kData);
  EXPECT_EQ(category_of({{3, 2, 2}}, {{2, 2, 2}, std::vector<std::uint8_t>(8)}), Category::kData);
  EXPECT_EQ(category_of({{3, 2, 2}}, {{3, 0, 2}, {}}), Category::kData);
  EXPECT_EQ(category_of({{2, 2, 2}}, image), Category::kData);  // such a model takes no pictures
  EXPECT_EQ(category_of({{0, 2, 2}}, image), Category::kUsage);
  EXPECT_EQ(category_of({{3, 0, 2}}, image), Category::kUsage);
  EXPECT_EQ(category_of({{3, std::int64_t{1} << 40, 2}}, image), Category::kUsage);
  EXPECT_EQ(category_of({{3, 4, 4}, 3}, image), Category::kUsage);
  EXPECT_EQ(category_of({{3, 4, 4}, -1}, image), Category::kUsage);
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_EQ(category_of({{3, 2, 2}, 0, {0, 0, 0}, {1, 1, bad}}, image), Category::kUsage);
  }
  EXPECT_EQ(category_of({{3, 2, 2}, 0, {0, std::nan(""), 0}, {1, 1, 1}}, image), Category::kUsage);
}

}  // namespace
}  // namespace eqo
