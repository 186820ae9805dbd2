#include "eqo/train/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "eqo/core/error.h"

namespace eqo {
namespace {

// n images of random pixels; image i has label i % 3.
class RandomSet final : public Dataset {
 public:
  RandomSet(std::size_t n, Shape shape) : n_(n), shape_(shape) {}
  std::size_t size() const override { return n_; }
  int label(std::size_t i) const override { return static_cast<int>(i % 3); }
  Image image(std::size_t i) const override {
    std::mt19937 rng(static_cast<std::uint32_t>(i));
    Image image{shape_, std::vector<std::uint8_t>(static_cast<std::size_t>(shape_.size()))};
    for (auto& p : image.pixels) p = static_cast<std::uint8_t>(rng());
    return image;
  }

 private:
  std::size_t n_;
  Shape shape_;
};

const Preprocess kPreprocess{{3, 6, 5}};

TEST(Sampler, BatchesAreTheNormalizedImages) {
  const RandomSet set(7, kPreprocess.shape);
  const Sampler sampler(set, kPreprocess, 3);
  ASSERT_EQ(sampler.size(), 7U);
  const std::vector<std::uint32_t> indices = {4, 0, 6};
  std::vector<float> images, plain;
  std::vector<std::int32_t> labels;
  sampler.batch(indices, images, labels);
  EXPECT_EQ(labels, (std::vector<std::int32_t>{1, 0, 0}));
  for (const std::uint32_t i : indices) {
    const std::vector<float> x = kPreprocess.apply(set.image(i));
    plain.insert(plain.end(), x.begin(), x.end());
  }
  EXPECT_EQ(images, plain);
  std::mt19937_64 rng(1);
  sampler.augmented_batch(indices, {0, false}, rng, images, labels);
  EXPECT_EQ(images, plain);
}

TEST(Sampler, OrderIsASeededPermutation) {
  const Sampler sampler(RandomSet(100, kPreprocess.shape), kPreprocess, 3);
  const std::vector<std::uint32_t> order = sampler.order(5, 2);
  EXPECT_EQ(order, sampler.order(5, 2));
  EXPECT_NE(order, sampler.order(5, 3));
  EXPECT_NE(order, sampler.order(6, 2));
  EXPECT_NE(order, sampler.order(5 + (std::uint64_t{1} << 32), 2));
  std::vector<std::uint32_t> sorted = order, all(100);
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), 0U);
  EXPECT_EQ(sorted, all);
  EXPECT_EQ(Sampler::generator(5, 2)(), Sampler::generator(5, 2)());
  EXPECT_NE(Sampler::generator(5, 2)(), Sampler::generator(5, 3)());
}

// Every augmented image is one of the crops of the padded image, straight or mirrored, and all of them occur.
TEST(Sampler, AugmentationIsACropOfThePaddedImage) {
  constexpr int kPad = 2, kRounds = 4000;
  const Shape s = kPreprocess.shape;
  const RandomSet set(1, s);
  const std::vector<float> x = kPreprocess.apply(set.image(0));
  std::map<std::vector<float>, int> crops;
  for (int dy = -kPad; dy <= kPad; ++dy) {
    for (int dx = -kPad; dx <= kPad; ++dx) {
      for (const bool mirror : {false, true}) {
        std::vector<float> crop;
        for (std::int64_t c = 0; c < s.c; ++c) {
          for (std::int64_t y = 0; y < s.h; ++y) {
            for (std::int64_t i = 0; i < s.w; ++i) {
              const std::int64_t sy = y + dy, sx = (mirror ? s.w - 1 - i : i) + dx;
              const bool inside = sy >= 0 && sy < s.h && sx >= 0 && sx < s.w;
              crop.push_back(inside ? x[static_cast<std::size_t>((c * s.h + sy) * s.w + sx)] : 0.0F);
            }
          }
        }
        crops[crop] = 0;
      }
    }
  }
  ASSERT_EQ(crops.size(), 50U);
  const Sampler sampler(set, kPreprocess, 3);
  std::mt19937_64 rng(1);
  const std::vector<std::uint32_t> indices(kRounds, 0);
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  sampler.augmented_batch(indices, {kPad, true}, rng, images, labels);
  for (std::size_t i = 0; i < kRounds; ++i) {
    const auto begin = images.begin() + static_cast<std::ptrdiff_t>(i * x.size());
    const auto found = crops.find(std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(x.size())));
    ASSERT_NE(found, crops.end()) << "image " << i;
    ++found->second;
  }
  for (const auto& [crop, count] : crops) EXPECT_NEAR(count, 80, 45);  // five standard deviations
}

TEST(Sampler, PaddingBeyondTheImage) {
  const Sampler sampler(RandomSet(1, kPreprocess.shape), kPreprocess, 3);
  std::mt19937_64 rng(1);
  const std::vector<std::uint32_t> indices(200, 0);
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  sampler.augmented_batch(indices, {64, true}, rng, images, labels);
  EXPECT_EQ(images.size(), 200U * 90);
}

TEST(Sampler, Refusals) {
  const auto category = [](std::size_t n, int classes, std::size_t max_bytes) {
    try {
      Sampler(RandomSet(n, {3, 8, 8}), kPreprocess, classes, max_bytes);
    } catch (const Error& e) {
      return e.category();
    }
    return Category::kInternal;
  };
  EXPECT_EQ(category(4, 3, 359), Category::kResource);
  EXPECT_EQ(category(4, 3, 360), Category::kInternal);  // accepted
  EXPECT_EQ(category(4, 2, 360), Category::kData);
  EXPECT_EQ(category(0, 3, 360), Category::kData);
}

}  // namespace
}  // namespace eqo
