#include "eqo/protocols/convolution.h"

#include <gtest/gtest.h>

#include <sstream>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/protocols/linear_testing.h"
#include "eqo/protocols/ot_product.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::pick;
using testing::random_spec;
using testing::Rng;

struct Case {
  ConvSpec spec;
  std::uint64_t batch = 1;
  ConvWeights weights;
  Words bias, x;
  testing::Shares shares;
};

Case make_case(Rng& rng, const ConvSpec& spec, std::uint64_t batch) {
  Case c{spec, batch, {testing::random_codes(rng, spec.formats, spec.shape.weights()), spec.formats}, {}, {}, {}};
  c.weights.validate(spec.shape);
  if (rng() % 2 == 0) c.bias = testing::random_words(rng, static_cast<std::size_t>(spec.shape.out_channels), spec.ring);
  c.x = testing::random_words(rng, batch * static_cast<std::size_t>(spec.shape.in.size()), spec.ring);
  c.shares = testing::share(rng, spec.ring, c.x);
  return c;
}

std::string describe(const Case& c, std::size_t number) {
  std::ostringstream text;
  text << "case " << number << ": in " << c.spec.shape.in.to_string() << " out " << c.spec.shape.out().to_string()
       << " groups " << c.spec.shape.groups << " l " << c.spec.ring.bits() << " batch " << c.batch;
  return text.str();
}

// All layers in one session; results against the twin's, traffic against the prediction.
void equal_the_twin(const std::vector<Case>& cases, unsigned threads) {
  auto cost = [&](CostMeter& meter) {
    for (const Case& c : cases) {
      ot_product_setup_cost(meter, product_spec(c.spec));
      ot_product_online_cost(meter, product_spec(c.spec), c.batch);
    }
  };
  auto party = [&](Context& ctx) {
    std::vector<Words> y;
    for (const Case& c : cases) {
      const bool server = ctx.party == Party::kServer;
      const auto conv =
          server ? make_ot_convolution_server(c.spec, c.weights.codes, c.bias) : make_ot_convolution_client(c.spec);
      conv->setup(ctx);
      y.push_back(conv->online(ctx, 1, c.batch, server ? c.shares.server : c.shares.client));
    }
    return y;
  };
  const auto [s, c] = testing::run_protocol(cost, party, party, threads);
  EXPECT_TRUE(testing::traffic_is(s, c, testing::predicted({}, cost)));
  ThreadPool one(1);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Case& k = cases[i];
    const Ring ring = k.spec.ring;
    const DecodedWeights weights = decode_weights(k.spec.shape, k.weights, ring);
    const Words want = conv_plain(k.spec.shape, ring, k.batch, weights, k.bias, k.x, one);
    EXPECT_TRUE(testing::open(ring, s.result[i], c.result[i]) == want) << describe(k, i);
  }
}

class SecretConvolutionOf : public ::testing::TestWithParam<ConvDomain> {};

TEST_P(SecretConvolutionOf, RandomLayersEqualTheTwin) {
  for (const unsigned threads : {1U, 3U}) {
    Rng rng(threads);
    std::vector<Case> cases;
    for (int i = 0; i < 80; ++i)
      cases.push_back(make_case(rng, random_spec(rng, GetParam()), static_cast<std::uint64_t>(pick(rng, 1, 3))));
    equal_the_twin(cases, threads);
  }
}

INSTANTIATE_TEST_SUITE_P(Domain, SecretConvolutionOf, ::testing::Values(ConvDomain::kDirect, ConvDomain::kWinograd),
                         [](const auto& p) { return p.param == ConvDomain::kDirect ? "Direct" : "Winograd"; });

TEST(SecretConvolution, FullyConnectedWithABatch) {
  Rng rng(3);
  const ConvSpec spec{{{37, 1, 1}, 10, 1, {}, ConvDomain::kDirect}, Ring(21), {WeightCode::twos_complement(8)}};
  equal_the_twin({make_case(rng, spec, 5)}, 1);
}

TEST(SecretConvolution, RefusesWhatDoesNotFit) {
  const ConvSpec spec{{{3, 4, 4}, 2, 1, {3, 3}, ConvDomain::kDirect}, Ring(12), {WeightCode::twos_complement(4)}};
  const std::vector<std::uint16_t> codes(54);
  EXPECT_NO_THROW(make_ot_convolution_server(spec, codes, Words(2)));
  EXPECT_THROW(make_ot_convolution_server(spec, codes, Words(3)), Error);
  EXPECT_THROW(make_ot_convolution_server(spec, std::span(codes).first(53), {}), Error);
  ConvSpec bad = spec;
  bad.shape.window.kernel_h = 7;
  EXPECT_THROW(make_ot_convolution_client(bad), Error);
  bad = spec;
  bad.formats.resize(2, bad.formats[0]);
  EXPECT_THROW(make_ot_convolution_client(bad), Error);
}

}  // namespace
}  // namespace eqo
