#include "eqo/train/fine_tuner.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <stdexcept>

#include "eqo/core/error.h"
#include "eqo/model/eval.h"
#include "eqo/quantizer/quantizer.h"
#include "eqo/quantizer/test_nets.h"
#include "eqo/train/stripes_testing.h"
#include "eqo/train/trainer.h"

namespace eqo {
namespace {

using testing::Stripes;

FloatGraph trained_net(const Stripes& data) {
  testing::NetBuilder b({3, 12, 12}, 9);
  const int x = b.relu(b.conv3(0, 8));
  const int y = b.relu(b.add(b.conv3(b.relu(b.conv3(x, 8)), 8), x));
  FloatGraph graph = b.finish(b.linear(b.global_pool(b.relu(b.conv3(y, 12, 2))), 4));
  TrainOptions o;
  o.epochs = 6;
  o.batch = 32;
  o.learning_rate = 0.03;
  o.augmentation = {0, false};
  o.warmup_epochs = 1;
  train(graph, data, nullptr, o);
  return graph;
}

FineTuneOptions short_run() {
  FineTuneOptions o;
  o.epochs = 4;
  o.batch = 32;
  o.learning_rate = 3e-3;
  o.scale_rate = 1e-3;
  o.augmentation = {1, false};
  return o;
}

QuantizeOptions two_bits() {
  QuantizeOptions o;
  o.weights_bits = 1;
  o.activation_bits = 4;
  o.edge_bits = 4;
  o.conv = ConvChoice::kWinograd;
  o.preprocess.shape = {3, 12, 12};
  return o;
}

TEST(FineTuner, WinsBackWhatRoundingLost) {
  const Stripes data(320, 1), test(160, 2);
  const FloatGraph graph = trained_net(data);
  QuantizeOptions options = two_bits();
  const double before = evaluate(quantize(graph, data, options), test, 0, 1).accuracy;
  FineTuneResult result;
  std::vector<double> losses;
  options.tuner = [&](const quant::TuneProblem& problem, const quant::TuneBuild& build) {
    const TwinCheck check = [&](const quant::Tuned& tuned, std::span<const int> labels) {
      const Twin twin(build(tuned));
      EXPECT_EQ(labels.size(), test.size());
      const EvalResult e = evaluate(twin, test, 0, 1);
      return TwinVerdict{e.accuracy, e.count, 0, e.overflowed};
    };
    result = fine_tune(problem, options.preprocess, data, &test, short_run(), check, [&](const FineTuneProgress& p) {
      if (p.epoch_done) losses.push_back(p.loss);
      EXPECT_EQ(p.test.has_value(), p.epoch_done);
    });
    return result.tuned;
  };
  const EvalResult after = evaluate(quantize(graph, data, options), test, 0, 1);
  EXPECT_EQ(result.epochs_done, 4);
  EXPECT_EQ(losses.size(), 4U);
  EXPECT_LT(losses.back(), losses.front());
  ASSERT_TRUE(result.test.has_value());
  EXPECT_EQ(result.test->accuracy, after.accuracy);
  EXPECT_EQ(after.overflowed, 0U);
  EXPECT_GT(after.accuracy, before + 0.05) << "before: " << before;
}

TEST(FineTuner, ContinuesAsIfItHadNotBeenInterrupted) {
  const Stripes data(128, 3);
  const FloatGraph graph = trained_net(data);
  const std::string file =
      (std::filesystem::temp_directory_path() / ("eqo-fine-tune-" + std::to_string(::getpid()))).string();
  QuantizeOptions options = two_bits();
  options.tuner = [&](const quant::TuneProblem& problem, const quant::TuneBuild&) {
    FineTuneOptions o = short_run();
    o.threads = 2;
    const FineTuneResult whole = fine_tune(problem, options.preprocess, data, nullptr, o);
    o.checkpoint = file;
    const auto stop = [](const FineTuneProgress& p) {
      if (p.epoch_done && p.epoch == 2) throw std::runtime_error("stopped");
    };
    EXPECT_THROW(fine_tune(problem, options.preprocess, data, nullptr, o, {}, stop), std::runtime_error);
    FineTuneOptions other = o;
    other.scale_rate *= 2;
    EXPECT_THROW(fine_tune(problem, options.preprocess, data, nullptr, other), Error);
    const FineTuneResult resumed = fine_tune(problem, options.preprocess, data, nullptr, o);
    EXPECT_EQ(resumed.resumed_from, 2);
    EXPECT_EQ(resumed.loss, whole.loss);
    EXPECT_EQ(resumed.tuned.factor, whole.tuned.factor);
    for (std::size_t i = 0; i < whole.tuned.layers.size(); ++i) {
      EXPECT_EQ(resumed.tuned.layers[i].values, whole.tuned.layers[i].values);
      EXPECT_EQ(resumed.tuned.layers[i].bias, whole.tuned.layers[i].bias);
    }
    const FineTuneResult again = fine_tune(problem, options.preprocess, data, nullptr, o);
    EXPECT_EQ(again.resumed_from, o.epochs);
    EXPECT_EQ(again.tuned.factor, whole.tuned.factor);
    // Another run may begin where this one ended, and is a run of its own.
    FineTuneOptions more = other;
    more.checkpoint.clear();
    more.start = file;
    more.learning_rate = 1e-12;
    more.scale_rate = 0;
    const FineTuneResult further = fine_tune(problem, options.preprocess, data, nullptr, more);
    EXPECT_EQ(further.resumed_from, 0);
    for (std::size_t i = 0; i < whole.tuned.layers.size(); ++i)
      EXPECT_EQ(further.tuned.layers[i].values, whole.tuned.layers[i].values);
    more.checkpoint = file;
    EXPECT_THROW(fine_tune(problem, options.preprocess, data, nullptr, more), Error);
    return whole.tuned;
  };
  quantize(graph, data, options);
  std::filesystem::remove(file);
}

TEST(FineTuner, ChecksItsOptions) {
  const Stripes data(32, 4);
  const FloatGraph graph = trained_net(data);
  QuantizeOptions options = two_bits();
  options.tuner = [&](const quant::TuneProblem& problem, const quant::TuneBuild&) {
    const auto refused = [&](auto change) {
      FineTuneOptions o = short_run();
      change(o);
      EXPECT_THROW(fine_tune(problem, options.preprocess, data, nullptr, o), Error);
    };
    refused([](FineTuneOptions& o) { o.epochs = 0; });
    refused([](FineTuneOptions& o) { o.batch = 0; });
    refused([](FineTuneOptions& o) { o.threads = 33; });
    refused([](FineTuneOptions& o) { o.learning_rate = 0; });
    refused([](FineTuneOptions& o) { o.scale_rate = -1; });
    refused([](FineTuneOptions& o) { o.warmup = 2; });
    refused([](FineTuneOptions& o) { o.distillation = 2; });
    refused([](FineTuneOptions& o) { o.test_every = 0; });
    FineTuneOptions o = short_run();
    o.epochs = 1;
    return fine_tune(problem, options.preprocess, data, nullptr, o).tuned;
  };
  quantize(graph, data, options);
}

}  // namespace
}  // namespace eqo
