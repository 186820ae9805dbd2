#include "eqo/importer/zoo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eqo/core/error.h"
#include "eqo/importer/passes.h"
#include "eqo/importer/test_graphs.h"

namespace eqo {
namespace {

struct Known {
  const char* name;
  std::int64_t macs, relus, parameters;
  Shape input, output;
};

class ZooCounts : public ::testing::TestWithParam<Known> {};

// Published: ReLUs of MiniONN and ResNet-32 and MiniONN's 61.1 M products (private inference papers), 0.27 M and 0.46 M
// parameters of the CIFAR ResNets (He et al.), parameters of torchvision's resnet50 and squeezenet1_1, 4.09 G products
// of resnet50. The other figures are worked out by hand from the layers' sizes.
TEST_P(ZooCounts, MatchThePublishedNetworks) {
  const Known& k = GetParam();
  const FloatGraph g = make_zoo(k.name);
  EXPECT_EQ(count_macs(g), k.macs);
  EXPECT_EQ(count_relus(g), k.relus);
  EXPECT_EQ(count_parameters(g), k.parameters);
  EXPECT_EQ(g.input_shape(), k.input);
  EXPECT_EQ(g.output_shape(), k.output);
  EXPECT_EQ(g.name, k.name);
}

INSTANTIATE_TEST_SUITE_P(
    All, ZooCounts,
    ::testing::Values(Known{"minionn", 61'089'792, 173'056, 164'954, {3, 32, 32}, {10, 1, 1}},
                      Known{"resnet20", 40'551'040, 188'416, 269'722, {3, 32, 32}, {10, 1, 1}},
                      Known{"resnet32", 68'862'592, 303'104, 464'154, {3, 32, 32}, {10, 1, 1}},
                      Known{"resnet18", 2'221'772'800, 2'228'224, 11'271'432, {3, 64, 64}, {200, 1, 1}},
                      Known{"resnet50", 4'089'184'256, 9'608'704, 25'557'032, {3, 224, 224}, {1000, 1, 1}},
                      Known{"squeezenet", 349'151'936, 2'589'352, 1'235'496, {3, 224, 224}, {1000, 1, 1}}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(Zoo, ListsEveryNetwork) {
  EXPECT_THAT(zoo_names(),
              ::testing::ElementsAre("minionn", "resnet20", "resnet32", "resnet18", "resnet50", "squeezenet"));
}

TEST(Zoo, SeedsDecideTheWeights) {
  const FloatGraph a = make_zoo("resnet20", {.seed = 7});
  const FloatGraph b = make_zoo("resnet20", {.seed = 7});
  const FloatGraph c = make_zoo("resnet20", {.seed = 8});
  EXPECT_EQ(a.nodes[1].weight, b.nodes[1].weight);
  EXPECT_NE(a.nodes[1].weight, c.nodes[1].weight);
  // The same on every machine: the first weight of mt19937_64's first number.
  double mean = 0;
  double square = 0;
  const auto& w = a.nodes[4].weight;
  for (const float v : w) mean += v / static_cast<double>(w.size());
  for (const float v : w) square += v * v / static_cast<double>(w.size());
  EXPECT_NEAR(mean, 0, 0.02);
  EXPECT_NEAR(square, 2.0 / 144, 0.002);  // He: 2 / fan-in
}

TEST(Zoo, KeepsBatchNormForTraining) {
  int count = 0;
  for (const FloatNode& n : make_zoo("resnet20").nodes) {
    if (n.op != FloatOp::kBatchNorm) continue;
    ++count;
    EXPECT_THAT(n.scale, ::testing::Each(1.0F));
    EXPECT_THAT(n.shift, ::testing::Each(0.0F));
    EXPECT_THAT(n.mean, ::testing::Each(0.0F));
    EXPECT_THAT(n.variance, ::testing::Each(1.0F));
  }
  EXPECT_EQ(count, 19);
}

TEST(Zoo, TakesClassesAndImage) {
  const FloatGraph g = make_zoo("resnet18", {.classes = 7, .image = 96});
  EXPECT_EQ(g.output_shape(), (Shape{7, 1, 1}));
  EXPECT_EQ(g.input_shape(), (Shape{3, 96, 96}));
  int pools = 0;
  for (const FloatNode& n : g.nodes) pools += n.op == FloatOp::kMaxPool ? 1 : 0;
  EXPECT_EQ(pools, 1);  // above 64 rows it starts as on ImageNet
  for (const std::string& name : zoo_names()) {
    const FloatGraph odd = make_zoo(name, {.classes = 3, .image = name == "minionn" ? 36 : 45});
    EXPECT_EQ(odd.output_shape(), (Shape{3, 1, 1})) << name;
  }
}

TEST(Zoo, RefusesWhatItDoesNotKnow) {
  const auto category = [](const char* name, const ZooOptions& options) {
    try {
      make_zoo(name, options);
    } catch (const Error& e) {
      return e.category();
    }
    return Category::kInternal;
  };
  EXPECT_EQ(category("resnet21", {}), Category::kUsage);
  EXPECT_EQ(category("resnet20", {.classes = 1}), Category::kUsage);
  EXPECT_EQ(category("resnet20", {.classes = -1}), Category::kUsage);
  EXPECT_EQ(category("resnet20", {.image = 3}), Category::kUsage);
  EXPECT_EQ(category("resnet20", {.image = 100'000}), Category::kUsage);
  EXPECT_EQ(category("minionn", {.image = 30}), Category::kUsage);
}

}  // namespace
}  // namespace eqo
