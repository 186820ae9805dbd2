#include "eqo/protocols/prepared_convolution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <sstream>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/protocols/he_product.h"
#include "eqo/protocols/linear_testing.h"
#include "eqo/protocols/ot_product.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::pick;
using testing::Rng;

struct Case {
  ConvSpec spec;
  std::optional<HeConvPlan> he;  // none: by OTs
  std::uint64_t batch = 1;
  ConvWeights weights;
  Words bias, x;
  testing::Shares shares;
};

Case make_case(Rng& rng, const ConvSpec& spec, bool homomorphic) {
  Case c;
  c.spec = spec;
  if (homomorphic) c.he = plan_he_convolution(spec, {.log_revealed = 24, .min_modulus_bits = 0});
  c.batch = static_cast<std::uint64_t>(pick(rng, 1, 3));
  c.weights = {testing::random_codes(rng, spec.formats, spec.shape.weights()), spec.formats};
  if (rng() % 2 == 0) c.bias = testing::random_words(rng, static_cast<std::size_t>(spec.shape.out_channels), spec.ring);
  c.x = testing::random_words(rng, c.batch * static_cast<std::size_t>(spec.shape.in.size()), spec.ring);
  c.shares = testing::share(rng, spec.ring, c.x);
  return c;
}

// By OTs or homomorphic, where parameters fit.
Case random_case(Rng& rng) {
  while (true) {
    const ConvSpec spec = testing::random_spec(rng, rng() % 2 == 0 ? ConvDomain::kDirect : ConvDomain::kWinograd);
    try {
      return make_case(rng, spec, rng() % 2 == 0);
    } catch (const Error& e) {
      if (e.category() != Category::kModel) throw;
    }
  }
}

std::string describe(const Case& c, std::size_t number) {
  std::ostringstream text;
  text << "case " << number << (c.he ? ", homomorphic" : ", by OTs") << ": in " << c.spec.shape.in.to_string()
       << " out " << c.spec.shape.out().to_string() << " groups " << c.spec.shape.groups << " l " << c.spec.ring.bits()
       << " batch " << c.batch;
  return text.str();
}

std::vector<HeParams> he_params(const std::vector<Case>& cases) {
  std::vector<HeParams> out;
  for (const Case& c : cases)
    if (c.he) out.push_back(c.he->params);
  return out;
}

void setup_cost(CostMeter& meter, const std::vector<Case>& cases) {
  he_keys_setup_cost(meter, he_params(cases));
  for (const Case& c : cases)
    if (!c.he) ot_product_setup_cost(meter, product_spec(c.spec));
}

// One party's layers.
struct Layers {
  Layers(Context& ctx, const std::vector<Case>& cases) : keys(he_params(cases)) {
    keys.setup(ctx);
    for (const Case& c : cases) {
      if (ctx.party == Party::kServer) {
        products.push_back(c.he ? make_he_convolution_server(*c.he, c.weights.codes, c.bias, keys)
                                : make_ot_convolution_server(c.spec, c.weights.codes, c.bias));
      } else {
        products.push_back(c.he ? make_he_convolution_client(*c.he, keys) : make_ot_convolution_client(c.spec));
      }
      products.back()->setup(ctx);
    }
  }
  HeKeys keys;
  std::vector<std::unique_ptr<SecretConvolution>> products;
};

std::span<const std::uint16_t> codes_of(const Context& ctx, const Case& c) {
  return ctx.party == Party::kServer ? std::span<const std::uint16_t>(c.weights.codes)
                                     : std::span<const std::uint16_t>();
}

// All layers are prepared in one round, then answered; results against the twin's, traffic against the prediction.
TEST(PreparedConvolution, RandomLayersEqualTheTwin) {
  for (const unsigned threads : {1U, 3U}) {
    SCOPED_TRACE("seed " + std::to_string(threads));
    Rng rng(threads);
    std::vector<Case> cases;
    for (int i = 0; i < 60; ++i) cases.push_back(random_case(rng));
    const auto cost = [&](CostMeter& meter) {
      setup_cost(meter, cases);
      for (const Case& c : cases) {
        if (c.he) he_convolution_begin_cost(meter, *c.he, c.batch);
        if (!c.he) ot_product_online_cost(meter, product_spec(c.spec), c.batch);
      }
      for (const Case& c : cases)
        if (c.he) he_convolution_finish_cost(meter, *c.he, c.batch);
      for (const Case& c : cases) prepared_answer_cost(meter, c.spec, c.batch);
    };
    const auto party = [&](Context& ctx) {
      Layers layers(ctx, cases);
      std::vector<PreparedConvolution> material;
      for (std::size_t i = 0; i < cases.size(); ++i)
        material.emplace_back(ctx, cases[i].spec, *layers.products[i], 1, cases[i].batch);
      for (PreparedConvolution& m : material) m.finish(ctx);
      std::vector<Words> y;
      for (std::size_t i = 0; i < cases.size(); ++i)
        y.push_back(material[i].answer(ctx, codes_of(ctx, cases[i]),
                                       ctx.party == Party::kServer ? cases[i].shares.server : cases[i].shares.client));
      return y;
    };
    const auto [s, c] = testing::run_protocol(cost, party, party, threads);
    EXPECT_TRUE(testing::traffic_is(s, c, testing::predicted({}, cost)));
    ThreadPool one(1);
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const Case& k = cases[i];
      const DecodedWeights weights = decode_weights(k.spec.shape, k.weights, k.spec.ring);
      const Words want = conv_plain(k.spec.shape, k.spec.ring, k.batch, weights, k.bias, k.x, one);
      EXPECT_TRUE(testing::open(k.spec.ring, s.result[i], c.result[i]) == want) << describe(k, i);
    }
  }
}

TEST(PreparedConvolution, AnAnswerIsBitsOfActivationsInOneFlight) {
  const ConvSpec spec{
      {{16, 32, 32}, 16, 1, {3, 3, 1, 1, 1, 1, 1, 1}, ConvDomain::kDirect}, Ring(14), {WeightCode::twos_complement(4)}};
  CostMeter meter;
  prepared_answer_cost(meter, spec, 2);
  EXPECT_EQ(meter.cost().bytes[static_cast<std::size_t>(Party::kClient)], framed_bytes(2 * 16 * 32 * 32 * 14 / 8));
  EXPECT_EQ(meter.cost().bytes[static_cast<std::size_t>(Party::kServer)], 0U);
  EXPECT_EQ(meter.cost().flights, 1U);
  EXPECT_EQ(prepared_bytes(spec), 8U * 2 * 16 * 32 * 32);
}

ConvSpec small_spec() {
  return {{{3, 8, 8}, 2, 1, {3, 3}, ConvDomain::kDirect}, Ring(12), {WeightCode::twos_complement(2)}};
}

// What the server is sent is uniform and new for every material, also for one and the same input.
TEST(PreparedConvolution, OneInputTwiceLooksLikeTwoInputs) {
  Rng rng(7);
  for (const bool homomorphic : {false, true}) {
    const std::vector<Case> cases{make_case(rng, small_spec(), homomorphic)};
    const std::size_t words = static_cast<std::size_t>(cases[0].spec.shape.in.size());
    constexpr int kTimes = 40;
    const auto party = [&](Context& ctx) {
      Layers layers(ctx, cases);
      std::vector<Words> sent;
      for (int i = 0; i < kTimes; ++i) {
        PreparedConvolution m(ctx, cases[0].spec, *layers.products[0], static_cast<std::uint64_t>(1 + i), 1);
        m.finish(ctx);
        if (ctx.party == Party::kClient) m.answer(ctx, {}, Words(words, 7));
        if (ctx.party == Party::kServer) sent.push_back(ctx.channel.recv_words(words, 12));
      }
      return sent;
    };
    const auto cost = [&](CostMeter& meter) { setup_cost(meter, cases); };
    const auto [s, c] = testing::run_protocol(cost, party, party);
    double ones = 0;
    for (std::size_t i = 0; i < s.result.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) EXPECT_NE(s.result[i], s.result[j]);
      for (const Word w : s.result[i]) ones += static_cast<double>(__builtin_popcountll(w));
    }
    const double n = 12.0 * kTimes * static_cast<double>(words);
    EXPECT_NEAR(ones, n / 2, 6 * std::sqrt(n) / 2);
  }
}

// Used, moved away, unfinished, of another size, failed: nothing is sent.
TEST(PreparedConvolution, MaterialIsUsedOnce) {
  Rng rng(8);
  Case c = make_case(rng, small_spec(), false);
  c.batch = 1;
  c.x.resize(static_cast<std::size_t>(c.spec.shape.in.size()));
  const std::vector<Case> cases{c};
  const auto party = [&](Context& ctx) {
    Layers layers(ctx, cases);
    const auto codes = codes_of(ctx, c);
    const auto refused = [&](PreparedConvolution& m, const Words& x) {
      const Traffic before = ctx.channel.traffic();
      try {
        m.answer(ctx, codes, x);
      } catch (const Error& e) {
        return e.category() == Category::kInternal && ctx.channel.traffic() == before;
      }
      return false;
    };
    bool good = true;
    PreparedConvolution m(ctx, c.spec, *layers.products[0], 1, 1);
    good = refused(m, c.x) && good;  // begun alone
    m.finish(ctx);
    good = refused(m, Words(c.x.size() - 1)) && good;
    PreparedConvolution moved(std::move(m));
    good = refused(m, c.x) && good;
    moved.answer(ctx, codes, c.x);
    good = refused(moved, c.x) && good;
    // An answer that broke off in the middle is an answer.
    PreparedConvolution broken(ctx, c.spec, *layers.products[0], 2, 1);
    broken.finish(ctx);
    auto [near, far] = make_memory_transports();
    far->close();
    Channel cut(ctx.party, std::move(near));
    cut.close();
    Context lost{ctx.party, cut, ctx.ot, ctx.prg, ctx.threads};
    try {
      broken.answer(lost, codes, c.x);
      good = false;
    } catch (const Error& e) {
      good = e.category() == Category::kConnection && good;
    }
    return refused(broken, c.x) && good;
  };
  const auto cost = [&](CostMeter& meter) { setup_cost(meter, cases); };
  const auto [s, client] = testing::run_protocol(cost, party, party);
  EXPECT_TRUE(s.result);
  EXPECT_TRUE(client.result);
}

}  // namespace
}  // namespace eqo
