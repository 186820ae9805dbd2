#include "eqo/protocols/ot_product.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <set>
#include <sstream>
#include <stdexcept>

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/protocols/linear_testing.h"
#include "eqo/protocols/product_rows.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using testing::pick;
using testing::Rng;

struct Case {
  ProductSpec spec;
  std::uint64_t batch = 1;
  std::vector<std::uint16_t> codes;
};

Case random_case(Rng& rng) {
  Case c;
  ProductShape& s = c.spec.shape;
  s = {static_cast<std::uint64_t>(pick(rng, 1, 4)), static_cast<std::uint64_t>(pick(rng, 1, 9)),
       static_cast<std::uint64_t>(pick(rng, 1, 12)), static_cast<std::uint64_t>(pick(rng, 1, 40)),
       Ring(static_cast<unsigned>(pick(rng, 1, 64)))};
  c.batch = static_cast<std::uint64_t>(pick(rng, 1, 3));
  const std::size_t formats = rng() % 2 == 0 ? 1 : s.count;
  for (std::size_t i = 0; i < formats; ++i) c.spec.formats.push_back(testing::random_format(rng));
  c.codes = testing::random_codes(rng, c.spec.formats, s.count * s.rows * s.inner);
  return c;
}

Words plain(const Case& c, const Words& v) {
  const ProductShape& s = c.spec.shape;
  const std::uint64_t cols = s.cols * c.batch;
  Words m(s.count * s.rows * cols);
  for (std::uint64_t p = 0; p < s.count; ++p)
    for (std::uint64_t k = 0; k < s.rows; ++k)
      for (std::uint64_t i = 0; i < s.inner; ++i) {
        const auto u = static_cast<Word>(c.spec.format(p).value(c.codes[(p * s.rows + k) * s.inner + i]));
        for (std::uint64_t t = 0; t < cols; ++t) m[(p * s.rows + k) * cols + t] += u * v[(p * s.inner + i) * cols + t];
      }
  for (Word& w : m) w = s.ring.reduce(w);
  return m;
}

std::string describe(const Case& c, std::uint64_t number) {
  std::ostringstream text;
  const ProductShape& s = c.spec.shape;
  text << "case " << number << ": " << s.count << " x " << s.rows << " x " << s.inner << " x " << s.cols << ", batch "
       << c.batch << ", l " << s.ring.bits() << ", formats " << c.spec.formats.size();
  return text.str();
}

constexpr std::uint64_t kCalls = 2;  // images after each setup

void cost_of(const Case& c, CostMeter& meter) {
  ot_product_setup_cost(meter, c.spec);
  for (std::uint64_t i = 0; i < kCalls; ++i) ot_product_online_cost(meter, c.spec, c.batch);
}

struct PartyResult {
  std::vector<Words> m;             // case by case, kCalls each
  std::vector<std::uint64_t> sent;  // bytes of each case
};

// One session for all cases, each with a setup and inputs of its own. Checks results and costs; returns the traces.
std::array<std::vector<Message>, 2> check_cases(const std::vector<Case>& cases, unsigned threads, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<Words> want;
  std::vector<testing::Shares> inputs;
  for (const Case& c : cases)
    for (std::uint64_t i = 0; i < kCalls; ++i) {
      const ProductShape& s = c.spec.shape;
      const Words v = testing::random_words(rng, s.count * s.inner * s.cols * c.batch, s.ring);
      want.push_back(plain(c, v));
      inputs.push_back(testing::share(rng, s.ring, v));
    }
  auto cost = [&](CostMeter& meter) {
    for (const Case& c : cases) cost_of(c, meter);
  };
  auto party = [&](Words testing::Shares::*mine) {
    return [&, mine](Context& ctx) {
      PartyResult r;
      for (const Case& c : cases) {
        const std::uint64_t before = ctx.channel.traffic().sent_bytes;
        const auto product =
            ctx.party == Party::kServer ? make_ot_product_server(c.spec, c.codes) : make_ot_product_client(c.spec);
        product->setup(ctx);
        for (std::uint64_t i = 0; i < kCalls; ++i)
          r.m.push_back(product->online(ctx, 3 * i, c.batch, inputs[r.m.size()].*mine));
        r.sent.push_back(ctx.channel.traffic().sent_bytes - before);
      }
      return r;
    };
  };
  const auto [server, client] =
      testing::run_protocol(cost, party(&testing::Shares::server), party(&testing::Shares::client), threads);
  EXPECT_TRUE(testing::traffic_is(server, client, testing::predicted({}, cost))) << "seed " << seed;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CostMeter meter;
    cost_of(cases[i], meter);
    EXPECT_EQ(server.result.sent[i], meter.cost().bytes[0]) << describe(cases[i], i);
    EXPECT_EQ(client.result.sent[i], meter.cost().bytes[1]) << describe(cases[i], i);
    for (std::size_t j = i * kCalls; j < (i + 1) * kCalls; ++j)
      EXPECT_EQ(testing::open(cases[i].spec.shape.ring, server.result.m[j], client.result.m[j]) == want[j], true)
          << describe(cases[i], i) << " seed " << seed << " threads " << threads;
  }
  return {server.trace, client.trace};
}

TEST(OtProduct, EqualsThePlainProductAtItsPredictedCost) {
  for (const unsigned threads : {1U, 3U}) {
    Rng rng(threads);
    std::vector<Case> cases;
    for (int i = 0; i < 150; ++i) cases.push_back(random_case(rng));
    check_cases(cases, threads, threads);
  }
}

TEST(OtProduct, EveryRingWidth) {
  Rng rng(5);
  std::vector<Case> cases;
  for (unsigned bits = 1; bits <= 64; ++bits) {
    Case c{{{1, 3, 5, 33, Ring(bits)}, {WeightCode::twos_complement(8)}}, 1, {}};
    c.codes = testing::random_codes(rng, c.spec.formats, 15);
    cases.push_back(c);
  }
  check_cases(cases, 1, 5);
}

// Large enough for several messages, panels, setup chunks and tasks that begin inside a byte.
TEST(OtProduct, StreamsOfSeveralMessages) {
  for (const unsigned threads : {1U, 3U}) {
    Rng rng(threads);
    std::vector<Case> cases;
    for (const ProductShape& s : {ProductShape{1, 16, 9, 5003, Ring(19)}, ProductShape{3, 7, 31, 601, Ring(37)},
                                  ProductShape{1, 3, 2100, 67, Ring(23)}, ProductShape{1, 61, 3001, 1, Ring(17)}}) {
      Case c{{s, {WeightCode{{0, 1, 2, 5, 6, 7, 7, 9}, {1, -1, 1, 1, -1, 1, 1, -1}, -3, 1}}}, 1, {}};
      c.codes = testing::random_codes(rng, c.spec.formats, s.count * s.rows * s.inner);
      cases.push_back(c);
    }
    check_cases(cases, threads, threads);
  }
}

TEST(OtProduct, OnlineCostIsTheFormula) {
  const ProductSpec spec{{16, 32, 32, 64, Ring(18)}, {WeightCode{{0, 1, 3, 7}, {1, 1, 1, -1}, 0, 1}}};
  CostMeter online, setup;
  ot_product_online_cost(online, spec, 4);
  ot_product_setup_cost(setup, spec);
  const std::uint64_t rows = 16 * 32 * 32, widths = 17 + 16 + 14 + 10;
  const std::uint64_t bits = rows * 64 * 4 * widths;
  EXPECT_EQ(online.cost().bytes[1], framed_bytes(bits / 8));
  EXPECT_EQ(online.cost().bytes[0], 0U);
  EXPECT_EQ(online.cost().flights, 1U);
  EXPECT_LT(online.cost().bytes[1] * 8, bits + bits / 1000) << "framing below 0.1 %";
  EXPECT_EQ(setup.cost().cots[static_cast<std::size_t>(Party::kClient)], rows * 4);
  EXPECT_EQ(setup.cost().bytes[0], framed_bytes(rows * 4 / 8));
}

TEST(OtProduct, BitsBeyondTheRingCostNothing) {
  const ProductSpec spec{{1, 2, 3, 5, Ring(4)}, {WeightCode{{1, 3, 6}, {1, 1, 1}, 7, 1}}};
  EXPECT_EQ(ot_product_keys(spec), 6U) << "places 2, 4 and 7: only the first lies in the ring";
  const ProductSpec none{{1, 2, 3, 5, Ring(4)}, {WeightCode{{4}, {1}, 7, 0}}};
  EXPECT_EQ(ot_product_keys(none), 0U);
  check_cases({{spec, 2, {0, 1, 2, 3, 4, 5}}, {none, 2, std::vector<std::uint16_t>(6, 1)}}, 1, 1);
}

TEST(OtProduct, TheTraceDoesNotDependOnSecrets) {
  Rng rng(9);
  Case a{{{2, 3, 50, 700, Ring(20)}, {testing::random_format(rng)}}, 2, {}};
  a.codes = testing::random_codes(rng, a.spec.formats, 300);
  Case b = a;
  for (auto& code : b.codes) code = 0;
  const auto x = check_cases({a}, 1, 100), y = check_cases({b}, 3, 200);
  EXPECT_EQ(x, y);
  EXPECT_GT(x[1].size(), 2U);
}

TEST(OtProduct, PadDomainsNeverRepeat) {
  std::set<std::uint64_t> seen;
  const RowPlan plan({{1, 1, 3000, 700, Ring(16)}, {WeightCode::twos_complement(2)}}, 3);
  ASSERT_GT(plan.panels(), 8U);
  for (std::uint64_t counter = 0; counter < 20; ++counter)
    for (std::uint64_t p = 0; p < plan.panels(); ++p) EXPECT_TRUE(seen.insert(pad_domain(counter, p)).second);
}

// The tasks of a plan cover every row of every panel once, without gaps in the stream.
TEST(OtProduct, TasksCoverTheStream) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Rng rng(seed);
    const Case c = random_case(rng);
    const RowPlan plan(c.spec, c.batch);
    std::uint64_t bit = 0, rows = 0;
    for (RowPlan::Cursor cursor(plan); !cursor.done(); cursor.advance()) {
      const RowTask t = cursor.peek();
      ASSERT_EQ(t.first_bit, bit) << "seed " << seed;
      ASSERT_EQ(t.first_row * plan.cols_of(t.panel) * t.segment->width % 8, 0U);
      ASSERT_LE(packed_bytes(t.bits, 1), kMaxTaskBytes);
      bit += t.bits;
      rows += t.rows;
    }
    ASSERT_EQ(bit, plan.total_bits()) << "seed " << seed;
    ASSERT_EQ(rows, ot_product_keys(c.spec) * plan.panels()) << "seed " << seed;
  }
}

TEST(OtProduct, ACounterIsUsedOnce) {
  const Case c{{{1, 2, 2, 3, Ring(8)}, {WeightCode::twos_complement(2)}}, 1, {0, 1, 2, 3}};
  auto cost = [&](CostMeter& meter) {
    ot_product_setup_cost(meter, c.spec);
    for (int i = 0; i < 2; ++i) ot_product_online_cost(meter, c.spec, 1);
  };
  auto party = [&](Context& ctx) {
    const auto product =
        ctx.party == Party::kServer ? make_ot_product_server(c.spec, c.codes) : make_ot_product_client(c.spec);
    const Words v(6), short_v(5);
    auto refused = [&](std::uint64_t counter, const Words& values) {
      try {
        product->online(ctx, counter, 1, values);
      } catch (const Error& e) {
        return e.category() == Category::kInternal;
      }
      return false;
    };
    bool ok = refused(0, v);  // before setup
    product->setup(ctx);
    product->online(ctx, 7, 1, v);
    ok = ok && refused(7, v) && refused(0, v) && refused(std::uint64_t{1} << 48, v) && refused(8, short_v);
    product->online(ctx, 8, 1, v);
    ok = ok && refused(8, v);
    try {
      product->setup(ctx);
      ok = false;
    } catch (const Error&) {
    }
    return ok;
  };
  const auto [server, client] = testing::run_protocol(cost, party, party);
  EXPECT_TRUE(server.result);
  EXPECT_TRUE(client.result);
  EXPECT_TRUE(testing::traffic_is(server, client, testing::predicted({}, cost))) << "refusals send nothing";
}

Category category_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.category();
  }
  throw std::runtime_error("no error");
}

TEST(OtProduct, AFailedCallBurnsItsCounter) {
  const Case c{{{1, 2, 2, 3, Ring(8)}, {WeightCode::twos_complement(2)}}, 1, {0, 1, 2, 3}};
  auto cost = [&](CostMeter& meter) {
    ot_product_setup_cost(meter, c.spec);
    ot_product_online_cost(meter, c.spec, 1);
  };
  auto server = [&](Context& ctx) {
    const auto product = make_ot_product_server(c.spec, c.codes);
    product->setup(ctx);
    product->online(ctx, 6, 1, Words(6));
    return true;
  };
  auto client = [&](Context& ctx) {
    const auto product = make_ot_product_client(c.spec);
    product->setup(ctx);
    auto [mine, theirs] = make_memory_transports();
    theirs->close();
    mine->close();
    Channel dead(Party::kClient, std::move(mine));
    Context broken{ctx.party, dead, ctx.ot, ctx.prg, ctx.threads};
    const bool failed = category_of([&] { product->online(broken, 5, 1, Words(6)); }) == Category::kConnection &&
                        category_of([&] { product->online(ctx, 5, 1, Words(6)); }) == Category::kInternal;
    product->online(ctx, 6, 1, Words(6));
    return failed;
  };
  const auto [s, m] = testing::run_protocol(cost, server, client);
  EXPECT_TRUE(m.result);
  EXPECT_TRUE(testing::traffic_is(s, m, testing::predicted({}, cost)));
}

TEST(OtProduct, RowsOfTheWrongLengthAreRefused) {
  const Case c{{{1, 2, 2, 3, Ring(8)}, {WeightCode::twos_complement(2)}}, 1, {0, 1, 2, 3}};
  auto cost = [&](CostMeter& meter) { ot_product_setup_cost(meter, c.spec); };
  for (const bool longer : {false, true}) {
    auto server = [&](Context& ctx) {
      const auto product = make_ot_product_server(c.spec, c.codes);
      product->setup(ctx);
      return category_of([&] { product->online(ctx, 0, 1, Words(6)); }) == Category::kProtocol;
    };
    auto client = [&](Context& ctx) {
      make_ot_product_client(c.spec)->setup(ctx);
      CostMeter meter;
      ot_product_online_cost(meter, c.spec, 1);
      const std::uint64_t bytes = meter.cost().bytes[1] - kFrameHeaderBytes;
      ctx.channel.send(Bytes(longer ? bytes + 1 : bytes - 1));
      return true;
    };
    EXPECT_TRUE(testing::run_protocol(cost, server, client).first.result);
  }
}

TEST(OtProduct, RefusesImpossibleShapes) {
  auto refused = [](ProductSpec spec) {
    try {
      make_ot_product_client(std::move(spec));
    } catch (const Error& e) {
      return e.category() == Category::kModel;
    }
    return false;
  };
  const ProductSpec good{{2, 2, 2, 2, Ring(8)}, {WeightCode::twos_complement(2)}};
  ASSERT_FALSE(refused(good));
  ProductSpec spec = good;
  spec.shape.inner = 0;
  EXPECT_TRUE(refused(spec));
  spec = good;
  spec.shape.rows = std::uint64_t{1} << 63;
  EXPECT_TRUE(refused(spec));
  spec = good;
  spec.shape.cols = std::uint64_t{1} << 40;
  EXPECT_TRUE(refused(spec));
  spec = good;
  spec.formats.resize(3, spec.formats[0]);
  EXPECT_TRUE(refused(spec));
  spec = good;
  spec.formats[0].exponents[0] = 40;
  EXPECT_TRUE(refused(spec));
  const std::vector<std::uint16_t> codes(7);
  EXPECT_THROW(make_ot_product_server(good, codes), Error) << "8 weights are needed";
}

}  // namespace
}  // namespace eqo
