#include "eqo/importer/zoo.h"

#include <cmath>
#include <random>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/importer/graph_builder.h"

namespace eqo {
namespace {

// Layers with random weights on top of GraphBuilder; `last` is what the next layer reads.
class Net {
 public:
  Net(std::string_view name, std::int64_t image, std::uint64_t seed)
      : builder_(std::string(name), "input", Shape{3, image, image}), rng_(seed) {}

  int last() const { return last_; }
  void set_last(int node) { last_ = node; }
  const Shape& shape() const { return builder_.shape(last_); }

  void conv(const std::string& name, std::int64_t filters, std::int64_t kernel, std::int64_t stride, std::int64_t pad,
            bool bias) {
    FloatNode node;
    node.op = FloatOp::kConv;
    node.name = name;
    node.inputs = {last_};
    node.window = square(kernel, stride, pad);
    const std::int64_t fan_in = shape().c * kernel * kernel;
    node.weight = random(filters * fan_in, std::sqrt(6.0 / static_cast<double>(fan_in)));
    if (bias) node.bias.assign(static_cast<std::size_t>(filters), 0.0F);
    last_ = builder_.add(std::move(node));
  }
  void batch_norm(const std::string& name) {
    const auto channels = static_cast<std::size_t>(shape().c);
    FloatNode node;
    node.op = FloatOp::kBatchNorm;
    node.name = name;
    node.inputs = {last_};
    node.scale.assign(channels, 1.0F);
    node.shift.assign(channels, 0.0F);
    node.mean.assign(channels, 0.0F);
    node.variance.assign(channels, 1.0F);
    last_ = builder_.add(std::move(node));
  }
  void relu(const std::string& name) { last_ = builder_.add(FloatOp::kRelu, name, {last_}); }
  void add(const std::string& name, int other) { last_ = builder_.add(FloatOp::kAdd, name, {last_, other}); }
  void concat(const std::string& name, int other) { last_ = builder_.add(FloatOp::kConcat, name, {other, last_}); }
  void max_pool(const std::string& name, Window window) {
    last_ = builder_.pool(FloatOp::kMaxPool, name, last_, window);
  }
  void avg_pool(const std::string& name, std::int64_t kernel) {
    last_ = builder_.pool(FloatOp::kAvgPool, name, last_, square(kernel, kernel, 0));
  }
  void global_avg_pool(const std::string& name) { last_ = builder_.global_pool(FloatOp::kAvgPool, name, last_); }
  void flatten(const std::string& name) { last_ = builder_.reshape(name, last_, Shape{shape().size(), 1, 1}); }
  void linear(const std::string& name, std::int64_t classes) {
    FloatNode node;
    node.op = FloatOp::kLinear;
    node.name = name;
    node.inputs = {last_};
    node.weight = random(classes * shape().c, 1.0 / std::sqrt(static_cast<double>(shape().c)));
    node.bias.assign(static_cast<std::size_t>(classes), 0.0F);
    last_ = builder_.add(std::move(node));
  }
  // Option A: every second row and column, and zero channels up to `channels`.
  void shortcut_a(const std::string& name, std::int64_t channels) {
    const Shape s = shape();
    const Shape rows{s.c, (s.h + 1) / 2, s.w};
    const Shape both{s.c, (s.h + 1) / 2, (s.w + 1) / 2};
    last_ = builder_.slice(name + "/rows", last_, {0, 0, 0}, {1, 2, 1}, rows);
    last_ = builder_.slice(name + "/columns", last_, {0, 0, 0}, {1, 1, 2}, both);
    const std::int64_t extra = channels - s.c;
    last_ = builder_.pad(name + "/pad", last_, {extra / 2, 0, 0}, {extra - extra / 2, 0, 0});
  }
  FloatGraph finish() { return builder_.finish(last_); }

  static Window square(std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
    return {kernel, kernel, stride, stride, pad, pad, pad, pad, 1, 1};
  }

 private:
  // Uniform in [-bound, bound).
  std::vector<float> random(std::int64_t count, double bound) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& v : values) v = static_cast<float>((static_cast<double>(rng_() >> 11) * 0x1p-52 - 1.0) * bound);
    return values;
  }

  GraphBuilder builder_;
  std::mt19937_64 rng_;
  int last_ = 0;
};

void conv_relu(Net& net, const std::string& name, std::int64_t filters, std::int64_t kernel, std::int64_t stride = 1,
               std::int64_t pad = 0) {
  net.conv(name, filters, kernel, stride, pad, true);
  net.relu(name + "/relu");
}

void conv_bn(Net& net, const std::string& name, std::int64_t filters, std::int64_t kernel, std::int64_t stride,
             std::int64_t pad) {
  net.conv(name, filters, kernel, stride, pad, false);
  net.batch_norm(name + "/bn");
}

FloatGraph minionn(Net net, std::int64_t classes) {
  conv_relu(net, "conv1", 64, 3, 1, 1);
  conv_relu(net, "conv2", 64, 3, 1, 1);
  net.avg_pool("pool1", 2);
  conv_relu(net, "conv3", 64, 3, 1, 1);
  conv_relu(net, "conv4", 64, 3, 1, 1);
  net.avg_pool("pool2", 2);
  conv_relu(net, "conv5", 64, 3, 1, 1);
  conv_relu(net, "conv6", 64, 1);
  conv_relu(net, "conv7", 16, 1);
  net.flatten("flatten");
  net.linear("fc", classes);
  return net.finish();
}

enum class Shortcut : std::uint8_t { kOptionA, kConv };

void basic_block(Net& net, const std::string& name, std::int64_t channels, std::int64_t stride, Shortcut shortcut) {
  const int input = net.last();
  const bool same = stride == 1 && net.shape().c == channels;
  conv_bn(net, name + "/conv1", channels, 3, stride, 1);
  net.relu(name + "/relu1");
  conv_bn(net, name + "/conv2", channels, 3, 1, 1);
  const int main = net.last();
  net.set_last(input);
  if (!same && shortcut == Shortcut::kOptionA) net.shortcut_a(name + "/shortcut", channels);
  if (!same && shortcut == Shortcut::kConv) conv_bn(net, name + "/shortcut", channels, 1, stride, 0);
  const int side = net.last();
  net.set_last(main);
  net.add(name + "/add", side);
  net.relu(name + "/relu2");
}

void bottleneck(Net& net, const std::string& name, std::int64_t width, std::int64_t stride) {
  const int input = net.last();
  const bool same = stride == 1 && net.shape().c == 4 * width;
  conv_bn(net, name + "/conv1", width, 1, 1, 0);
  net.relu(name + "/relu1");
  conv_bn(net, name + "/conv2", width, 3, stride, 1);
  net.relu(name + "/relu2");
  conv_bn(net, name + "/conv3", 4 * width, 1, 1, 0);
  const int main = net.last();
  net.set_last(input);
  if (!same) conv_bn(net, name + "/shortcut", 4 * width, 1, stride, 0);
  const int side = net.last();
  net.set_last(main);
  net.add(name + "/add", side);
  net.relu(name + "/relu3");
}

std::string block_name(int stage, int block) {
  return "stage" + std::to_string(stage) + "/block" + std::to_string(block);
}

FloatGraph cifar_resnet(Net net, int blocks, std::int64_t classes) {
  conv_bn(net, "conv1", 16, 3, 1, 1);
  net.relu("relu1");
  for (int stage = 1; stage <= 3; ++stage) {
    for (int b = 1; b <= blocks; ++b) {
      basic_block(net, block_name(stage, b), std::int64_t{8} << stage, stage > 1 && b == 1 ? 2 : 1, Shortcut::kOptionA);
    }
  }
  net.global_avg_pool("pool");
  net.linear("fc", classes);
  return net.finish();
}

void imagenet_stem(Net& net) {
  conv_bn(net, "conv1", 64, 7, 2, 3);
  net.relu("relu1");
  net.max_pool("maxpool", Net::square(3, 2, 1));
}

FloatGraph resnet18(Net net, std::int64_t image, std::int64_t classes) {
  if (image <= 64) {
    conv_bn(net, "conv1", 64, 3, 1, 1);
    net.relu("relu1");
  } else {
    imagenet_stem(net);
  }
  for (int stage = 1; stage <= 4; ++stage) {
    for (int b = 1; b <= 2; ++b) {
      basic_block(net, block_name(stage, b), std::int64_t{32} << stage, stage > 1 && b == 1 ? 2 : 1, Shortcut::kConv);
    }
  }
  net.global_avg_pool("pool");
  net.linear("fc", classes);
  return net.finish();
}

FloatGraph resnet50(Net net, std::int64_t classes) {
  constexpr int kBlocks[] = {3, 4, 6, 3};
  imagenet_stem(net);
  for (int stage = 1; stage <= 4; ++stage) {
    for (int b = 1; b <= kBlocks[stage - 1]; ++b) {
      bottleneck(net, block_name(stage, b), std::int64_t{32} << stage, stage > 1 && b == 1 ? 2 : 1);
    }
  }
  net.global_avg_pool("pool");
  net.linear("fc", classes);
  return net.finish();
}

void fire(Net& net, const std::string& name, std::int64_t squeeze, std::int64_t expand) {
  conv_relu(net, name + "/squeeze", squeeze, 1);
  const int squeezed = net.last();
  conv_relu(net, name + "/expand1", expand, 1);
  const int left = net.last();
  net.set_last(squeezed);
  conv_relu(net, name + "/expand3", expand, 3, 1, 1);
  net.concat(name + "/concat", left);
}

// 3x3 / 2 without padding, the output's size rounded up: the last window may reach one element outside.
void ceil_pool(Net& net, const std::string& name) {
  Window w = Net::square(3, 2, 0);
  w.pad_bottom = (net.shape().h - 3) % 2;
  w.pad_right = (net.shape().w - 3) % 2;
  net.max_pool(name, w);
}

FloatGraph squeezenet(Net net, std::int64_t classes) {
  conv_relu(net, "conv1", 64, 3, 2);
  ceil_pool(net, "pool1");
  fire(net, "fire2", 16, 64);
  fire(net, "fire3", 16, 64);
  ceil_pool(net, "pool3");
  fire(net, "fire4", 32, 128);
  fire(net, "fire5", 32, 128);
  ceil_pool(net, "pool5");
  fire(net, "fire6", 48, 192);
  fire(net, "fire7", 48, 192);
  fire(net, "fire8", 64, 256);
  fire(net, "fire9", 64, 256);
  conv_relu(net, "conv10", classes, 1);
  net.global_avg_pool("pool10");
  return net.finish();
}

struct Entry {
  const char* name;
  std::int64_t classes, image, min_image;
};
constexpr Entry kEntries[] = {{"minionn", 10, 32, 4},   {"resnet20", 10, 32, 4},     {"resnet32", 10, 32, 4},
                              {"resnet18", 200, 64, 8}, {"resnet50", 1000, 224, 32}, {"squeezenet", 1000, 224, 32}};

}  // namespace

std::vector<std::string> zoo_names() {
  std::vector<std::string> names;
  for (const Entry& e : kEntries) names.emplace_back(e.name);
  return names;
}

FloatGraph make_zoo(std::string_view name, const ZooOptions& options) {
  const Entry* entry = nullptr;
  std::string known;
  for (const Entry& e : kEntries) {
    if (name == e.name) entry = &e;
    known += known.empty() ? "" : " ";
    known += e.name;
  }
  if (entry == nullptr)
    throw usage_error("no network '" + std::string(name) + "' in the zoo", "choose one of: " + known);
  const std::int64_t classes = options.classes == 0 ? entry->classes : options.classes;
  const std::int64_t image = options.image == 0 ? entry->image : options.image;
  if (classes < 2 || classes > 100'000) throw usage_error("--classes must be in 2..100000");
  if (image < entry->min_image || image > 512) {
    throw usage_error("--image must be in " + std::to_string(entry->min_image) + "..512 for " + entry->name);
  }
  if (name == "minionn" && image % 4 != 0) throw usage_error("--image must be a multiple of 4 for minionn");

  Net net(name, image, options.seed);
  if (name == "minionn") return minionn(std::move(net), classes);
  if (name == "resnet20") return cifar_resnet(std::move(net), 3, classes);
  if (name == "resnet32") return cifar_resnet(std::move(net), 5, classes);
  if (name == "resnet18") return resnet18(std::move(net), image, classes);
  if (name == "resnet50") return resnet50(std::move(net), classes);
  return squeezenet(std::move(net), classes);
}

}  // namespace eqo
