#include "eqo/model/eval.h"

#include <gtest/gtest.h>

#include "eqo/core/error.h"
#include "eqo/model/quantize.h"
#include "eqo/model/testing/naive.h"
#include "eqo/model/testing/small_models.h"

namespace eqo {
namespace {

// Vectors whose label is the place of their greatest value, but for every fifth.
class VectorSet : public Dataset {
 public:
  VectorSet(std::size_t n, std::int64_t width) : n_(n), width_(width) { classes_ = static_cast<int>(width); }
  std::size_t size() const override { return n_; }
  int label(std::size_t i) const override { return static_cast<int>((i + (i % 5 == 4 ? 1 : 0)) % 4); }
  Image image(std::size_t) const override { return {}; }
  std::vector<float> input(std::size_t i, const Preprocess&) const override {
    std::vector<float> v(static_cast<std::size_t>(width_), -100.0F);
    v[i % 4] = 100.0F;
    return v;
  }
  bool is_float() const override { return true; }

 private:
  std::size_t n_;
  std::int64_t width_;
};

TEST(Evaluate, CountsCorrectLabelsOnAnyNumberOfThreads) {
  const Model model = testing::arg_max(4, 12);
  const VectorSet data(103, 4);
  for (const unsigned threads : {1U, 2U, 3U}) {
    std::size_t last = 0, calls = 0;
    const EvalResult r = evaluate(model, data, 0, threads, [&](std::size_t done, std::size_t total) {
      EXPECT_GT(done, last);
      EXPECT_EQ(total, 103U);
      last = done;
      ++calls;
    });
    EXPECT_EQ(r.count, 103U);
    EXPECT_EQ(r.correct, 83U);
    EXPECT_DOUBLE_EQ(r.accuracy, 83.0 / 103.0);
    EXPECT_EQ(r.overflowed, 0U);
    EXPECT_EQ(last, 103U);
    EXPECT_GT(calls, 1U);
  }
  EXPECT_EQ(evaluate(model, data, 4, 1).correct, 4U);
  EXPECT_EQ(evaluate(model, data, 5, 2).correct, 4U);
  EXPECT_EQ(evaluate(model, data, 1000, 2).count, 103U);
}

TEST(Evaluate, SumsOverflows) {
  const Model model = testing::arg_max(4, 8);  // 100 - -100 leaves 8 bits
  const EvalResult r = evaluate(model, VectorSet(10, 4), 0, 2);
  EXPECT_GE(r.overflowed, 10U);
}

TEST(Evaluate, RefusesWhatDoesNotFit) {
  const Model model = testing::arg_max(4, 12);
  const auto category = [&](const Dataset& data, unsigned threads) {
    try {
      evaluate(model, data, 0, threads);
    } catch (const Error& e) {
      return e.category();
    }
    return Category::kInternal;
  };
  EXPECT_EQ(category(VectorSet(0, 4), 1), Category::kUsage);
  EXPECT_EQ(category(VectorSet(3, 5), 1), Category::kData);
  EXPECT_EQ(category(VectorSet(3, 3), 1), Category::kData);  // three values for a model of four
  EXPECT_EQ(category(VectorSet(3, 4), 0), Category::kUsage);
}

}  // namespace
}  // namespace eqo
