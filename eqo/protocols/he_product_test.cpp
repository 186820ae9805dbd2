#include "eqo/protocols/he_product.h"

#include <gtest/gtest.h>

#include <sstream>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/protocols/linear_testing.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::pick;
using testing::Rng;

struct Case {
  HeConvPlan plan;
  std::uint64_t batch = 1;
  ConvWeights weights;
  Words bias, x;
  testing::Shares shares;
};

ConvShape random_shape(Rng& rng, ConvDomain domain) {
  while (true) {
    ConvShape s;
    s.domain = domain;
    if (domain == ConvDomain::kWinograd) {
      s.in = {pick(rng, 1, 6), pick(rng, 1, 20), pick(rng, 1, 20)};
      s.out_channels = pick(rng, 1, 6);
      s.window = {3, 3, 1, 1, pick(rng, 0, 2), pick(rng, 0, 2), pick(rng, 0, 2), pick(rng, 0, 2)};
    } else {
      s.groups = pick(rng, 1, 3);
      s.in = {s.groups * pick(rng, 1, 5), pick(rng, 1, 30), pick(rng, 1, 30)};
      s.out_channels = s.groups * pick(rng, 1, 5);
      s.window = {pick(rng, 1, 5), pick(rng, 1, 5), pick(rng, 1, 3), pick(rng, 1, 3), pick(rng, 0, 2),
                  pick(rng, 0, 2), pick(rng, 0, 2), pick(rng, 0, 2), pick(rng, 1, 2), pick(rng, 1, 2)};
      if (rng() % 4 == 0) s.out_channels = s.groups = s.in.c;
      if (rng() % 8 == 0) s = {{pick(rng, 1, 200), 1, 1}, pick(rng, 1, 50), 1, {}, ConvDomain::kDirect};
    }
    try {
      check(s);
      return s;
    } catch (const Error&) {
    }
  }
}

Case make_case(Rng& rng, const ConvSpec& spec, std::uint64_t batch) {
  Case c{plan_he_convolution(spec, {.log_revealed = 24, .min_modulus_bits = 0}), batch, {}, {}, {}, {}};
  c.weights = {testing::random_codes(rng, spec.formats, spec.shape.weights()), spec.formats};
  if (rng() % 8 == 0) std::fill(c.weights.codes.begin(), c.weights.codes.end(), std::uint16_t{0});
  if (rng() % 2 == 0) c.bias = testing::random_words(rng, static_cast<std::size_t>(spec.shape.out_channels), spec.ring);
  c.x = testing::random_words(rng, batch * static_cast<std::size_t>(spec.shape.in.size()), spec.ring);
  c.shares = testing::share(rng, spec.ring, c.x);
  return c;
}

Case random_case(Rng& rng, ConvDomain domain) {
  while (true) {
    ConvSpec spec;
    spec.shape = random_shape(rng, domain);
    spec.ring = Ring(static_cast<unsigned>(pick(rng, 2, 32)));
    const std::uint64_t formats = rng() % 2 == 0 ? 1 : spec.shape.products();
    for (std::uint64_t i = 0; i < formats; ++i) spec.formats.push_back(testing::random_format(rng));
    try {
      return make_case(rng, spec, static_cast<std::uint64_t>(pick(rng, 1, 3)));
    } catch (const Error& e) {
      if (e.category() != Category::kModel) throw;  // weights or rings too wide for any modulus
    }
  }
}

std::string describe(const Case& c, std::size_t number) {
  std::ostringstream text;
  const ConvShape& s = c.plan.spec.shape;
  text << "case " << number << ": in " << s.in.to_string() << " out " << s.out().to_string() << " groups " << s.groups
       << " l " << c.plan.spec.ring.bits() << " N " << c.plan.params.degree << " log q " << c.plan.params.modulus_bits
       << " batch " << c.batch;
  return text.str();
}

std::vector<HeParams> params_of(const std::vector<Case>& cases) {
  std::vector<HeParams> out;
  for (const Case& c : cases) out.push_back(c.plan.params);
  return out;
}

// All layers in one session; results against the twin's, traffic against the prediction.
void equal_the_twin(const std::vector<Case>& cases, unsigned threads, std::uint64_t weight_bytes) {
  const std::vector<HeParams> layers = params_of(cases);
  auto cost = [&](CostMeter& meter) {
    he_keys_setup_cost(meter, layers);
    for (const Case& c : cases) he_convolution_online_cost(meter, c.plan, c.batch);
  };
  auto party = [&](Context& ctx) {
    const bool server = ctx.party == Party::kServer;
    HeKeys keys(layers, weight_bytes);
    keys.setup(ctx);
    std::vector<Words> y;
    for (const Case& c : cases) {
      const auto conv = server ? make_he_convolution_server(c.plan, c.weights.codes, c.bias, keys)
                               : make_he_convolution_client(c.plan, keys);
      conv->setup(ctx);
      y.push_back(conv->online(ctx, 1, c.batch, server ? c.shares.server : c.shares.client));
    }
    return y;
  };
  const auto [s, c] = testing::run_protocol(cost, party, party, threads);
  EXPECT_TRUE(testing::traffic_is(s, c, testing::predicted({}, cost)));
  CostMeter meter;
  meter.record_trace();
  cost(meter);
  EXPECT_TRUE(std::equal(meter.trace().rbegin(), meter.trace().rend(), s.trace.rbegin()));
  ThreadPool one(1);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Case& k = cases[i];
    const ConvSpec& spec = k.plan.spec;
    const DecodedWeights weights = decode_weights(spec.shape, k.weights, spec.ring);
    const Words want = conv_plain(spec.shape, spec.ring, k.batch, weights, k.bias, k.x, one);
    EXPECT_TRUE(testing::open(spec.ring, s.result[i], c.result[i]) == want) << describe(k, i);
  }
}

class HeConvolutionOf : public ::testing::TestWithParam<ConvDomain> {};

TEST_P(HeConvolutionOf, RandomLayersEqualTheTwin) {
  for (const unsigned threads : {1U, 3U}) {
    Rng rng(threads);
    std::vector<Case> cases;
    for (int i = 0; i < 250; ++i) cases.push_back(random_case(rng, GetParam()));
    equal_the_twin(cases, threads, threads == 1 ? std::uint64_t{1} << 28 : std::uint64_t{1} << 20);
  }
}

INSTANTIATE_TEST_SUITE_P(Domain, HeConvolutionOf, ::testing::Values(ConvDomain::kDirect, ConvDomain::kWinograd),
                         [](const auto& p) { return p.param == ConvDomain::kDirect ? "Direct" : "Winograd"; });

ConvSpec resnet_layer() {
  return {
      {{16, 32, 32}, 16, 1, {3, 3, 1, 1, 1, 1, 1, 1}, ConvDomain::kDirect}, Ring(14), {WeightCode::twos_complement(4)}};
}

TEST(HeConvolution, LayerOfResNet32) {
  Rng rng(5);
  const Case c = make_case(rng, resnet_layer(), 1);
  const HeWork work = he_convolution_work(c.plan, 1);
  EXPECT_EQ(work.inputs, 6U);
  EXPECT_EQ(work.results, 16U);
  EXPECT_EQ(work.terms, 96U);
  EXPECT_EQ(work.weights, 96U);
  EXPECT_EQ(he_convolution_reveals(c.plan, 2), 2U * 16 * 32 * 32);
  equal_the_twin({c}, 1, std::uint64_t{1} << 28);
}

TEST(HeConvolution, OneKeyForAllLayersOfOneModulus) {
  ConvSpec narrow = resnet_layer(), wide = resnet_layer();
  wide.ring = Ring(18);
  const HeOptions shared{.log_revealed = 20, .min_modulus_bits = 100};
  const std::vector<HeParams> layers{plan_he_convolution(narrow, shared).params,
                                     plan_he_convolution(wide, shared).params};
  EXPECT_EQ(layers[0].modulus_bits, layers[1].modulus_bits);
  CostMeter meter;
  he_keys_setup_cost(meter, layers);
  EXPECT_EQ(meter.cost().bytes[static_cast<std::size_t>(Party::kClient)], framed_bytes(he_public_key_bytes(layers[0])));
}

TEST(HeConvolution, BudgetOfRevealedResults) {
  const HeConvPlan plan = plan_he_convolution(resnet_layer(), {.log_revealed = 15, .min_modulus_bits = 0});
  HeKeys keys(std::span(&plan.params, 1));
  EXPECT_NO_THROW(keys.reveal(std::uint64_t{1} << 14));
  EXPECT_NO_THROW(keys.reveal(std::uint64_t{1} << 14));
  EXPECT_THROW(keys.reveal(1), Error);
}

TEST(HeConvolution, RefusesWhatDoesNotFit) {
  ConvSpec spec = resnet_layer();
  spec.ring = Ring(33);
  EXPECT_THROW(plan_he_convolution(spec, {}), Error);
  spec = resnet_layer();
  spec.ring = Ring(32);
  spec.formats = {WeightCode::twos_complement(8)};
  spec.formats[0].shift = 17;
  EXPECT_THROW(plan_he_convolution(spec, {}), Error);
  const HeConvPlan plan = plan_he_convolution(resnet_layer(), {});
  HeKeys keys(std::span(&plan.params, 1));
  const std::vector<std::uint16_t> codes(16 * 16 * 9);
  EXPECT_NO_THROW(make_he_convolution_server(plan, codes, Words(16), keys));
  EXPECT_THROW(make_he_convolution_server(plan, codes, Words(15), keys), Error);
  EXPECT_THROW(make_he_convolution_server(plan, std::span(codes).first(9), {}, keys), Error);
}

// The error that `victim` ends with when the other party plays `attack`.
template <typename Victim, typename Attack>
std::string error_of(Party victim_is, Victim victim, Attack attack) {
  std::string message;
  auto party = [&](Channel& ch) {
    Prg prg = Prg::from_os();
    ThreadPool pool(1);
    auto ot = make_ot_pool(ch, prg, pool, {});
    Context ctx{ch.party(), ch, *ot, prg, pool};
    if (ch.party() != victim_is) {
      attack(ctx);
      return 0;
    }
    try {
      victim(ctx);
    } catch (const Error& e) {
      if (e.category() == Category::kProtocol) message = e.what();
    }
    return 0;
  };
  testing::run_two_channels(party, party);
  return message;
}

Bytes filled(std::uint64_t bytes, std::byte value) { return {bytes, value, {}}; }

TEST(HeConvolution, MalformedBytesEndInAProtocolError) {
  Rng rng(9);
  ConvSpec spec{{{3, 9, 9}, 1, 1, {3, 3}, ConvDomain::kDirect}, Ring(14), {WeightCode::twos_complement(4)}};
  const Case c = make_case(rng, spec, 1);
  const HeParams& params = c.plan.params;
  const auto run = [&](Context& ctx) {
    HeKeys keys(std::span(&params, 1));
    keys.setup(ctx);
    const auto conv = ctx.party == Party::kServer ? make_he_convolution_server(c.plan, c.weights.codes, c.bias, keys)
                                                  : make_he_convolution_client(c.plan, keys);
    conv->setup(ctx);
    conv->online(ctx, 1, 1, ctx.party == Party::kServer ? c.shares.server : c.shares.client);
  };
  const auto public_key = [&](Context& ctx) {
    HeKeys keys(std::span(&params, 1));
    keys.setup(ctx);
  };
  // Residues that are not below their primes; a message of another length.
  const std::uint64_t input_bytes = c.plan.layout.inputs_bytes(params, 1, 0);
  EXPECT_NE(error_of(Party::kServer, run,
                     [&](Context& ctx) { ctx.channel.send(filled(he_public_key_bytes(params), std::byte{255})); }),
            "");
  EXPECT_NE(error_of(Party::kServer, run,
                     [&](Context& ctx) {
                       public_key(ctx);
                       ctx.channel.send(filled(input_bytes, std::byte{255}));
                     }),
            "");
  for (const std::uint64_t length : {input_bytes - 1, input_bytes + 1, std::uint64_t{1}, he_public_key_bytes(params)}) {
    EXPECT_NE(error_of(Party::kServer, run,
                       [&](Context& ctx) {
                         public_key(ctx);
                         ctx.channel.send(filled(length, std::byte{0}));
                       }),
              "");
  }
  for (const std::uint64_t length : {he_public_key_bytes(params) - 1, he_public_key_bytes(params) + 1}) {
    EXPECT_NE(error_of(Party::kServer, run, [&](Context& ctx) { ctx.channel.send(filled(length, std::byte{0})); }), "");
  }
  // An answer whose padding bits are set, and one that is too short. 49 results of 17 bits leave 7 bits of padding.
  const std::uint64_t answer_bytes = he_answer_bytes(params, c.plan.layout.result_count(1, 0, 0));
  for (const Bytes& answer : {filled(answer_bytes, std::byte{255}), filled(answer_bytes - 1, std::byte{0}),
                              filled(answer_bytes + 1, std::byte{0}), filled(1, std::byte{0})}) {
    EXPECT_NE(error_of(Party::kClient, run,
                       [&](Context& ctx) {
                         public_key(ctx);
                         ctx.channel.recv(input_bytes);
                         ctx.channel.send(answer);
                       }),
              "");
  }
}

}  // namespace
}  // namespace eqo
