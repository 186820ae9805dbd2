#include "eqo/peers/convolution.h"

#include "eqo/peers/extend.h"
#include "eqo/peers/peers_testing.h"
#include "eqo/peers/truncate.h"

namespace eqo::peers {
namespace {

using namespace testing;
using Codes = std::vector<std::uint16_t>;

struct Layer {
  ConvSpec spec;
  Choice choice;
  std::uint64_t batch = 1;
  Codes codes;
  Words bias;
};

Words run_layer(PeerContext& c, const Layer& layer, std::span<const Word> x) {
  const auto product = c.party == Party::kServer
                           ? make_convolution_server(layer.spec, layer.choice, layer.codes, layer.bias)
                           : make_convolution_client(layer.spec, layer.choice);
  product->setup(c);
  return product->online(c, 1, layer.batch, x);
}

Words plain(const Layer& layer, const Words& x) {
  ThreadPool threads(1);
  const ConvWeights weights{layer.codes, layer.spec.formats};
  return conv_plain(layer.spec.shape, layer.spec.ring, layer.batch,
                    decode_weights(layer.spec.shape, weights, layer.spec.ring), layer.bias, x, threads);
}

TEST(PeerConvolution, EveryChoiceGivesThePlainConvolution) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  PeerScript script;
  std::vector<Layer> layers;
  std::vector<SharedWords> inputs;
  for (const Choice choice : {Choice::kWeights, Choice::kFixedWeights, Choice::kActivations})
    for (int k = 0; k < 6; ++k) {
      Layer layer{.spec = {}, .choice = choice, .batch = 1 + rng() % 2, .codes = {}, .bias = {}};
      const std::int64_t groups = k == 1 ? 2 : 1;
      ConvShape& s = layer.spec.shape;
      s.in = {2 * static_cast<std::int64_t>(1 + rng() % 2), 5, 4};
      s.out_channels = 4;
      s.groups = groups;
      s.window = {.kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
      if (k == 2) s.domain = ConvDomain::kWinograd;
      if (k == 3) s = {.in = {7, 1, 1}, .out_channels = 5, .window = {.kernel_h = 1, .kernel_w = 1}};
      layer.spec.ring = Ring(static_cast<unsigned>(std::array<unsigned, 4>{8, 20, 32, 41}[rng() % 4]));
      const unsigned bits = static_cast<unsigned>(1 + rng() % 8);
      layer.spec.formats = {WeightCode::twos_complement(bits)};
      layer.codes.resize(s.weights());
      for (auto& w : layer.codes) w = static_cast<std::uint16_t>(rng() % (1U << bits));
      layer.bias.resize(static_cast<std::size_t>(s.out_channels));
      for (Word& b : layer.bias) b = layer.spec.ring.reduce(rng());
      const std::size_t n = static_cast<std::size_t>(s.in.size()) * layer.batch;
      inputs.push_back(share(layer.spec.ring, numbers(layer.spec.ring, n, rng), rng));
      layers.push_back(layer);
    }
  for (std::size_t k = 0; k < layers.size(); ++k)
    script.add([&, k](CostMeter& m) { convolution_cost(m, layers[k].spec, layers[k].choice, layers[k].batch); },
               [&, k](PeerContext& c) { return run_layer(c, layers[k], inputs[k].of(c)); });
  const auto results = script.run(2);
  for (std::size_t k = 0; k < layers.size(); ++k)
    EXPECT_EQ(results[k].sum(layers[k].spec.ring), plain(layers[k], open(layers[k].spec.ring, inputs[k]))) << k;
}

// One 3x3 convolution of ResNet-32's first stage, as the published table has it: 16 x 144 weights of 4 bits times
// 144 x 1024 activations of 8 bits to 20 bits, then truncated and reduced to 12. Cheaper than published: there the
// activations are extended to 16 bits only, so that a second wrap and a product of its bits remain; here they are
// extended to the product's 20 bits at once.
TEST(PeerConvolution, CostBesideThePublicImplementation) {
  Layer layer{.spec = {}, .choice = Choice::kWeights, .batch = 1, .codes = Codes(16 * 144, 5), .bias = {}};
  layer.spec.shape = {.in = {144, 32, 32}, .out_channels = 16, .window = {.kernel_h = 1, .kernel_w = 1}};
  layer.spec.ring = Ring(20);
  layer.spec.formats = {WeightCode::twos_complement(4)};
  constexpr std::uint64_t kInputs = 144 * 1024, kOutputs = 16 * 1024;
  for (const auto& [knowledge, published, least] : std::vector<std::tuple<Knowledge, double, double>>{
           {Knowledge::kNonNegative, 40.55, 0.75}, {Knowledge::kSigned, 76.72, 0.5}}) {
    const double bytes = measured_bytes(
        [&, k = knowledge](CostMeter& m) {
          extend_cost(m, Ring(8), Ring(20), kInputs, k);
          convolution_cost(m, layer.spec, layer.choice, 1);
          truncate_reduce_cost(m, Ring(20), kOutputs, 8);
        },
        [&, k = knowledge](PeerContext& c) {
          const Words x = extend(c, Ring(8), Ring(20), Words(kInputs, 3), k);
          return truncate_reduce(c, Ring(20), run_layer(c, layer, x), 8);
        });
    expect_cost(knowledge == Knowledge::kSigned ? "product 16x144x1024, MB" : "product 16x144x1024, sign known, MB",
                published, bytes / 1e6, least);
  }
}

}  // namespace
}  // namespace eqo::peers
