#include "eqo/train/torch_net.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <span>

#include "eqo/core/error.h"
#include "eqo/importer/float_eval.h"
#include "eqo/importer/graph_builder.h"

namespace eqo {
namespace {

std::vector<float> gaussian(std::size_t n, double deviation, std::mt19937& rng) {
  std::normal_distribution<double> normal(0, deviation);
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(normal(rng));
  return v;
}

int conv(GraphBuilder& b, const std::string& name, int input, std::int64_t filters, Window w, std::int64_t groups,
         bool bias, std::mt19937& rng) {
  FloatNode n;
  n.op = FloatOp::kConv;
  n.name = name;
  n.inputs = {input};
  n.window = w;
  n.groups = groups;
  const std::int64_t fan_in = b.shape(input).c / groups * w.kernel_h * w.kernel_w;
  n.weight = gaussian(static_cast<std::size_t>(filters * fan_in), std::sqrt(2.0 / static_cast<double>(fan_in)), rng);
  if (bias) n.bias = gaussian(static_cast<std::size_t>(filters), 0.1, rng);
  return b.add(std::move(n));
}

int batch_norm(GraphBuilder& b, const std::string& name, int input, std::mt19937& rng) {
  const auto c = static_cast<std::size_t>(b.shape(input).c);
  FloatNode n;
  n.op = FloatOp::kBatchNorm;
  n.name = name;
  n.inputs = {input};
  n.scale = gaussian(c, 0.2, rng);
  for (float& v : n.scale) v += 1;
  n.shift = gaussian(c, 0.2, rng);
  n.mean = gaussian(c, 0.2, rng);
  n.variance.assign(c, 1.5F);
  return b.add(std::move(n));
}

int linear(GraphBuilder& b, const std::string& name, int input, std::int64_t outputs, std::mt19937& rng) {
  FloatNode n;
  n.op = FloatOp::kLinear;
  n.name = name;
  n.inputs = {input};
  n.weight = gaussian(static_cast<std::size_t>(outputs * b.shape(input).c), 0.3, rng);
  n.bias = gaussian(static_cast<std::size_t>(outputs), 0.1, rng);
  return b.add(std::move(n));
}

constexpr Window kSame{3, 3, 1, 1, 1, 1, 1, 1};

// A network with every kind of node; asymmetric padding, groups and dilation included.
FloatGraph every_node(std::mt19937& rng) {
  GraphBuilder b("every", "input", {3, 9, 8});
  const int c1 = conv(b, "c1", 0, 6, {3, 3, 1, 1, 1, 0, 2, 1}, 1, true, rng);  // 6 x 10 x 7
  const int r1 = b.add(FloatOp::kRelu, "r1", {batch_norm(b, "n1", c1, rng)});
  const int c2 = conv(b, "c2", r1, 6, {3, 3, 1, 1, 2, 2, 2, 2, 2, 2}, 3, false, rng);  // groups, dilation
  const int clip = b.add(FloatOp::kClip, "clip", {c2});
  const int sum = b.add(FloatOp::kAdd, "sum", {clip, r1});
  const int m = b.pool(FloatOp::kMaxPool, "m", sum, {3, 3, 2, 2, 1, 1, 1, 1});  // 6 x 5 x 4
  const int a = b.pool(FloatOp::kAvgPool, "a", sum, {3, 3, 2, 2, 1, 1, 1, 1}, false);
  const int p = b.pool(FloatOp::kAvgPool, "p", sum, {3, 3, 2, 2, 0, 0, 2, 2}, true);
  const int s = b.slice("s", sum, {1, 1, 0}, {2, 2, 2}, {3, 5, 4});
  const int pad = b.pad("pad", s, {1, 0, 0}, {2, 0, 0});
  const int cat = b.add(FloatOp::kConcat, "cat", {m, a, p, pad});  // 24 x 5 x 4
  const int c3 = conv(b, "c3", cat, 4, kSame, 1, true, rng);
  const int r3 = b.add(FloatOp::kRelu, "r3", {c3});
  const int flat = b.reshape("flat", r3, {80, 1, 1});
  const int hidden = b.add(FloatOp::kRelu, "r4", {linear(b, "l1", flat, 12, rng)});
  const int g = b.reshape("back", hidden, {3, 2, 2});
  const int pooled = b.global_pool(FloatOp::kAvgPool, "g", g);
  return b.finish(linear(b, "l2", pooled, 5, rng));
}

struct Batch {
  std::vector<float> images;
  std::vector<std::int32_t> labels;
};

Batch random_batch(const FloatGraph& graph, std::size_t n, std::mt19937& rng) {
  Batch b{gaussian(n * static_cast<std::size_t>(graph.input_shape().size()), 1, rng), std::vector<std::int32_t>(n)};
  for (auto& l : b.labels)
    l = static_cast<std::int32_t>(rng() % static_cast<std::uint32_t>(graph.output_shape().size()));
  return b;
}

// 1 where the state holds a parameter, 2 for one with weight decay, 0 for running statistics and momentum.
std::vector<int> parameter_mask(const FloatGraph& graph, std::size_t state_size) {
  std::vector<int> mask;
  for (const FloatNode& n : graph.nodes) {
    mask.insert(mask.end(), n.weight.size(), 2);
    mask.insert(mask.end(), n.bias.size() + n.scale.size() + n.shift.size(), 1);
    mask.insert(mask.end(), n.mean.size() + n.variance.size(), 0);
  }
  mask.resize(state_size, 0);
  return mask;
}

constexpr SgdOptions kPlain{.momentum = 0, .weight_decay = 0, .nesterov = false};

// The gradient at `state`: a plain step of length 1 back.
std::vector<double> gradient(TorchNet& net, const std::vector<float>& state, const Batch& batch,
                             const std::vector<int>& mask) {
  net.set_state(state);
  net.step(batch.images, batch.labels, 1.0);
  const std::vector<float> after = net.state();
  std::vector<double> g(state.size());
  for (std::size_t i = 0; i < g.size(); ++i) g[i] = mask[i] != 0 ? double{state[i]} - double{after[i]} : 0;
  return g;
}

TEST(TorchNet, GradientIsTheSlopeOfTheLoss) {
  for (std::uint32_t seed = 1; seed <= 3; ++seed) {
    std::mt19937 rng(seed);
    const FloatGraph graph = every_node(rng);
    SgdOptions options = kPlain;
    options.threads = static_cast<int>(seed);
    TorchNet net(graph, options);
    const Batch batch = random_batch(graph, 16, rng);
    const std::vector<float> state = net.state();
    const std::vector<int> mask = parameter_mask(graph, state.size());
    const std::vector<double> g = gradient(net, state, batch, mask);
    double norm = 0;
    for (const double v : g) norm += v * v;
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 0.01);
    // Along the gradient, and along the gradient of one random half of the parameters.
    for (int round = 0; round < 6; ++round) {
      std::vector<double> direction(g.size());
      double slope = 0, length = 0;
      for (std::size_t i = 0; i < g.size(); ++i) {
        direction[i] = round == 0 || rng() % 2 == 0 ? g[i] : 0;
        length += direction[i] * direction[i];
        slope += direction[i] * g[i];
      }
      length = std::sqrt(length);
      slope /= length;
      const double h = 3e-4;
      const auto loss_at = [&](double t) {
        std::vector<float> moved = state;
        for (std::size_t i = 0; i < g.size(); ++i) moved[i] = static_cast<float>(moved[i] + t * direction[i] / length);
        net.set_state(moved);
        return net.step(batch.images, batch.labels, 1e-30).loss;
      };
      const double measured = (loss_at(h) - loss_at(-h)) / (2 * h);
      EXPECT_NEAR(measured, slope, 0.03 * slope) << "seed " << seed << ", round " << round;
    }
  }
}

TEST(TorchNet, LogitsAreTheFloatEvaluators) {
  for (std::uint32_t seed = 1; seed <= 4; ++seed) {
    std::mt19937 rng(seed);
    const FloatGraph graph = every_node(rng);
    const FloatEvaluator reference(graph);
    const TorchNet net(graph, {.threads = 2});
    const Batch batch = random_batch(graph, 5, rng);
    const std::vector<float> logits = net.logits(batch.images, 5);
    for (std::size_t i = 0; i < 5; ++i) {
      const std::size_t n = batch.images.size() / 5;
      const std::vector<float> expected = reference.logits(std::span(batch.images).subspan(i * n, n));
      for (std::size_t k = 0; k < 5; ++k) ASSERT_NEAR(logits[5 * i + k], expected[k], 1e-4) << "seed " << seed;
    }
  }
}

TEST(TorchNet, StepsFollowTheUpdateRule) {
  for (const bool nesterov : {false, true}) {
    std::mt19937 rng(7);
    const FloatGraph graph = every_node(rng);
    const double mu = 0.8, decay = 0.01, rate = 0.05;
    TorchNet net(graph, {.momentum = mu, .weight_decay = decay, .nesterov = nesterov}), plain(graph, kPlain);
    const std::vector<int> mask = parameter_mask(graph, net.state_size());
    std::vector<double> velocity(net.state_size(), 0);
    for (int step = 0; step < 3; ++step) {
      const Batch batch = random_batch(graph, 8, rng);
      const std::vector<float> before = net.state();
      const std::vector<double> g = gradient(plain, before, batch, mask);
      net.step(batch.images, batch.labels, rate);
      const std::vector<float> after = net.state();
      for (std::size_t i = 0; i < g.size(); ++i) {
        if (mask[i] == 0) continue;
        const double d = g[i] + (mask[i] == 2 ? decay * double{before[i]} : 0);
        velocity[i] = mu * velocity[i] + d;
        const double expected = before[i] - rate * (nesterov ? d + mu * velocity[i] : velocity[i]);
        ASSERT_NEAR(after[i], expected, 1e-5) << "step " << step << ", entry " << i;
      }
    }
  }
}

TEST(TorchNet, BatchNormTracksRunningStatistics) {
  GraphBuilder b("norm", "input", {1, 1, 2});
  FloatNode n;
  n.op = FloatOp::kBatchNorm;
  n.name = "n";
  n.inputs = {0};
  n.scale = {1};
  n.shift = {0};
  n.mean = {1};
  n.variance = {2};
  n.epsilon = 0;
  FloatGraph graph = b.finish(b.reshape("flat", b.add(std::move(n)), {2, 1, 1}));
  const FloatGraph start = graph;
  for (const int threads : {1, 2}) {
    SgdOptions options = kPlain;
    options.threads = threads;
    TorchNet net(start, options);
    const std::vector<float> images = {0, 2, 4, 6};  // mean 3; unbiased variance 20 / 3, of each half 2
    const std::vector<std::int32_t> labels = {0, 1};
    net.step(images, labels, 1e-30);
    net.write_back(graph);
    EXPECT_NEAR(graph.nodes[1].mean[0], 0.9 * 1 + 0.1 * 3, 1e-6);
    EXPECT_NEAR(graph.nodes[1].variance[0], 0.9 * 2 + 0.1 * (threads == 1 ? 20.0 / 3 : 2), 1e-6);
    const std::vector<float> logits = net.logits(images, 2);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(logits[i], (images[i] - graph.nodes[1].mean[0]) / std::sqrt(graph.nodes[1].variance[0]), 1e-5);
    }
  }
}

TEST(TorchNet, ResultOfAStep) {
  std::mt19937 rng(3);
  const FloatGraph graph = every_node(rng);
  for (const double smoothing : {0.0, 0.1}) {
    SgdOptions options = kPlain;
    options.label_smoothing = smoothing;
    FloatGraph without_norm = fold_batch_norm(graph);  // so that training and evaluation mode agree
    TorchNet net(without_norm, options);
    const Batch batch = random_batch(graph, 10, rng);
    const std::vector<float> logits = net.logits(batch.images, 10);
    double loss = 0;
    std::size_t correct = 0;
    for (std::size_t i = 0; i < 10; ++i) {
      double sum = 0;
      std::size_t best = 0;
      for (std::size_t k = 0; k < 5; ++k) {
        sum += std::exp(double{logits[5 * i + k]});
        if (logits[5 * i + k] > logits[5 * i + best]) best = k;
      }
      for (std::size_t k = 0; k < 5; ++k) {
        const double target = smoothing / 5 + (static_cast<std::int32_t>(k) == batch.labels[i] ? 1 - smoothing : 0);
        loss -= target * (double{logits[5 * i + k]} - std::log(sum)) / 10;
      }
      correct += static_cast<std::int32_t>(best) == batch.labels[i] ? 1 : 0;
    }
    const TorchNet::StepResult r = net.step(batch.images, batch.labels, 0.01);
    EXPECT_NEAR(r.loss, loss, 1e-4);
    EXPECT_EQ(r.correct, correct);
  }
}

// Without batch norm the rows do not see each other, so any number of threads takes the same step.
TEST(TorchNet, ThreadsAddUpToTheWholeBatch) {
  std::mt19937 rng(8);
  const FloatGraph graph = fold_batch_norm(every_node(rng));
  const Batch batch = random_batch(graph, 13, rng);
  std::vector<float> one;
  for (const int threads : {1, 2, 5}) {
    TorchNet net(graph, {.threads = threads});
    const TorchNet::StepResult r = net.step(batch.images, batch.labels, 0.1);
    const std::vector<float> state = net.state();
    if (threads == 1) one = state;
    for (std::size_t i = 0; i < state.size(); ++i) ASSERT_NEAR(state[i], one[i], 1e-5) << threads << " threads";
    EXPECT_LE(r.correct, 13U);
  }
  TorchNet many(graph, {.threads = 14});
  EXPECT_THROW(many.step(batch.images, batch.labels, 0.1), Error);
}

TEST(TorchNet, WriteBackAndStateCarryEverything) {
  std::mt19937 rng(4);
  FloatGraph graph = every_node(rng);
  const SgdOptions options{.threads = 2};
  TorchNet net(graph, options), other(graph, options);
  const Batch first = random_batch(graph, 12, rng), second = random_batch(graph, 12, rng);
  net.step(first.images, first.labels, 0.05);
  FloatGraph trained = graph;
  net.write_back(trained);
  validate(trained);
  EXPECT_EQ(TorchNet(trained, options).logits(second.images, 12), net.logits(second.images, 12));
  EXPECT_NE(other.logits(second.images, 12), net.logits(second.images, 12));
  other.set_state(net.state());
  net.step(second.images, second.labels, 0.05);
  other.step(second.images, second.labels, 0.05);
  EXPECT_EQ(net.state(), other.state());
}

TEST(TorchNet, Bfloat16IsCloseToFloat) {
  std::mt19937 rng(5);
  const FloatGraph graph = every_node(rng);
  SgdOptions half = kPlain;
  half.bfloat16 = true;
  TorchNet net(graph, kPlain), low(graph, half);
  const Batch batch = random_batch(graph, 16, rng);
  const std::vector<float> state = net.state();
  const std::vector<int> mask = parameter_mask(graph, state.size());
  const std::vector<double> a = gradient(net, state, batch, mask), b = gradient(low, state, batch, mask);
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) dot += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
  EXPECT_GT(dot / std::sqrt(aa * bb), 0.99);
  EXPECT_EQ(net.logits(batch.images, 16).size(), low.logits(batch.images, 16).size());
}

TEST(TorchNet, Refusals) {
  std::mt19937 rng(6);
  const FloatGraph good = every_node(rng);
  const auto category = [](const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& e) {
      return e.category();
    }
    return Category::kInternal;
  };
  for (const SgdOptions& o : {SgdOptions{.momentum = 1}, SgdOptions{.weight_decay = -1}, SgdOptions{.threads = 0},
                              SgdOptions{.label_smoothing = std::nan("")}}) {
    EXPECT_EQ(category([&] { TorchNet(good, o); }), Category::kUsage);
  }
  FloatGraph bad = good;
  bad.nodes[1].weight.pop_back();
  EXPECT_EQ(category([&] { TorchNet(bad, {}); }), Category::kModel);
  GraphBuilder b("none", "input", {2, 1, 1});
  const FloatGraph nothing = b.finish(b.add(FloatOp::kRelu, "r", {0}));
  EXPECT_EQ(category([&] { TorchNet(nothing, {}); }), Category::kModel);
  TorchNet net(good, {});
  Batch batch = random_batch(good, 2, rng);
  batch.labels[1] = 5;
  EXPECT_EQ(category([&] { net.step(batch.images, batch.labels, 0.1); }), Category::kUsage);
  batch.labels = {0};
  EXPECT_EQ(category([&] { net.step(batch.images, batch.labels, 0.1); }), Category::kUsage);
  EXPECT_EQ(category([&] { net.set_state(std::vector<float>(3)); }), Category::kUsage);
}

}  // namespace
}  // namespace eqo
