// Models that other programs wrote: PyTorch's exports (tests/fixtures) and the trained networks of ../shared, if there.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "eqo/importer/onnx_test_builder.h"
#include "eqo/importer/passes.h"

namespace eqo {
namespace {

using testing::image;

struct Fixture {
  const char* file;
  double tolerance;
  std::size_t batch_norms;  // that stay if they aren't folded
};

class PyTorchFixture : public ::testing::TestWithParam<Fixture> {};

std::vector<float> expected(const std::string& file) {
  std::istringstream lines(testing::read_file(EQO_FIXTURES_DIR "/expected.txt"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name != file) continue;
    std::vector<float> values;
    for (float v = 0; words >> v;) values.push_back(v);
    return values;
  }
  return {};
}

TEST_P(PyTorchFixture, GivesPyTorchsLogits) {
  const Fixture& f = GetParam();
  const std::string path = std::string(EQO_FIXTURES_DIR) + "/" + f.file;
  const std::vector<float> want = expected(f.file);
  ASSERT_FALSE(want.empty());
  for (const bool fold : {false, true}) {
    const FloatGraph g = import_onnx(path, {.fold_batch_norm = fold});
    const auto is_bn = [](const FloatNode& n) { return n.op == FloatOp::kBatchNorm; };
    EXPECT_EQ(std::count_if(g.nodes.begin(), g.nodes.end(), is_bn),
              fold ? 0 : static_cast<std::ptrdiff_t>(f.batch_norms));
    const auto y = FloatEvaluator(g).logits(image(g));
    ASSERT_EQ(y.size(), want.size());
    for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], want[i], f.tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PyTorchFixture,
                         ::testing::Values(Fixture{"odd_9.onnx", 1e-4, 0}, Fixture{"odd_17.onnx", 1e-4, 0},
                                           Fixture{"odd_bn_13.onnx", 1e-4, 1}, Fixture{"odd_double.onnx", 1e-4, 0},
                                           Fixture{"odd_half.onnx", 5e-3, 0}, Fixture{"mobile_10.onnx", 1e-4, 0},
                                           Fixture{"mobile_bn_14.onnx", 1e-4, 4}, Fixture{"option_a_11.onnx", 1e-4, 1},
                                           Fixture{"option_a_16.onnx", 1e-4, 1}, Fixture{"split_13.onnx", 1e-4, 0}),
                         [](const auto& p) {
                           const std::string name = p.param.file;
                           return name.substr(0, name.find('.'));
                         });

TEST(SharedModels, Import) {
  const std::string folder = EQO_SHARED_DIR "/data/models/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no trained models at " << folder;
  const FloatGraph r20 = import_onnx(folder + "resnet20-cifar10-fp32.onnx");
  const FloatGraph r32 = import_onnx(folder + "resnet32-cifar10-fp32.onnx");
  const FloatGraph c100 = import_onnx(folder + "resnet32-cifar100-fp32.onnx");
  EXPECT_EQ(count_relus(r20), 188'416);
  EXPECT_EQ(count_relus(r32), 303'104);
  EXPECT_EQ(c100.output_shape(), (Shape{100, 1, 1}));
  EXPECT_NO_THROW(FloatEvaluator(r20).logits(image(r20)));
  EXPECT_NO_THROW(FloatEvaluator(r32).logits(image(r32)));
  EXPECT_NO_THROW(FloatEvaluator(c100).logits(image(c100)));
}

}  // namespace
}  // namespace eqo
