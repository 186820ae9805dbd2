#include "eqo/quantizer/test_nets.h"

#include "eqo/importer/zoo.h"

namespace eqo::testing {
namespace {

constexpr Shape kImage{3, 9, 8};

using Body = std::function<int(NetBuilder&)>;

NamedNet net(std::string name, Body body, Shape input = kImage) {
  return {std::move(name), [body = std::move(body), input] {
            NetBuilder b(input);
            const int out = body(b);
            return b.finish(out);
          }};
}

// A body that ends in features; pooled and classified.
NamedNet classifier(std::string name, Body body) {
  return net(std::move(name), [body = std::move(body)](NetBuilder& b) { return b.linear(b.global_pool(body(b)), 5); });
}

}  // namespace

std::vector<NamedNet> structure_nets() {
  std::vector<NamedNet> nets;
  const auto add = [&](const char* name, Body body) { nets.push_back(classifier(name, std::move(body))); };
  add("chain", [](NetBuilder& b) { return b.relu(b.conv3(b.relu(b.conv3(0, 6)), 8)); });
  add("no_relu", [](NetBuilder& b) { return b.conv3(b.conv3(0, 6), 8); });
  add("residual", [](NetBuilder& b) {
    const int x = b.relu(b.conv3(0, 6));
    const int y = b.relu(b.add(b.conv3(b.relu(b.conv3(x, 6)), 6), x));
    return b.relu(b.add(b.conv3(b.relu(b.conv3(y, 6)), 6), y));
  });
  add("projection", [](NetBuilder& b) {
    const int x = b.relu(b.conv3(0, 6));
    return b.relu(b.add(b.conv3(b.relu(b.conv3(x, 8, 2)), 8), b.conv(x, 8, NetBuilder::square(1, 2, 0))));
  });
  add("option_a", [](NetBuilder& b) {
    const int x = b.relu(b.conv3(0, 6));
    return b.relu(b.add(b.conv3(b.relu(b.conv3(x, 12, 2)), 12), b.option_a(x)));
  });
  add("linear_bottleneck", [](NetBuilder& b) {
    const int x = b.conv1(b.clip(b.conv3(0, 6), 0, 6), 4);
    const int y =
        b.add(b.conv1(b.clip(b.conv(b.clip(b.conv1(x, 12), 0, 6), 12, NetBuilder::square(3, 1, 1), 12), 0, 6), 4), x);
    return b.relu(b.conv1(b.add(b.conv1(b.relu(b.conv1(y, 12)), 4), y), 8));
  });
  add("preactivation", [](NetBuilder& b) {
    const int x = b.conv3(0, 6);
    const int y = b.add(b.conv3(b.relu(b.batch_norm(b.conv3(b.relu(b.batch_norm(x)), 6))), 6), x);
    return b.relu(b.batch_norm(y));
  });
  add("add_of_activations", [](NetBuilder& b) {
    const int sum = b.add(b.relu(b.conv3(0, 6)), b.relu(b.conv1(0, 6)));
    return b.relu(b.conv3(sum, 8));
  });
  add("add_of_pools", [](NetBuilder& b) {
    const int x = b.relu(b.conv3(0, 6));
    return b.conv3(b.relu(b.add(b.max_pool(x, 3, 1, 1), b.avg_pool(b.relu(b.conv1(x, 6)), 3, 1, 1))), 8);
  });
  add("relu_add_maxpool", [](NetBuilder& b) { return b.relu(b.max_pool(b.add(b.conv3(0, 6), b.conv1(0, 6)), 2, 2)); });
  add("relus_in_a_row", [](NetBuilder& b) { return b.relu(b.relu(b.relu(b.conv3(0, 6)))); });
  add("concat_of_relus", [](NetBuilder& b) {
    const int x = b.relu(b.conv3(0, 6));
    const int fire = b.concat({b.relu(b.conv1(x, 5)), b.relu(b.conv3(x, 7))});
    return b.relu(b.conv3(b.max_pool(fire, 3, 2, 1), 8));
  });
  add("relu_of_concat", [](NetBuilder& b) { return b.relu(b.concat({b.conv1(0, 5), b.conv3(0, 7), b.conv1(0, 2)})); });
  add("mixed_concat", [](NetBuilder& b) {
    return b.relu(b.conv3(b.concat({b.relu(b.conv1(0, 5)), b.conv3(0, 4), 0}), 6));
  });
  add("dense", [](NetBuilder& b) {
    int x = b.conv3(0, 6);
    for (int i = 0; i < 2; ++i) x = b.concat({x, b.conv3(b.relu(b.batch_norm(x)), 4)});
    return b.relu(b.batch_norm(b.avg_pool(b.conv1(b.relu(b.batch_norm(x)), 6), 2, 2)));
  });
  add("clips", [](NetBuilder& b) {
    const int x = b.clip(b.conv3(0, 6), -1, 1);
    const int y = b.clip(b.conv3(x, 6), 0.5F, 2);
    const int z = b.clip(b.conv3(y, 6), -0.5F, 3.4e38F);
    return b.clip(b.conv3(z, 6), -3.4e38F, 0.7F);
  });
  add("padded_clip_pool", [](NetBuilder& b) { return b.conv3(b.max_pool(b.clip(b.conv3(0, 6), 0, 1), 3, 2, 1), 6); });
  add("signed_padded_pool", [](NetBuilder& b) { return b.conv3(b.max_pool(b.conv3(0, 6), 3, 2, 1), 6); });
  add("padded_pool_relu", [](NetBuilder& b) { return b.relu(b.max_pool(b.conv3(0, 6), 3, 2, 1)); });
  add("signed_pool", [](NetBuilder& b) { return b.conv3(b.max_pool(b.conv3(0, 6), 3, 2), 6); });
  add("image_pool", [](NetBuilder& b) { return b.relu(b.conv3(b.max_pool(0, 2, 1), 6)); });
  add("image_skip", [](NetBuilder& b) { return b.relu(b.add(b.conv3(0, 3), 0)); });
  add("image_relu", [](NetBuilder& b) { return b.conv3(b.relu(0), 6); });
  add("avg_pools", [](NetBuilder& b) {
    const int x = b.avg_pool(b.relu(b.conv3(0, 6)), 2, 2);
    return b.relu(b.avg_pool(b.conv3(b.relu(x), 6), 3, 1, 1));
  });
  add("groups", [](NetBuilder& b) {
    const int x = b.relu(b.conv(0, 6, NetBuilder::square(5, 2, 2), 3));
    Window dilated = NetBuilder::square(3, 1, 2);
    dilated.dilation_h = dilated.dilation_w = 2;
    return b.relu(b.conv(b.relu(b.conv(x, 6, dilated)), 6, NetBuilder::square(3, 1, 1), 6));
  });
  add("zero_layer", [](NetBuilder& b) {
    const int x = b.conv3(0, 6);
    for (float& w : b.node(x).weight) w = 0;
    return b.relu(b.add(b.conv3(b.relu(x), 6), b.conv3(0, 6)));
  });
  add("dead_channels", [](NetBuilder& b) {
    const int x = b.conv3(0, 6);
    for (float& v : b.node(x).bias) v = -100;
    return b.relu(b.conv3(b.relu(x), 6));
  });
  nets.push_back(
      net("pooled_output", [](NetBuilder& b) { return b.global_pool(b.relu(b.conv1(b.relu(b.conv3(0, 6)), 5))); }));
  nets.push_back(net("relu_output", [](NetBuilder& b) { return b.relu(b.linear(b.relu(b.conv3(0, 4)), 5)); }));
  nets.push_back(
      net("clip_output", [](NetBuilder& b) { return b.clip(b.linear(b.relu(b.conv3(0, 4)), 5), -0.5F, 0.5F); }));
  nets.push_back(net("map_output", [](NetBuilder& b) { return b.max_pool(b.conv3(b.relu(b.conv3(0, 4)), 2), 2, 2); }));
  nets.push_back(net("one_layer", [](NetBuilder& b) { return b.linear(0, 5); }));
  nets.push_back(net("no_layer", [](NetBuilder& b) { return b.global_pool(b.relu(0)); }));
  nets.push_back(net(
      "tiny", [](NetBuilder& b) { return b.conv3(b.relu(b.conv3(0, 2)), 3); }, Shape{1, 1, 1}));
  return nets;
}

}  // namespace eqo::testing
