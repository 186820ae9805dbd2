#include "eqo/quantizer/quantizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "eqo/core/error.h"
#include "eqo/importer/float_eval.h"
#include "eqo/importer/onnx_import.h"
#include "eqo/importer/zoo.h"
#include "eqo/model/quantize.h"
#include "eqo/model/twin.h"
#include "eqo/quantizer/test_nets.h"

namespace eqo {
namespace {

using testing::NetBuilder;
using testing::test_images;

struct Outcome {
  Model model;
  QuantizeReport report;
  double error = 0;  // |twin - float|^2 / |float - its mean|^2 over the logits of all images
  std::uint64_t overflowed = 0;
};

Outcome run(const FloatGraph& graph, const QuantizeOptions& options, std::size_t count = 24, std::uint64_t seed = 5) {
  const std::vector<float> images = test_images(graph.input_shape(), count, seed);
  Outcome out;
  out.model = quantize(graph, images, count, options, &out.report);
  const Twin twin(out.model);
  const FloatEvaluator real(graph);
  const auto size = static_cast<std::size_t>(graph.input_shape().size());
  double squares = 0, energy = 0;
  for (std::size_t n = 0; n < count; ++n) {
    const std::span<const float> image = std::span(images).subspan(n * size, size);
    const std::vector<float> expected = real.logits(image);
    const Twin::Result result = twin.run(quantize_image(out.model.plan, image));
    const std::vector<double> logits = logits_to_real(out.model.plan, result.logits);
    EXPECT_EQ(logits.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      squares += (logits[i] - expected[i]) * (logits[i] - expected[i]);
      energy += static_cast<double>(expected[i]) * expected[i];
    }
    out.overflowed += result.overflowed;
  }
  out.error = squares / std::max(energy, 1e-30);
  return out;
}

class Structures : public ::testing::TestWithParam<testing::NamedNet> {};

TEST_P(Structures, TwinFollowsTheFloatModel) {
  const FloatGraph graph = GetParam().make();
  for (const ConvChoice conv : {ConvChoice::kDirect, ConvChoice::kWinograd, ConvChoice::kAuto}) {
    QuantizeOptions options;
    options.conv = conv;
    const Outcome out = run(graph, options);
    EXPECT_LT(out.error, 1e-3) << "conv choice " << static_cast<int>(conv);
    EXPECT_EQ(out.overflowed, 0U);
  }
}

TEST_P(Structures, CertainRangesNeverOverflow) {
  const FloatGraph graph = GetParam().make();
  for (const AccumulatorRule rule : {AccumulatorRule::kWeights, AccumulatorRule::kShapes}) {
    QuantizeOptions options;
    options.accumulators = rule;
    Outcome out;
    try {
      out = run(graph, options);
    } catch (const Error& e) {
      // A bias that outweighs all products can't be hidden in a range that follows from shapes.
      EXPECT_EQ(rule, AccumulatorRule::kShapes) << e.what();
      EXPECT_THAT(e.what(), ::testing::HasSubstr("bias"));
      continue;
    }
    EXPECT_LT(out.error, 2e-2) << "rule " << static_cast<int>(rule);
    EXPECT_EQ(out.overflowed, 0U);
    // The image's own extremes, far beyond anything calibrated.
    const Twin twin(out.model);
    const TensorType& type = out.model.plan.nodes[0].type;
    std::mt19937_64 random(3);
    for (int trial = 0; trial < 4; ++trial) {
      std::vector<Word> image;
      for (std::int64_t i = 0; i < type.shape.size(); ++i)
        image.push_back(type.ring().from_signed(random() % 2 == 0 ? type.lo : type.hi));
      EXPECT_EQ(twin.run(image).overflowed, 0U);
    }
  }
}

TEST_P(Structures, EveryWidthRuns) {
  const FloatGraph graph = GetParam().make();
  for (unsigned bits = 1; bits <= 8; ++bits) {
    QuantizeOptions options;
    options.weights_bits = bits;
    options.activation_bits = 9 - bits;
    options.edge_bits = bits;
    EXPECT_EQ(run(graph, options, 8).overflowed, 0U) << bits << " bits";
  }
}

INSTANTIATE_TEST_SUITE_P(All, Structures, ::testing::ValuesIn(testing::structure_nets()),
                         [](const auto& param) { return param.param.name; });

FloatGraph residual_net() {
  NetBuilder b({3, 12, 12});
  const int x = b.relu(b.conv3(0, 8));
  const int y = b.relu(b.add(b.conv3(b.relu(b.conv3(x, 8)), 8), x));
  return b.finish(b.linear(b.global_pool(b.relu(b.conv3(y, 16, 2))), 7));
}

TEST(Quantizer, ErrorFallsWithEveryBit) {
  for (const ConvChoice conv : {ConvChoice::kDirect, ConvChoice::kWinograd}) {
    double before = 1e9;
    for (const unsigned bits : {1U, 2U, 4U, 6U, 8U}) {
      QuantizeOptions options;
      options.conv = conv;
      options.weights_bits = options.activation_bits = options.edge_bits = bits;
      const double error = run(residual_net(), options).error;
      EXPECT_LT(error, before) << bits << " bits";
      before = error;
    }
    EXPECT_LT(before, 3e-4);
  }
}

TEST(Quantizer, WidthsOfTheReportAndThePlanAgree) {
  QuantizeOptions options;
  options.weights_bits = 3;
  options.activation_bits = 5;
  options.edge_bits = 7;
  options.conv = ConvChoice::kWinograd;
  const Outcome out = run(residual_net(), options);
  ASSERT_EQ(out.report.layers.size(), 5U);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    const QuantizeReport::Layer& layer = out.report.layers[i];
    const bool edge = i == 0 || i == 4;
    EXPECT_EQ(layer.weights_bits, edge ? 7U : 3U) << layer.name;
    EXPECT_EQ(layer.activation_bits, edge ? 7U : 5U) << layer.name;
    EXPECT_EQ(layer.conv, i < 3 ? ConvDomain::kWinograd : ConvDomain::kDirect) << layer.name;
    EXPECT_GT(layer.sensitivity, 0);
    EXPECT_LT(layer.sensitivity, 0.5);
    for (const Node& node : out.model.plan.nodes) {
      if (node.op != Op::kConv || node.layer != layer.name) continue;
      EXPECT_EQ(node.type.ring_bits, layer.ring_bits);
      for (const WeightCode& code : node.codes) EXPECT_EQ(code.bits(), layer.weights_bits);
    }
    total += layer.bytes;
  }
  EXPECT_EQ(total, out.report.total_bytes);
  EXPECT_EQ(out.report.calibration_images, 24U);
}

TEST(Quantizer, SkipAndAccumulatorDifferByAPowerOfTwo) {
  const Outcome out = run(residual_net(), {});
  int adds = 0;
  for (std::size_t i = 0; i < out.model.plan.nodes.size(); ++i) {
    const Node& node = out.model.plan.nodes[i];
    const double scale = out.model.secrets[i].scale;
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const double in = out.model.secrets[static_cast<std::size_t>(node.inputs[k])].scale;
      if (node.op == Op::kAdd) {
        EXPECT_DOUBLE_EQ(in, std::ldexp(scale, static_cast<int>(node.input_shifts[k])));
      } else if (node.op == Op::kTruncateReduce) {
        EXPECT_DOUBLE_EQ(scale, std::ldexp(in, static_cast<int>(node.shift)));
      } else if (node.op == Op::kRelu || node.op == Op::kExtend || node.op == Op::kReduce) {
        EXPECT_EQ(in, scale);
      }
    }
    adds += node.op == Op::kAdd ? 1 : 0;
  }
  EXPECT_EQ(adds, 1);
}

TEST(Quantizer, OneExtensionServesAllReaders) {
  const Outcome out = run(residual_net(), {});
  std::map<int, int> extensions;
  for (const Node& node : out.model.plan.nodes) {
    if (node.op != Op::kExtend) continue;
    EXPECT_EQ(++extensions[node.inputs[0]], 1) << node.name;
  }
  // Rounding constants went into the biases.
  for (const Node& node : out.model.plan.nodes) EXPECT_NE(node.op, Op::kAddConstant) << node.name;
  // The image is read in the first layer's ring.
  EXPECT_EQ(out.model.plan.nodes[1].op, Op::kConv);
}

TEST(Quantizer, SameSeedSameModelOnAnyNumberOfThreads) {
  QuantizeOptions options;
  options.weights_bits = options.activation_bits = 4;
  const Outcome one = run(residual_net(), options);
  options.threads = 3;
  const Outcome three = run(residual_net(), options);
  ASSERT_EQ(one.model.plan.nodes.size(), three.model.plan.nodes.size());
  for (std::size_t i = 0; i < one.model.plan.nodes.size(); ++i) {
    EXPECT_EQ(one.model.plan.nodes[i].type, three.model.plan.nodes[i].type);
    EXPECT_EQ(one.model.plan.nodes[i].codes, three.model.plan.nodes[i].codes);
    EXPECT_EQ(one.model.secrets[i].weights, three.model.secrets[i].weights);
    EXPECT_EQ(one.model.secrets[i].bias, three.model.secrets[i].bias);
    EXPECT_EQ(one.model.secrets[i].scale, three.model.secrets[i].scale);
  }
}

TEST(Quantizer, LargestCalibratedValueHasAGuardBit) {
  const FloatGraph graph = residual_net();
  const Outcome out = run(graph, {});
  const Twin twin(out.model);
  const std::vector<float> images = test_images(graph.input_shape(), 24, 5);
  std::vector<std::int64_t> most(out.model.plan.nodes.size(), 0);
  const auto size = static_cast<std::size_t>(graph.input_shape().size());
  for (std::size_t n = 0; n < 24; ++n)
    twin.run_traced(quantize_image(out.model.plan, std::span(images).subspan(n * size, size)),
                    [&](int node, std::span<const Word> values) {
                      const Ring ring = out.model.plan.nodes[static_cast<std::size_t>(node)].type.ring();
                      for (const Word v : values)
                        most[static_cast<std::size_t>(node)] =
                            std::max(most[static_cast<std::size_t>(node)], std::abs(ring.to_signed(v)));
                    });
  for (std::size_t i = 1; i < most.size(); ++i) {
    const Node& node = out.model.plan.nodes[i];
    if (node.op != Op::kRelu && node.op != Op::kTruncateReduce) continue;
    EXPECT_LE(most[i], std::int64_t{1} << (node.type.ring_bits - 2)) << node.name;
  }
  // And no more than one: the sum that the last layer gives fills half of the guarded range.
  const Node& last = out.model.plan.nodes[static_cast<std::size_t>(out.model.plan.output)];
  EXPECT_GE(most[static_cast<std::size_t>(out.model.plan.output)], std::int64_t{1} << (last.type.ring_bits - 3));
}

TEST(Quantizer, SingleLayersCanDiffer) {
  const FloatGraph graph = residual_net();
  QuantizeOptions options;
  options.conv = ConvChoice::kDirect;
  std::string name;
  for (const FloatNode& node : graph.nodes)
    if (node.op == FloatOp::kConv && node.inputs[0] != 0 && name.empty()) name = node.name;
  options.layers[name] = {.weights_bits = 2, .activation_bits = 3, .domain = ConvDomain::kWinograd};
  const Outcome out = run(graph, options);
  for (const QuantizeReport::Layer& layer : out.report.layers) {
    EXPECT_EQ(layer.weights_bits, layer.name == name ? 2U : 8U);
    EXPECT_EQ(layer.activation_bits, layer.name == name ? 3U : 8U);
    EXPECT_EQ(layer.conv, layer.name == name ? ConvDomain::kWinograd : ConvDomain::kDirect);
  }
  options.layers["nothing"] = {};
  EXPECT_THROW(run(graph, options), Error);
}

TEST(Quantizer, AutomaticChoiceIsTheCheaperOne) {
  const FloatGraph graph = residual_net();
  QuantizeOptions options;
  std::uint64_t bytes[3];
  for (int i = 0; i < 3; ++i) {
    options.conv = i == 0 ? ConvChoice::kAuto : i == 1 ? ConvChoice::kDirect : ConvChoice::kWinograd;
    bytes[i] = run(graph, options).report.total_bytes;
  }
  EXPECT_LE(bytes[0], bytes[1]);
  EXPECT_LE(bytes[0], bytes[2]);
  EXPECT_LT(bytes[2], bytes[1]);
  // One output pixel: sixteen taps against nine.
  NetBuilder b({4, 1, 1});
  EXPECT_EQ(run(b.finish(b.conv3(0, 4)), {}).report.layers.at(0).conv, ConvDomain::kDirect);
}

template <class F>
void expect_error(Category category, const std::string& part, F&& call) {
  try {
    call();
    ADD_FAILURE() << "no error: " << part;
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), category) << e.what();
    EXPECT_THAT(e.what(), ::testing::HasSubstr(part));
  }
}

TEST(Quantizer, RefusesWhatItCannotExpress) {
  {
    NetBuilder b({2, 6, 6});
    const FloatGraph g = b.finish(b.conv3(b.avg_pool(b.relu(b.conv3(0, 3)), 3, 1, 1, false), 2));
    expect_error(Category::kModel, "padded border", [&] { run(g, {}); });
  }
  {
    NetBuilder b({2, 6, 6});
    const int x = b.relu(b.conv3(0, 3));
    const FloatGraph g = b.finish(b.conv3(b.relu(b.add(x, b.avg_pool(x, 3, 1, 1))), 2));
    expect_error(Category::kModel, "power of two", [&] { run(g, {}); });
  }
  const FloatGraph graph = residual_net();
  QuantizeOptions options;
  options.weights_bits = 0;
  expect_error(Category::kUsage, "0 bits", [&] { run(graph, options); });
  options.weights_bits = 9;
  expect_error(Category::kUsage, "9 bits", [&] { run(graph, options); });
  options = {};
  options.threads = 0;
  expect_error(Category::kUsage, "thread", [&] { run(graph, options); });
  expect_error(Category::kData, "no calibration", [&] { quantize(graph, {}, 0, {}); });
  expect_error(Category::kData, "wrong size", [&] { quantize(graph, std::vector<float>(7), 1, {}); });
  std::vector<float> images = test_images(graph.input_shape(), 2, 1);
  images[3] = std::numeric_limits<float>::quiet_NaN();
  expect_error(Category::kData, "finite", [&] { quantize(graph, images, 2, {}); });
}

TEST(Quantizer, ConstantImagesAndASingleOne) {
  const FloatGraph graph = residual_net();
  const std::vector<float> zeros(static_cast<std::size_t>(graph.input_shape().size()) * 2, 0.0F);
  const Model model = quantize(graph, zeros, 2, {});
  EXPECT_EQ(Twin(model).run(std::vector<Word>(zeros.size() / 2, 0)).overflowed, 0U);
  EXPECT_LT(run(graph, {}, 1).error, 1e-3);
}

TEST(Quantizer, ZooNetworks) {
  for (const auto& [name, image] :
       std::map<std::string, std::int64_t>{{"minionn", 32}, {"resnet18", 16}, {"squeezenet", 48}}) {
    const FloatGraph graph = make_zoo(name, {.image = image});
    QuantizeOptions options;
    options.weights_bits = 4;
    options.activation_bits = 6;
    options.compensate_rounding = name == "squeezenet";  // the others have many weights
    options.threads = 2;
    QuantizeReport report;
    const Model model = quantize(graph, test_images(graph.input_shape(), 1, 1), 1, options, &report);
    EXPECT_GT(report.total_bytes, 1000000U) << name;
    EXPECT_FALSE(model.plan.leakage.empty());
  }
}

// CIFAR-10's test images as the shared folder holds them: a mosaic of 100 x 100 pictures that djxl decodes.
struct Pictures {
  std::vector<std::uint8_t> mosaic;  // 3200 x 3200 RGB
  std::vector<int> labels;

  std::vector<float> input(std::size_t i, const Preprocess& preprocess) const {
    std::vector<std::uint8_t> planes(3 * 32 * 32);
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t y = 0; y < 32; ++y)
        for (std::size_t x = 0; x < 32; ++x)
          planes[(c * 32 + y) * 32 + x] = mosaic[((i / 100 * 32 + y) * 3200 + i % 100 * 32 + x) * 3 + c];
    std::vector<float> out(planes.size());
    preprocess.to_float(planes.data(), out.data());
    return out;
  }
};

std::optional<Pictures> decode_test_set(const std::filesystem::path& data) {
  const std::filesystem::path ppm =
      std::filesystem::temp_directory_path() / ("eqo-quantizer-" + std::to_string(::getpid()) + ".ppm");
  const std::string command =
      "djxl '" + (data / "cifar10-test.jxl").string() + "' '" + ppm.string() + "' >/dev/null 2>&1";
  Pictures out;
  const bool decoded = std::system(command.c_str()) == 0;
  std::ifstream picture(ppm, std::ios::binary), labels(data / "cifar10-labels.bin", std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(picture), {}}, all{std::istreambuf_iterator<char>(labels), {}};
  std::filesystem::remove(ppm);
  constexpr std::size_t kPixels = 3200 * 3200 * 3;
  if (!decoded || bytes.size() < kPixels || all.size() < 60000) return std::nullopt;
  out.mosaic.assign(bytes.end() - kPixels, bytes.end());
  out.labels.assign(all.begin() + 50000, all.begin() + 60000);
  return out;
}

// The network that accuracy is judged on, with a few images: the whole set is `eqo eval`'s work.
TEST(Quantizer, ResNet20KeepsItsAccuracy) {
  const std::filesystem::path data = std::filesystem::path(EQO_SHARED_DIR) / "data";
  const auto file = data / "models/resnet20-cifar10-fp32.onnx";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no " << file;
  const std::optional<Pictures> pictures = decode_test_set(data);
  if (!pictures) GTEST_SKIP() << "cifar10-test.jxl can't be decoded: is djxl (libjxl-tools) installed?";
  const FloatGraph graph = import_onnx(file.string());
  QuantizeOptions options;
  options.threads = 2;
  options.preprocess.shape = graph.input_shape();
  constexpr std::size_t kImages = 200, kCalibration = 64;
  std::vector<float> calibration;
  for (std::size_t i = 0; i < kCalibration; ++i) {
    const std::vector<float> x = pictures->input(9000 + i, options.preprocess);
    calibration.insert(calibration.end(), x.begin(), x.end());
  }
  const Model model = quantize(graph, calibration, kCalibration, options);
  const Twin twin(model);
  const FloatEvaluator real(graph);
  ThreadPool pool(2);
  std::vector<Word> images;
  int float_right = 0, right = 0;
  for (std::size_t i = 0; i < kImages; ++i) {
    const std::vector<float> x = pictures->input(i, options.preprocess);
    const std::vector<Word> q = quantize_image(model.plan, x);
    images.insert(images.end(), q.begin(), q.end());
    const std::vector<float> logits = real.logits(x);
    float_right += std::max_element(logits.begin(), logits.end()) - logits.begin() == pictures->labels[i] ? 1 : 0;
  }
  const auto results = twin.run_batch(images, kImages, &pool);
  for (std::size_t i = 0; i < kImages; ++i) {
    right += results[i].label == pictures->labels[i] ? 1 : 0;
    EXPECT_EQ(results[i].overflowed, 0U);
  }
  EXPECT_GE(float_right, static_cast<int>(kImages) * 88 / 100);
  EXPECT_GE(right, float_right - static_cast<int>(kImages) * 2 / 100);
}

}  // namespace
}  // namespace eqo
