#include "eqo/peers/factored_convolution.h"

#include "eqo/peers/peers_testing.h"

namespace eqo::peers {
namespace {

using namespace testing;

struct Layer {
  ConvSpec spec;
  std::uint64_t batch = 1;
  std::vector<std::uint16_t> codes;
  Words bias;
};

WeightCode random_code(std::mt19937_64& rng) {
  WeightCode code = WeightCode::twos_complement(static_cast<unsigned>(1 + rng() % 4));
  if (rng() % 2 == 0) return code;
  for (std::size_t i = 0; i < code.exponents.size(); ++i) {
    code.exponents[i] = static_cast<std::uint8_t>(2 * i);
    code.signs[i] = rng() % 2 == 0 ? 1 : -1;
  }
  code.offset = static_cast<std::int64_t>(rng() % 20) - 10;
  code.shift = static_cast<std::uint8_t>(rng() % 3);
  return code;
}

TEST(FactoredConvolution, IsThePlainConvolution) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  PeerScript script;
  std::vector<Layer> layers;
  std::vector<SharedWords> inputs;
  for (int k = 0; k < 16; ++k) {
    Layer layer;
    layer.batch = 1 + rng() % 2;
    ConvShape& s = layer.spec.shape;
    s.in = {2 * static_cast<std::int64_t>(1 + rng() % 3), 5, 4};
    s.out_channels = 4;
    s.groups = k % 3 == 1 ? 2 : 1;
    s.window = {.kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
    if (k % 5 == 3) s = {.in = {7, 1, 1}, .out_channels = 5, .window = {.kernel_h = 1, .kernel_w = 1}};
    layer.spec.ring = Ring(std::array<unsigned, 4>{2, 12, 16, 40}[rng() % 4]);
    layer.spec.formats = {random_code(rng)};
    ASSERT_TRUE(factors(layer.spec));
    layer.codes.resize(s.weights());
    for (auto& w : layer.codes) w = static_cast<std::uint16_t>(rng() % (1U << layer.spec.formats[0].bits()));
    layer.bias.resize(static_cast<std::size_t>(s.out_channels));
    for (Word& b : layer.bias) b = layer.spec.ring.reduce(rng());
    const std::size_t n = static_cast<std::size_t>(s.in.size()) * layer.batch;
    inputs.push_back(share(layer.spec.ring, numbers(layer.spec.ring, n, rng), rng));
    layers.push_back(layer);
  }
  for (std::size_t k = 0; k < layers.size(); ++k)
    script.add([&, k](CostMeter& m) { factored_convolution_cost(m, layers[k].spec, layers[k].batch); },
               [&, k](PeerContext& c) {
                 const Layer& l = layers[k];
                 const auto product = c.party == Party::kServer
                                          ? make_factored_convolution_server(l.spec, l.codes, l.bias)
                                          : make_factored_convolution_client(l.spec);
                 product->setup(c);
                 return product->online(c, 1, l.batch, inputs[k].of(c));
               });
  const auto results = script.run(2);
  ThreadPool threads(1);
  for (std::size_t k = 0; k < layers.size(); ++k) {
    const Layer& l = layers[k];
    const ConvWeights weights{l.codes, l.spec.formats};
    EXPECT_EQ(results[k].sum(l.spec.ring),
              conv_plain(l.spec.shape, l.spec.ring, l.batch, decode_weights(l.spec.shape, weights, l.spec.ring), l.bias,
                         open(l.spec.ring, inputs[k]), threads))
        << k;
  }
}

TEST(FactoredConvolution, SmallCodebooksOfDirectProductsOnly) {
  ConvSpec spec;
  spec.shape = {.in = {4, 8, 8},
                .out_channels = 4,
                .window = {.kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1}};
  spec.ring = Ring(16);
  for (unsigned bits = 1; bits <= 8; ++bits) {
    spec.formats = {WeightCode::twos_complement(bits)};
    EXPECT_EQ(factors(spec), bits <= 4) << bits;
  }
  spec.formats = {WeightCode::twos_complement(2)};
  spec.shape.domain = ConvDomain::kWinograd;
  EXPECT_FALSE(factors(spec));
  EXPECT_THROW(make_factored_convolution_client(spec), Error);
}

// The header's formula: a cluster fewer than there are, each a row of the ring's width.
TEST(FactoredConvolution, CostIsTheHeaders) {
  ConvSpec spec;
  spec.shape = {.in = {16, 8, 8},
                .out_channels = 32,
                .window = {.kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1}};
  spec.ring = Ring(14);
  spec.formats = {WeightCode::twos_complement(3)};
  CostMeter m;
  factored_convolution_cost(m, spec, 1);
  const double weights = 32 * 16 * 9, cols = 64, clusters = 8;
  EXPECT_EQ(m.cost().cots[1], static_cast<std::uint64_t>(weights * (clusters - 1) + clusters * 3));
  const double bits = weights * cols * (clusters - 1) * 14 + clusters * 32 * cols * (14 + 13 + 12) +
                      weights * (clusters - 1) + clusters * 3;
  EXPECT_NEAR(static_cast<double>(m.cost().total_bytes()), bits / 8, 200);
}

}  // namespace
}  // namespace eqo::peers
