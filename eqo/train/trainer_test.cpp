#include "eqo/train/trainer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>

#include "eqo/core/error.h"
#include "eqo/importer/graph_builder.h"
#include "eqo/train/stripes_testing.h"

namespace eqo {
namespace {

using testing::Stripes;

FloatGraph small_net() {
  GraphBuilder b("small", "input", {3, 12, 12});
  std::mt19937 rng(1);
  const auto weights = [&](std::size_t n) {
    std::vector<float> w(n);
    for (float& v : w) v = static_cast<float>(static_cast<double>(rng() % 2001) / 4000 - 0.25);
    return w;
  };
  FloatNode conv;
  conv.op = FloatOp::kConv;
  conv.name = "conv";
  conv.inputs = {0};
  conv.window = {3, 3, 1, 1, 1, 1, 1, 1};
  conv.weight = weights(16 * 27);
  FloatNode norm;
  norm.op = FloatOp::kBatchNorm;
  norm.name = "norm";
  norm.inputs = {b.add(std::move(conv))};
  norm.scale.assign(16, 1);
  norm.shift.assign(16, 0);
  norm.mean.assign(16, 0);
  norm.variance.assign(16, 1);
  const int relu = b.add(FloatOp::kRelu, "relu", {b.add(std::move(norm))});
  FloatNode fc;
  fc.op = FloatOp::kLinear;
  fc.name = "fc";
  fc.inputs = {b.global_pool(FloatOp::kAvgPool, "pool", relu)};
  fc.weight = weights(64);
  fc.bias.assign(4, 0);
  return b.finish(b.add(std::move(fc)));
}

std::vector<float> weights_of(const FloatGraph& graph) {
  std::vector<float> all;
  for (const FloatNode& n : graph.nodes) {
    for (const auto* v : {&n.weight, &n.bias, &n.scale, &n.shift, &n.mean, &n.variance}) {
      all.insert(all.end(), v->begin(), v->end());
    }
  }
  return all;
}

class TrainerTest : public ::testing::Test {
 protected:
  TrainerTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() / ("eqo_" + std::to_string(::getpid()) + "_" + test->name());
    std::filesystem::create_directories(folder_);
    options_.epochs = 5;
    options_.batch = 32;
    options_.learning_rate = 0.1;
    options_.warmup_epochs = 1;
    options_.augmentation = {1, false};
    options_.threads = 1;
  }
  ~TrainerTest() override { std::filesystem::remove_all(folder_); }

  Category category(const TrainOptions& options, const Dataset& data) {
    FloatGraph graph = small_net();
    try {
      train(graph, data, nullptr, options);
    } catch (const Error& e) {
      return e.category();
    }
    return Category::kInternal;
  }

  std::filesystem::path folder_;
  TrainOptions options_;
  const Stripes data_{480, 1}, test_{200, 2};
};

TEST_F(TrainerTest, LearnsAndReports) {
  FloatGraph graph = small_net();
  const std::vector<float> before = weights_of(graph);
  std::vector<TrainProgress> epochs;
  const TrainResult r = train(graph, data_, &test_, options_, [&](const TrainProgress& p) {
    ASSERT_EQ(p.batches, 15U);
    ASSERT_LE(p.batch, p.batches);
    if (p.epoch_done) epochs.push_back(p);
  });
  ASSERT_EQ(epochs.size(), 5U);
  EXPECT_EQ(epochs.back().epoch, 5);
  EXPECT_LT(epochs.back().loss, 0.5 * epochs.front().loss);
  EXPECT_GT(epochs.back().train_accuracy, 0.8);
  EXPECT_GT(r.test_accuracy, 0.9);  // chance is 0.25
  EXPECT_EQ(r.test_accuracy, epochs.back().test_accuracy);
  EXPECT_EQ(r.epochs_done, 5);
  EXPECT_EQ(r.resumed_from, 0);
  EXPECT_NE(weights_of(graph), before);
  validate(graph);
}

TEST_F(TrainerTest, TheSeedDecidesEverything) {
  FloatGraph a = small_net(), b = small_net(), c = small_net();
  train(a, data_, nullptr, options_);
  train(b, data_, nullptr, options_);
  options_.seed = 2;
  train(c, data_, nullptr, options_);
  EXPECT_EQ(weights_of(a), weights_of(b));
  EXPECT_NE(weights_of(a), weights_of(c));
}

TEST_F(TrainerTest, AnInterruptedRunContinuesExactly) {
  FloatGraph whole = small_net(), parts = small_net();
  options_.epochs = 3;
  options_.threads = 2;
  train(whole, data_, nullptr, options_);
  options_.checkpoint = (folder_ / "run.ckpt").string();
  const std::vector<float> before = weights_of(parts);
  for (int stop = 1; stop <= 2; ++stop) {
    EXPECT_THROW(train(parts, data_, nullptr, options_,
                       [&](const TrainProgress& p) {
                         if (p.epoch == stop && p.epoch_done) throw std::runtime_error("interrupted");
                       }),
                 std::runtime_error);
    EXPECT_EQ(weights_of(parts), before) << "an interrupted run must not change the graph";
  }
  const TrainResult r = train(parts, data_, &test_, options_);
  EXPECT_EQ(r.resumed_from, 2);
  EXPECT_EQ(weights_of(parts), weights_of(whole));
  // The finished run: nothing is left to do, the result is the same.
  FloatGraph again = small_net();
  const TrainResult done = train(again, data_, &test_, options_);
  EXPECT_EQ(done.resumed_from, 3);
  EXPECT_EQ(done.test_accuracy, r.test_accuracy);
  EXPECT_EQ(weights_of(again), weights_of(whole));
}

TEST_F(TrainerTest, CheckpointsThatDoNotFit) {
  options_.epochs = 2;
  options_.checkpoint = (folder_ / "run.ckpt").string();
  FloatGraph graph = small_net();
  train(graph, data_, nullptr, options_);
  TrainOptions other = options_;
  other.learning_rate = 0.05;
  EXPECT_EQ(category(other, data_), Category::kUsage);
  other = options_;
  other.seed = 9;
  EXPECT_EQ(category(other, data_), Category::kUsage);
  EXPECT_EQ(category(options_, Stripes(479, 1)), Category::kUsage);
  EXPECT_EQ(category(options_, data_), Category::kInternal);  // accepted
  std::filesystem::resize_file(options_.checkpoint, 200);
  EXPECT_EQ(category(options_, data_), Category::kData);
  std::ofstream(options_.checkpoint) << "not a checkpoint";
  EXPECT_EQ(category(options_, data_), Category::kData);
  other = options_;
  other.resume = false;
  EXPECT_EQ(category(other, data_), Category::kInternal);
  other.checkpoint = (folder_ / "absent" / "run.ckpt").string();
  EXPECT_EQ(category(other, data_), Category::kResource);
}

TEST_F(TrainerTest, OptionsOutOfRange) {
  const auto refused = [&](auto change, Category expected = Category::kUsage) {
    TrainOptions o = options_;
    change(o);
    EXPECT_EQ(category(o, data_), expected);
  };
  refused([](TrainOptions& o) { o.epochs = 0; });
  refused([](TrainOptions& o) { o.batch = 0; });
  refused([](TrainOptions& o) { o.learning_rate = 0; });
  refused([](TrainOptions& o) { o.learning_rate = std::nan(""); });
  refused([](TrainOptions& o) { o.warmup_epochs = 6; });
  refused([](TrainOptions& o) { o.augmentation.pad = -1; });
  refused([](TrainOptions& o) { o.test_every = 0; });
  refused([](TrainOptions& o) { o.threads = 0; });
  refused([](TrainOptions& o) { o.std[1] = 0; });
  refused(
      [](TrainOptions& o) {
        o.learning_rate = 100;
        o.momentum = 0.99;
        o.weight_decay = 0.9;
      },
      Category::kData);  // diverges
}

TEST(LearningRate, RisesThenFallsToZero) {
  EXPECT_DOUBLE_EQ(learning_rate_at(0.2, 0, 10, 110), 0.02);
  EXPECT_DOUBLE_EQ(learning_rate_at(0.2, 9, 10, 110), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate_at(0.2, 10, 10, 110), 0.2);
  EXPECT_NEAR(learning_rate_at(0.2, 60, 10, 110), 0.1, 1e-12);
  EXPECT_NEAR(learning_rate_at(0.2, 110, 10, 110), 0, 1e-12);
  EXPECT_DOUBLE_EQ(learning_rate_at(0.2, 0, 0, 1), 0.2);
  EXPECT_GT(learning_rate_at(0.2, 9, 10, 10), 0);
}

}  // namespace
}  // namespace eqo
