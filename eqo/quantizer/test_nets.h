#pragma once
// Small float networks for this layer's tests.
#include <cmath>
#include <cstdint>
#include <functional>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "eqo/importer/graph_builder.h"

namespace eqo::testing {

class NetBuilder {
 public:
  explicit NetBuilder(Shape input, std::uint64_t seed = 7) : builder_("net", "image", input), random_(seed) {}

  std::vector<float> normal(std::size_t n, double deviation) {
    std::vector<float> v(n);
    std::normal_distribution<double> d(0, deviation);
    for (float& x : v) x = static_cast<float>(d(random_));
    return v;
  }

  int conv(int input, std::int64_t filters, Window window, std::int64_t groups = 1) {
    FloatNode node;
    node.op = FloatOp::kConv;
    node.name = next("conv");
    node.inputs = {input};
    node.window = window;
    node.groups = groups;
    const std::int64_t inner = builder_.shape(input).c / groups * window.kernel_h * window.kernel_w;
    node.weight = normal(static_cast<std::size_t>(filters * inner), std::sqrt(2.0 / static_cast<double>(inner)));
    node.bias = normal(static_cast<std::size_t>(filters), 0.2);
    return builder_.add(std::move(node));
  }
  int conv3(int input, std::int64_t filters, std::int64_t stride = 1) {
    return conv(input, filters,
                Window{.kernel_h = 3,
                       .kernel_w = 3,
                       .stride_h = stride,
                       .stride_w = stride,
                       .pad_top = 1,
                       .pad_left = 1,
                       .pad_bottom = 1,
                       .pad_right = 1});
  }
  int conv1(int input, std::int64_t filters) { return conv(input, filters, Window{}); }
  int linear(int input, std::int64_t outputs) {
    const Shape s = builder_.shape(input);
    if (s.h * s.w != 1) input = builder_.reshape(next("flatten"), input, {s.size(), 1, 1});
    FloatNode node;
    node.op = FloatOp::kLinear;
    node.name = next("fc");
    node.inputs = {input};
    node.weight = normal(static_cast<std::size_t>(outputs * s.size()), 1 / std::sqrt(static_cast<double>(s.size())));
    node.bias = normal(static_cast<std::size_t>(outputs), 0.2);
    node.shape.c = outputs;
    return builder_.add(std::move(node));
  }
  int relu(int input) { return builder_.add(FloatOp::kRelu, next("relu"), {input}); }
  int add(int a, int b) { return builder_.add(FloatOp::kAdd, next("add"), {a, b}); }
  int concat(std::vector<int> inputs) { return builder_.add(FloatOp::kConcat, next("concat"), std::move(inputs)); }
  int clip(int input, float lo, float hi) {
    FloatNode node;
    node.op = FloatOp::kClip;
    node.name = next("clip");
    node.inputs = {input};
    node.clip_lo = lo;
    node.clip_hi = hi;
    return builder_.add(std::move(node));
  }
  int max_pool(int input, std::int64_t kernel, std::int64_t stride, std::int64_t pad = 0) {
    return builder_.pool(FloatOp::kMaxPool, next("maxpool"), input, square(kernel, stride, pad));
  }
  int avg_pool(int input, std::int64_t kernel, std::int64_t stride, std::int64_t pad = 0, bool include_pad = true) {
    return builder_.pool(FloatOp::kAvgPool, next("avgpool"), input, square(kernel, stride, pad), include_pad);
  }
  int global_pool(int input) { return builder_.global_pool(FloatOp::kAvgPool, next("gap"), input); }
  int batch_norm(int input) {
    FloatNode node;
    node.op = FloatOp::kBatchNorm;
    node.name = next("bn");
    node.inputs = {input};
    const auto c = static_cast<std::size_t>(builder_.shape(input).c);
    node.scale = std::vector<float>(c, 1.5F);
    node.shift = normal(c, 0.3);
    node.mean = normal(c, 0.3);
    node.variance = std::vector<float>(c, 0.8F);
    return builder_.add(std::move(node));
  }
  // The parameterless shortcut of CIFAR ResNets: every second row and column, zero channels around.
  int option_a(int input) {
    const Shape s = builder_.shape(input);
    const Shape rows{s.c, (s.h + 1) / 2, s.w}, both{s.c, (s.h + 1) / 2, (s.w + 1) / 2};
    const int a = builder_.slice(next("slice"), input, {0, 0, 0}, {1, 2, 1}, rows);
    const int b = builder_.slice(next("slice"), a, {0, 0, 0}, {1, 1, 2}, both);
    return builder_.pad(next("pad"), b, {s.c / 2, 0, 0}, {s.c - s.c / 2, 0, 0});
  }
  FloatNode& node(int i) { return builder_.node(i); }
  FloatGraph finish(int output) { return builder_.finish(output); }

  static Window square(std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
    return Window{.kernel_h = kernel,
                  .kernel_w = kernel,
                  .stride_h = stride,
                  .stride_w = stride,
                  .pad_top = pad,
                  .pad_left = pad,
                  .pad_bottom = pad,
                  .pad_right = pad};
  }

 private:
  std::string next(const char* kind) { return std::string(kind).append(std::to_string(++count_)); }

  GraphBuilder builder_;
  std::mt19937_64 random_;
  int count_ = 0;
};

// Real inputs that look a little like normalized pictures: noise on a random level per channel.
inline std::vector<float> test_images(const Shape& shape, std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 0.7);
  std::vector<float> images;
  for (std::size_t n = 0; n < count; ++n)
    for (std::int64_t c = 0; c < shape.c; ++c) {
      const double level = normal(random);
      for (std::int64_t i = 0; i < shape.h * shape.w; ++i) images.push_back(static_cast<float>(level + normal(random)));
    }
  return images;
}

struct NamedNet {
  std::string name;
  std::function<FloatGraph()> make;
  friend void PrintTo(const NamedNet& net, std::ostream* out) { *out << net.name; }
};

// One network for each structure that the quantizer has to get right.
std::vector<NamedNet> structure_nets();

}  // namespace eqo::testing
