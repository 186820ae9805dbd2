#include "eqo/model/twin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "eqo/core/error.h"
#include "eqo/model/compare.h"
#include "eqo/model/quantize.h"
#include "eqo/model/testing/naive.h"
#include "eqo/model/testing/random_model.h"
#include "eqo/model/testing/small_models.h"
#include "eqo/model/types.h"

namespace eqo {
namespace {

using testing::naive_run;
using testing::NaiveResult;
using testing::random_image;
using testing::random_model;

constexpr std::uint64_t kGraphs = 1500;

Trace trace_of(const Twin& twin, const std::vector<Word>& image, Twin::Result& result) {
  Trace trace(twin.plan().nodes.size());
  result = twin.run_traced(image, [&](int node, std::span<const Word> values) {
    trace[static_cast<std::size_t>(node)].assign(values.begin(), values.end());
  });
  return trace;
}

std::vector<Word> words(std::initializer_list<std::int64_t> values, unsigned bits) {
  std::vector<Word> out;
  for (const std::int64_t v : values) out.push_back(Ring(bits).from_signed(v));
  return out;
}

Category category_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.category();
  }
  return Category::kInternal;
}

TEST(Twin, EqualsTheNaiveEvaluationOnRandomGraphs) {
  int counted = 0, wrapped = 0, exact = 0;
  for (std::uint64_t seed = 0; seed < kGraphs; ++seed) {
    const Model model = random_model(seed);
    const Twin twin(model);
    for (std::uint64_t i = 0; i < 2; ++i) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " image " + std::to_string(i));
      const std::vector<Word> image = random_image(model.plan, 2 * seed + i);
      const NaiveResult naive = naive_run(model, image);
      Twin::Result result;
      const auto difference = first_difference(model.plan, naive.trace, trace_of(twin, image, result));
      ASSERT_FALSE(difference.has_value()) << difference->to_string(model.plan);
      if (naive.counts_comparable) {
        ASSERT_EQ(result.overflowed, naive.overflowed);
        ++counted;
        ++(naive.overflowed > 0 ? wrapped : exact);
      }
      const Node& out = model.plan.nodes[static_cast<std::size_t>(model.plan.output)];
      if (out.op == Op::kArgMax) {
        EXPECT_EQ(static_cast<Word>(result.label), naive.trace.back()[0]);
      } else {
        EXPECT_EQ(result.label, top_label(result.logits));
        for (std::size_t j = 0; j < result.logits.size(); ++j)
          EXPECT_EQ(out.type.ring().from_signed(result.logits[j]), naive.trace.back()[j]);
      }
    }
  }
  // The comparison means something only if it saw both kinds.
  EXPECT_GT(counted, static_cast<int>(kGraphs));
  EXPECT_GT(wrapped, 200);
  EXPECT_GT(exact, 200);
}

TEST(Twin, IntervalsHoldOnEveryTensor) {
  for (std::uint64_t seed = 0; seed < kGraphs; ++seed) {
    const Model model = random_model(seed);
    const Twin twin(model);
    twin.run_traced(random_image(model.plan, seed), [&](int node, std::span<const Word> values) {
      const TensorType& type = model.plan.nodes[static_cast<std::size_t>(node)].type;
      for (const Word v : values) {
        const std::int64_t x = type.ring().to_signed(v);
        ASSERT_TRUE(x >= type.lo && x <= type.hi && v <= type.ring().mask()) << "seed " << seed << " node " << node;
      }
    });
  }
}

TEST(Twin, BatchesAndThreadsChangeNothing) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    const Model model = random_model(seed);
    const Twin twin(model);
    constexpr std::size_t kBatch = 5;
    std::vector<Word> images;
    for (std::size_t i = 0; i < kBatch; ++i) {
      const std::vector<Word> image = random_image(model.plan, seed + i);
      images.insert(images.end(), image.begin(), image.end());
    }
    ThreadPool pool(2);
    const auto together = twin.run_batch(images, kBatch, &pool);
    ASSERT_EQ(together.size(), kBatch);
    for (std::size_t i = 0; i < kBatch; ++i) {
      const auto alone = twin.run(random_image(model.plan, seed + i));
      EXPECT_EQ(together[i].logits, alone.logits);
      EXPECT_EQ(together[i].label, alone.label);
      EXPECT_EQ(together[i].overflowed, alone.overflowed);
    }
  }
}

TEST(Twin, OneTwinServesTwoThreads) {
  const Model model = random_model(3);
  const Twin twin(model);
  std::vector<std::vector<std::int64_t>> expected, got[2];
  for (std::uint64_t i = 0; i < 50; ++i) expected.push_back(twin.run(random_image(model.plan, i)).logits);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : got)
      threads.emplace_back([&] {
        for (std::uint64_t i = 0; i < 50; ++i) mine.push_back(twin.run(random_image(model.plan, i)).logits);
      });
  }
  EXPECT_EQ(got[0], expected);
  EXPECT_EQ(got[1], expected);
}

// One filter, weights (1, 1), an 8-bit accumulator that holds -128 .. 127.
TEST(Twin, CountsTheLargestMagnitudeAndOneAbove) {
  const Model model = testing::dot_product({1, 1}, 0, 8, 8);
  const Twin twin(model);
  const auto run = [&](std::int64_t a, std::int64_t b) { return twin.run(words({a, b}, 8)); };
  EXPECT_EQ(run(63, 64).logits, (std::vector<std::int64_t>{127}));
  EXPECT_EQ(run(63, 64).overflowed, 0U);
  EXPECT_EQ(run(64, 64).logits, (std::vector<std::int64_t>{-128}));
  EXPECT_EQ(run(64, 64).overflowed, 1U);
  EXPECT_EQ(run(-64, -64).overflowed, 0U);
  EXPECT_EQ(run(-64, -65).logits, (std::vector<std::int64_t>{127}));
  EXPECT_EQ(run(-64, -65).overflowed, 1U);
}

TEST(Twin, CountsTheBiasWithItsRoundingConstant) {
  const Model model = testing::dot_product({1, 1}, 1, 8, 8);
  const Twin twin(model);
  EXPECT_EQ(twin.run(words({63, 63}, 8)).overflowed, 0U);
  EXPECT_EQ(twin.run(words({63, 64}, 8)).overflowed, 1U);
}

// The same at the edges of the three arithmetics, 32, 64 and 128 bits: the largest that fits, and beyond it where the
// lost bits are above the machine word.
TEST(Twin, IsExactInEveryWordWidth) {
  for (const unsigned ring : {16U, 31U, 32U, 33U, 40U, 62U, 63U, 64U}) {
    for (const unsigned excess : {0U, 1U, 2U, 8U, 12U}) {
      SCOPED_TRACE(std::to_string(ring) + " bits and " + std::to_string(excess));
      const Model model = testing::scaled_sum(ring, excess);
      const Twin twin(model);
      std::uint64_t overflowed = 0;
      for (const std::int64_t v : {-128, -127, -64, -1, 0, 1, 64, 127}) {
        const std::vector<Word> image = words({v, v}, ring);
        const NaiveResult naive = naive_run(model, image);
        const Twin::Result result = twin.run(image);
        EXPECT_EQ(model.plan.nodes.back().type.ring().from_signed(result.logits[0]), naive.trace.back()[0]) << v;
        EXPECT_EQ(result.overflowed, naive.overflowed) << v;
        overflowed += result.overflowed;
      }
      EXPECT_TRUE(excess > 0 || overflowed == 0);
      EXPECT_TRUE(excess < 2 || overflowed > 0);
    }
  }
}

TEST(Twin, WrappingThatCancelsIsNotCounted) {
  // conv = 2x wraps in 8 bits, and x is taken away again before the output reads.
  Model model = testing::dot_product({2}, 0, 8, 8);
  Node add;
  add.op = Op::kAdd;
  add.name = "add";
  add.inputs = {1, 0};
  add.input_shifts = {0, 0};
  add.input_signs = {1, -1};
  add.type = infer_type(add, std::vector{model.plan.nodes[1].type, model.plan.nodes[0].type});
  model.plan.nodes.push_back(add);
  model.plan.output = 2;
  model.secrets.push_back({{}, {}, 1.0});
  const Twin::Result result = Twin(model).run(words({100}, 8));
  EXPECT_EQ(result.logits, (std::vector<std::int64_t>{100}));
  EXPECT_EQ(result.overflowed, 0U);
}

TEST(Twin, CountsMaxPoolDifferences) {
  const Model model = testing::max_of_two(8);
  const Twin twin(model);
  EXPECT_EQ(twin.run(words({-63, 64}, 8)).overflowed, 0U);
  EXPECT_EQ(twin.run(words({-63, 64}, 8)).logits, (std::vector<std::int64_t>{64}));
  EXPECT_EQ(twin.run(words({64, -64}, 8)).overflowed, 1U);
  EXPECT_EQ(twin.run(words({64, -64}, 8)).logits, (std::vector<std::int64_t>{-64}));
}

TEST(Twin, AllZeroFiltersAndImagesTakeTheSamePath) {
  Model model = testing::dot_product({0, 0, 0}, 5, 12, 8);
  EXPECT_EQ(Twin(model).run(words({1, -2, 3}, 12)).logits, (std::vector<std::int64_t>{5}));
  model = testing::dot_product({3, -4, 5}, 0, 12, 8);
  EXPECT_EQ(Twin(model).run(words({0, 0, 0}, 12)).logits, (std::vector<std::int64_t>{0}));
}

TEST(Twin, TiesGoToTheLowestLabel) {
  EXPECT_EQ(top_label(std::vector<std::int64_t>{1, 7, 7, 3}), 1);
  const Model model = testing::arg_max(4, 10);
  EXPECT_EQ(Twin(model).run(words({1, 7, 7, 3}, 10)).label, 1);
  EXPECT_EQ(Twin(model).run(words({-3, -7, -9, -3}, 10)).label, 0);
  EXPECT_EQ(Twin(model).run(words({1, 7, 7, 3}, 10)).logits, (std::vector<std::int64_t>{1, 7, 7, 3}));
}

TEST(Twin, RefusesWrongImages) {
  const Twin twin(testing::dot_product({1, 1}, 0, 12, 8));
  EXPECT_EQ(category_of([&] { twin.run(words({1}, 12)); }), Category::kUsage);
  EXPECT_EQ(category_of([&] { twin.run(words({1, 2, 3}, 12)); }), Category::kUsage);
  EXPECT_EQ(category_of([&] { twin.run(words({1, 128}, 12)); }), Category::kUsage);
  EXPECT_EQ(category_of([&] { twin.run(words({1, -129}, 12)); }), Category::kUsage);
  EXPECT_EQ(category_of([&] { twin.run(std::vector<Word>{1, 4096}); }), Category::kUsage);
  EXPECT_NO_THROW(twin.run(words({-128, 127}, 12)));
}

TEST(Twin, RefusesABrokenModel) {
  Model model = testing::dot_product({1, 1}, 0, 12, 8);
  model.secrets[1].weights.pop_back();
  EXPECT_EQ(category_of([&] { Twin{model}; }), Category::kModel);
}

}  // namespace
}  // namespace eqo
