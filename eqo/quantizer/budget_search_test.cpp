#include "eqo/quantizer/budget_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/importer/zoo.h"
#include "eqo/model/model_io.h"
#include "eqo/net/simulated_link.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/quantizer/sensitivity.h"
#include "eqo/quantizer/test_nets.h"

namespace eqo {
namespace {

using testing::NetBuilder;
using testing::test_images;

constexpr std::size_t kImages = 8;

FloatGraph residual_net() {
  NetBuilder b({3, 12, 12});
  int x = b.relu(b.conv3(0, 8));
  for (int block = 0; block < 2; ++block) x = b.relu(b.add(b.conv3(b.relu(b.conv3(x, 8)), 8), x));
  return b.finish(b.linear(b.global_pool(b.relu(b.conv3(x, 16, 2))), 7));
}

Model run(const FloatGraph& graph, const QuantizeOptions& options, QuantizeReport* report = nullptr) {
  return quantize(graph, test_images(graph.input_shape(), kImages, 5), kImages, options, report);
}

double cost(const Model& model, const Budget& budget = {}) { return quant::session_cost(model, budget).total; }

QuantizeOptions within(const Budget& budget) {
  QuantizeOptions options;
  options.budget = budget;
  options.threads = 2;
  return options;
}

TEST(Budget, Texts) {
  EXPECT_EQ(parse_budget("80MB").amount, 80e6);
  EXPECT_EQ(parse_budget("1.5GB").amount, 1.5e9);
  EXPECT_EQ(parse_budget("900kB").amount, 9e5);
  EXPECT_EQ(parse_budget("2MiB").amount, 2097152);
  EXPECT_EQ(parse_budget("0.4x").unit, Budget::Unit::kRatio);
  const Budget wan = parse_budget("2s@wan");
  EXPECT_EQ(wan.unit, Budget::Unit::kSeconds);
  EXPECT_EQ(wan.link, kWan);
  EXPECT_EQ(parse_budget("500ms@100M,20ms").amount, 0.5);
  EXPECT_EQ(parse_budget("500ms@100M,20ms").link, (LinkSpec{100e6, 20e-3}));
  for (const char* bad : {"", "80", "MB", "-1MB", "0MB", "nanMB", "infMB", "1e999MB", "80 MB", "80mb", "2s", "2s@",
                          "2m@wan", "x", "0x", "2s@moon", "80MBs"})
    EQO_EXPECT_ERROR(parse_budget(bad), Category::kUsage, "");
}

TEST(BudgetSearch, BudgetsAreKeptAndUsed) {
  const FloatGraph graph = residual_net();
  QuantizeOptions narrow, wide;
  for (const FloatNode& node : graph.nodes)
    if (node.op == FloatOp::kConv || node.op == FloatOp::kLinear) narrow.layers[node.name] = {2, 4, std::nullopt};
  const double least = cost(run(graph, narrow)), most = cost(run(graph, wide));
  double before = std::numeric_limits<double>::infinity();
  for (const double share : {0.15, 0.4, 0.8}) {
    SCOPED_TRACE(share);
    Budget budget;
    budget.amount = least + share * (most - least);
    QuantizeReport report;
    const Model model = run(graph, within(budget), &report);
    ASSERT_TRUE(report.budget);
    const double spent = cost(model);
    EXPECT_LE(spent, budget.amount);
    EXPECT_GE(spent, quant::kUsed * budget.amount);
    EXPECT_EQ(report.budget->spent, spent);
    EXPECT_EQ(report.budget->budget, budget.amount);
    // More room, nearer to the float network.
    EXPECT_LT(report.budget->divergence, before);
    before = report.budget->divergence;
    // The explanation fits what was made.
    ASSERT_EQ(report.budget->layers.size(), report.layers.size());
    for (std::size_t i = 0; i < report.layers.size(); ++i) {
      const BudgetReport::Layer& l = report.budget->layers[i];
      EXPECT_EQ(l.name, report.layers[i].name);
      EXPECT_EQ(l.chosen.weights_bits, report.layers[i].weights_bits);
      EXPECT_EQ(l.chosen.activation_bits, report.layers[i].activation_bits);
      EXPECT_EQ(l.chosen.conv, report.layers[i].conv);
      EXPECT_GE(l.chosen.cost, static_cast<double>(report.layers[i].bytes));
      if (l.cheaper) {
        EXPECT_LT(l.cheaper->cost, l.chosen.cost);
        EXPECT_GT(l.cheaper->sensitivity, l.chosen.sensitivity);
      }
      if (l.dearer) {
        EXPECT_GT(l.dearer->cost, l.chosen.cost);
        EXPECT_LT(l.dearer->sensitivity, l.chosen.sensitivity);
      }
    }
  }
}

// Whatever sensitivities say: at the cost of a uniform network nothing worse than that network comes out.
TEST(BudgetSearch, IsNeverWorseThanAUniformNetworkOfItsCost) {
  const FloatGraph graph = residual_net();
  for (const auto& [weights, activations] : {std::pair{3U, 4U}, {4U, 6U}, {2U, 8U}}) {
    SCOPED_TRACE(::testing::Message() << 'W' << weights << 'A' << activations);
    QuantizeOptions plain;
    plain.weights_bits = weights;
    plain.activation_bits = activations;
    Budget budget;
    budget.amount = cost(run(graph, plain));
    QuantizeOptions options = within(budget);
    options.search_networks = 24;
    QuantizeReport report;
    run(graph, options, &report);
    const BudgetReport& b = *report.budget;
    EXPECT_LE(b.candidates.size(), 24U);
    ASSERT_LT(b.winner, b.candidates.size());
    EXPECT_EQ(b.candidates[b.winner].divergence, b.divergence);
    EXPECT_EQ(b.candidates[b.winner].cost, b.spent);
    std::string uniform = "uniform W";
    uniform += std::to_string(weights) + "A" + std::to_string(activations);
    bool found = false;
    for (const BudgetReport::Candidate& c : b.candidates) {
      EXPECT_EQ(c.divergence.has_value(), c.cost <= budget.amount) << c.origin;
      if (c.divergence && c.cost >= quant::kUsed * budget.amount) {
        EXPECT_GE(*c.divergence, b.divergence) << c.origin;
      }
      if (c.origin != uniform) continue;
      found = true;
      EXPECT_EQ(c.cost, budget.amount);
    }
    EXPECT_TRUE(found);
  }
}

// Two layers read one tensor: it has one width, and what that does to the logits is counted once.
TEST(BudgetSearch, SharedActivationsHaveOneWidth) {
  NetBuilder b({3, 12, 12});
  const int x = b.relu(b.conv3(0, 8));
  const int shortcut = b.conv(x, 12, Window{.stride_h = 2, .stride_w = 2}), inner = b.relu(b.conv3(x, 12, 2));
  const int y = b.relu(b.add(b.conv3(inner, 12), shortcut));
  const FloatGraph graph = b.finish(b.linear(b.global_pool(y), 5));
  for (const double share : {0.5, 0.6, 0.75}) {
    Budget budget{Budget::Unit::kRatio, share, {}};
    QuantizeReport report;
    run(graph, within(budget), &report);
    const std::vector<BudgetReport::Layer>& layers = report.budget->layers;
    ASSERT_EQ(layers.size(), 5U);
    EXPECT_EQ(layers[1].chosen.activation_bits, layers[2].chosen.activation_bits);
    EXPECT_GT(layers[1].chosen.activations_part, 0);
    for (const BudgetReport::Option& o : layers[2].options) EXPECT_EQ(o.activations_part, 0);
  }
}

TEST(BudgetSearch, OfAZooNetwork) {
  const FloatGraph graph = make_zoo("resnet20", {.image = 16});
  Budget budget;
  budget.amount = 20e6;
  QuantizeOptions options = within(budget);
  options.conv = ConvChoice::kWinograd;
  options.disabled = {QuantPass::kReweight};
  options.search_networks = 6;
  const double spent = cost(run(graph, options));
  EXPECT_LE(spent, budget.amount);
  EXPECT_GE(spent, quant::kUsed * budget.amount);
}

TEST(BudgetSearch, ARatioIsOfTheNetworkOf8Bits) {
  const FloatGraph graph = residual_net();
  Budget budget{Budget::Unit::kRatio, 0.5, {}};
  QuantizeReport report;
  const double spent = cost(run(graph, within(budget), &report));
  const double all = cost(run(graph, QuantizeOptions{}));
  EXPECT_DOUBLE_EQ(report.budget->budget, 0.5 * all);
  EXPECT_LE(spent, 0.5 * all);
  EXPECT_GE(spent, quant::kUsed * 0.5 * all);
}

TEST(BudgetSearch, SecondsOnALink) {
  const FloatGraph graph = residual_net();
  Budget budget{Budget::Unit::kSeconds, 0, LinkSpec{10e6, 20e-3}};
  const quant::SessionCost eight = quant::session_cost(run(graph, QuantizeOptions{}), budget);
  EXPECT_NEAR(eight.total,
              static_cast<double>(eight.setup_bytes + eight.online_bytes) * 8 / 10e6 +
                  static_cast<double>(eight.flights) * 10e-3,
              1e-9);
  budget.amount = 0.7 * eight.total;
  QuantizeReport report;
  const double spent = cost(run(graph, within(budget), &report), budget);
  EXPECT_TRUE(report.budget->seconds);
  EXPECT_LE(spent, budget.amount);
  EXPECT_GE(spent, quant::kUsed * budget.amount);
}

TEST(BudgetSearch, ABudgetBelowTheCheapestChoiceIsRefused) {
  Budget budget;
  budget.amount = 1000;
  EQO_EXPECT_ERROR(run(residual_net(), within(budget)), Category::kUsage, "the cheapest choice");
}

TEST(BudgetSearch, ABudgetForEverythingGivesTheBestOfAll) {
  Budget budget;
  budget.amount = 1e9;
  QuantizeReport report;
  run(residual_net(), within(budget), &report);
  for (const BudgetReport::Layer& l : report.budget->layers) {
    EXPECT_EQ(l.chosen.weights_bits, 8U);
    EXPECT_EQ(l.chosen.activation_bits, 8U);
    EXPECT_FALSE(l.dearer);
  }
}

TEST(BudgetSearch, WhatIsFixedStaysAndTheSameSeedGivesTheSameModel) {
  const FloatGraph graph = residual_net();
  Budget budget{Budget::Unit::kRatio, 0.6, {}};
  QuantizeOptions options = within(budget);
  options.layers["conv3"] = {7, std::nullopt, ConvDomain::kDirect};
  options.layers["conv5"] = {std::nullopt, 3, std::nullopt};
  QuantizeReport report;
  const Model model = run(graph, options, &report);
  int fixed = 0;
  for (const QuantizeReport::Layer& l : report.layers) {
    if (l.name == "conv3") {
      ++fixed;
      EXPECT_EQ(l.weights_bits, 7U);
      EXPECT_EQ(l.conv, ConvDomain::kDirect);
    }
    if (l.name == "conv5") {
      ++fixed;
      EXPECT_EQ(l.activation_bits, 3U);
    }
  }
  EXPECT_EQ(fixed, 2);
  options.threads = 1;
  EXPECT_EQ(model_digest(run(graph, options)), model_digest(model));
  options.layers = {{"nothing", {2, 2, std::nullopt}}};
  EQO_EXPECT_ERROR(run(graph, options), Category::kUsage, "no layer 'nothing'");
}

// Homomorphic products cost the same for any width of weights, and Winograd's taps only make them dearer.
TEST(BudgetSearch, CountsOnTheProductsThatWillBeUsed) {
  const FloatGraph graph = residual_net();
  QuantizeOptions options;
  options.weights_bits = 3;
  QuantizeReport by_ot, by_he;
  const Model ot = run(graph, options, &by_ot);
  options.products = {Products::kHe, 16};
  const Model he = run(graph, options, &by_he);
  bool winograd = false;
  for (std::size_t i = 0; i < by_he.layers.size(); ++i) {
    winograd = winograd || by_ot.layers[i].conv == ConvDomain::kWinograd;
    EXPECT_FALSE(by_ot.layers[i].homomorphic);
    EXPECT_TRUE(by_he.layers[i].homomorphic) << by_he.layers[i].name;
    EXPECT_EQ(by_he.layers[i].conv, ConvDomain::kDirect) << by_he.layers[i].name;
  }
  EXPECT_TRUE(winograd);
  const quant::SessionCost planned = quant::session_cost(he, {}, options.products);
  std::uint64_t sum = 0;
  for (const auto& [layer, product] : planned.products) sum += product.bytes;
  EXPECT_EQ(by_he.total_bytes, sum);

  Budget budget;
  budget.amount = planned.total + 40000;
  QuantizeOptions asked = within(budget);
  asked.products = options.products;
  QuantizeReport report;
  const Model model = run(graph, asked, &report);
  EXPECT_LE(quant::session_cost(model, budget, asked.products).total, budget.amount);
  for (const BudgetReport::Layer& l : report.budget->layers) EXPECT_EQ(l.chosen.conv, ConvDomain::kDirect) << l.name;
}

TEST(Sensitivity, FallsWithEveryBitAndIsCached) {
  const FloatGraph graph = quant::prepare_graph(residual_net());
  quant::FloatBatch images(graph.input_shape(), kImages);
  images.data = test_images(graph.input_shape(), kImages, 5);
  ThreadPool pool(2);
  quant::CalibratedNet net(graph, images, 1, pool, [](std::size_t) {});
  const std::set<unsigned> widths{2, 3, 4, 6, 8};
  const auto path = std::filesystem::temp_directory_path() / ("eqo-cache-" + std::to_string(::getpid()));
  const auto get = [&](SensitivityMeasure measure, std::uint64_t seed) {
    return quant::layer_sensitivities(
        net, {.weights_bits = widths, .activation_bits = widths, .measure = measure, .seed = seed}, path.string());
  };
  const auto equal = [](const auto& a, const auto& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
      return x.name == y.name && x.direct == y.direct && x.winograd == y.winograd && x.activations == y.activations;
    });
  };
  for (const SensitivityMeasure measure : {SensitivityMeasure::kLogits, SensitivityMeasure::kFisher}) {
    const auto made = get(measure, 1);
    ASSERT_EQ(made.size(), 7U);
    for (const quant::LayerSensitivity& l : made) {
      for (const auto* by_width : {&l.direct, &l.winograd, &l.activations}) {
        double before = std::numeric_limits<double>::infinity();
        for (const auto& [bits, value] : *by_width) {
          EXPECT_LE(value, 1.02 * before) << l.name << ' ' << bits;
          before = value;
        }
      }
      EXPECT_GT(l.direct.at(2), 3 * l.direct.at(4)) << l.name;
    }
    const auto written = std::filesystem::last_write_time(path);
    EXPECT_TRUE(equal(get(measure, 1), made));
    EXPECT_EQ(std::filesystem::last_write_time(path), written);
    EXPECT_FALSE(equal(get(measure, 2), made));  // another seed: measured anew
    std::ofstream(path) << "{";                  // a damaged file too
    EXPECT_TRUE(equal(get(measure, 1), made));
  }
  std::filesystem::remove(path);
  EQO_EXPECT_ERROR(quant::layer_sensitivities(net, {.weights_bits = {4}, .activation_bits = {4}}, "/no/such/folder/f"),
                   Category::kResource, "can't write");
}

// Weights by the squared error times the Hessian's mean diagonal, which somebody else measures.
TEST(Sensitivity, ByTheHessian) {
  const FloatGraph graph = quant::prepare_graph(residual_net());
  quant::FloatBatch images(graph.input_shape(), kImages);
  images.data = test_images(graph.input_shape(), kImages, 5);
  ThreadPool pool(2);
  quant::CalibratedNet net(graph, images, 1, pool, [](std::size_t) {});
  const std::set<unsigned> widths{2, 4, 8};
  quant::SensitivityOptions options{.weights_bits = widths, .activation_bits = widths};
  const auto fisher = quant::measure_sensitivities(net, options);
  options.measure = SensitivityMeasure::kHessian;
  EQO_EXPECT_ERROR(quant::measure_sensitivities(net, options), Category::kUsage, "the training part");
  const auto with = [&](double direct, double winograd) {
    options.hessian = [=](const FloatGraph& g, std::span<const float> x, std::size_t count) {
      EXPECT_EQ(x.size(), count * static_cast<std::size_t>(g.input_shape().size()));
      return std::vector<QuantizeOptions::MeanDiagonal>(7, {direct, winograd});
    };
    return quant::measure_sensitivities(net, options);
  };
  const auto once = with(1, 1), more = with(3, 5);
  for (std::size_t l = 0; l < once.size(); ++l) {
    EXPECT_EQ(once[l].activations, fisher[l].activations);
    for (const unsigned b : widths) {
      EXPECT_GT(once[l].direct.at(b), 0);
      EXPECT_DOUBLE_EQ(more[l].direct.at(b), 3 * once[l].direct.at(b));
      if (!once[l].winograd.empty()) {
        EXPECT_DOUBLE_EQ(more[l].winograd.at(b), 5 * once[l].winograd.at(b));
      }
    }
    EXPECT_GT(once[l].direct.at(2), 8 * once[l].direct.at(4));
  }
}

}  // namespace
}  // namespace eqo
