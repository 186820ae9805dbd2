#include "eqo/runtime/session.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "eqo/model/testing/small_models.h"
#include "eqo/net/handshake.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/net/testing/transports.h"
#include "eqo/planner/he_choice.h"
#include "eqo/runtime/control.h"
#include "eqo/runtime/runtime_testing.h"

namespace eqo {
namespace {

using namespace std::chrono_literals;
using testing::connected_transports;
using testing::end_of;
using testing::expect_end;
using testing::expected_answers;
using testing::random_images;
using testing::random_offer;
using testing::run_session;

Cost handshake_of(const Offer& offer) {
  const auto bytes = handshake_bytes(offer.plan_bytes.size(), kExecOptionsBytes);
  Cost handshake;
  handshake.bytes = {bytes[0], bytes[1]};
  handshake.flights = kHandshakeFlights;
  return handshake;
}

RunReport planned(const Offer& offer, std::uint64_t batch) {
  return planned_report(offer.model.plan, plan_cost(offer.model.plan, offer.exec, batch), handshake_of(offer));
}

// Handshake and setup as a client does them; then `f` has the bare channel.
template <typename F>
testing::End<SessionSummary> server_against(const Offer& offer, F f) {
  const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
    Prg prg = Prg::from_os();
    client_handshake(*t, {}, {});
    Channel channel(Party::kClient, std::move(t));
    ThreadPool threads(1);
    const auto ot = make_ot_pool(channel, prg, threads, offer.exec.ot);
    Context ctx{Party::kClient, channel, *ot, prg, threads};
    SecureExecutor executor(ctx, offer.model.plan, offer.exec, nullptr);
    executor.setup();
    receive_ready(channel);
    f(channel, executor);
    return true;
  });
  EXPECT_TRUE(bool(client)) << client.text();
  return server;
}

// --- What works ---

class Sessions : public ::testing::TestWithParam<std::tuple<std::string, Reveal, unsigned>> {};

TEST_P(Sessions, AnswersAreTheTwinsAndReportsThePlans) {
  const auto& [kind, reveal, threads] = GetParam();
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("random_offer(" + std::to_string(seed) + ")");
    ExecOptions exec;
    exec.compare.levels = static_cast<unsigned>(2 + seed);
    Offer offer = random_offer(seed, reveal, exec);
    offer.threads = threads;
    std::uint64_t asked = 0;
    const auto [server, client] =
        run_session(connected_transports(kind), offer, [&, n = threads](std::unique_ptr<Transport> t) {
          ClientOptions options;
          options.threads = n;
          options.require_logits = reveal == Reveal::kLogits;
          options.pinned_model = offer.model_digest;
          ClientSession session(std::move(t), options);
          EXPECT_EQ(serialize_plan(session.plan()), offer.plan_bytes);
          EXPECT_EQ(session.model_digest(), offer.model_digest);
          EXPECT_EQ(session.exec(), offer.exec);
          EXPECT_EQ(session.max_batch(), offer.max_batch);
          for (const std::uint32_t batch : {2U, 1U, 3U, 2U}) {
            const auto images = random_images(offer.model.plan, seed + asked, batch);
            EXPECT_EQ(session.infer(images, batch), expected_answers(offer.model, images, batch));
            asked += batch;
          }
          return session.finish();
        });
    ASSERT_TRUE(server && client) << server.text() << " / " << client.text();
    for (const SessionSummary& s : {*server.value, *client.value}) {
      EXPECT_EQ(s.images, asked);
      EXPECT_EQ(s.batches, 4U);
      EXPECT_EQ(first_difference(planned(offer, 2), s.report), "");
      EXPECT_GT(s.report.peak_rss_bytes, 0U);
      EXPECT_GT(s.online_seconds, 0);
      EXPECT_GT(s.report.setup_seconds, 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Sessions,
                         ::testing::Combine(::testing::Values("memory", "tcp", "tls"),
                                            ::testing::Values(Reveal::kLogits, Reveal::kLabel),
                                            ::testing::Values(1U, 2U)));

TEST(Session, WithoutABatchThereIsNoReport) {
  const Offer offer = random_offer(1);
  const auto [server, client] = run_session(make_memory_transports(), offer, [](std::unique_ptr<Transport> t) {
    return ClientSession(std::move(t), {}).finish();
  });
  ASSERT_TRUE(server && client) << server.text() << " / " << client.text();
  EXPECT_EQ(server.value->images, 0U);
  EXPECT_EQ(client.value->batches, 0U);
  EXPECT_TRUE(client.value->report.layers.empty());
}

// --- Prepared batches ---

RunReport planned_prepared(const Offer& offer, std::uint64_t batch) {
  SessionPlan session(offer.model.plan, offer.exec);
  session.prepare(batch);
  return planned_report(offer.model.plan, session.next(batch, BatchKind::kPrepared), handshake_of(offer));
}

constexpr std::uint64_t kHeImages = 12;

Offer preparing_offer(std::uint64_t seed, std::uint32_t max_prepared) {
  const Reveal reveal = seed % 3 == 0 ? Reveal::kLabel : Reveal::kLogits;
  Offer offer = seed % 2 == 0 ? testing::homomorphic_offer(seed, kHeImages, reveal) : random_offer(seed, reveal);
  offer.max_prepared = max_prepared;
  return offer;
}

// More images than material at a time: it is prepared again.
TEST(Prepared, MoreImagesThanMaterial) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Offer offer = preparing_offer(seed, 4);
    const std::uint32_t batch = 1 + seed % 2;
    constexpr std::uint64_t kImages = 7;
    const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
      ClientOptions options;
      options.prepare = 3;
      ClientSession session(std::move(t), options);
      EXPECT_EQ(session.max_prepared(), 3U);
      const auto images = random_images(offer.model.plan, seed, kImages);
      const std::size_t one = images.size() / kImages;
      for (std::uint64_t done = 0; done < kImages;) {
        prepare_ahead(session, kImages - done, batch);
        EXPECT_GT(session.prepared_images(), 0U);
        EXPECT_LE(session.prepared_images(), 3U);
        const std::uint64_t n = std::min<std::uint64_t>(batch, kImages - done);
        const auto part = std::span(images).subspan(done * one, n * one);
        EXPECT_EQ(session.infer(part, static_cast<std::uint32_t>(n)), expected_answers(offer.model, part, n));
        done += n;
      }
      EXPECT_EQ(session.prepared_images(), 0U);
      return session.finish();
    });
    ASSERT_TRUE(server && client) << server.text() << " / " << client.text();
    for (const SessionSummary& s : {*server.value, *client.value}) {
      EXPECT_EQ(s.images, kImages);
      EXPECT_EQ(s.prepared_batches, s.batches);
      EXPECT_GE(s.prepared_bytes, s.report.prepared_bytes);
      EXPECT_GT(s.report.prepared_seconds, 0);
      EXPECT_EQ(first_difference(planned_prepared(offer, batch), s.report), "");
    }
  }
}

// What is prepared for another size waits, the batch does without; what is never used does no harm.
TEST(Prepared, BatchesOfOtherSizesDoWithout) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Offer offer = preparing_offer(seed, 4);
    const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
      ClientOptions options;
      options.prepare = 4;
      ClientSession session(std::move(t), options);
      const auto infer = [&](std::uint32_t batch, std::uint64_t left) {
        const auto images = random_images(offer.model.plan, seed + batch, batch);
        EXPECT_EQ(session.infer(images, batch), expected_answers(offer.model, images, batch));
        EXPECT_EQ(session.prepared_images(), left);
      };
      session.prepare(2);
      session.prepare(1);
      infer(1, 3);  // the oldest is for two
      infer(2, 1);
      infer(1, 0);
      infer(1, 0);
      session.prepare(3);
      infer(1, 3);
      return session.finish();
    });
    ASSERT_TRUE(server && client) << server.text() << " / " << client.text();
    EXPECT_EQ(client.value->prepared_batches, 3U);
    EXPECT_EQ(client.value->report.prepared_bytes, 0U);
    EXPECT_EQ(client.value->prepared_bytes, server.value->prepared_bytes);
  }
}

TEST(Prepared, LimitsAreRefusedAtTheClientAndTheSessionGoesOn) {
  Offer offer = preparing_offer(2, 3);
  offer.max_batch = 4;
  offer.max_images = 5;
  const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
    ClientOptions options;
    options.prepare = 3;
    ClientSession session(std::move(t), options);
    EQO_EXPECT_ERROR(session.prepare(0), Category::kUsage, "a batch of 0");
    EQO_EXPECT_ERROR(session.prepare(5), Category::kUsage, "the server takes 1..4");
    EQO_EXPECT_ERROR(session.prepare(4), Category::kUsage, "allow 3 prepared images");
    session.prepare(2);
    EQO_EXPECT_ERROR(session.prepare(2), Category::kUsage, "allow 3 prepared images");
    const auto images = random_images(offer.model.plan, 1, 2);
    EXPECT_EQ(session.infer(images, 2), expected_answers(offer.model, images, 2));
    session.prepare(2);  // not used
    EQO_EXPECT_ERROR(session.infer(random_images(offer.model.plan, 1, 3), 3), Category::kPolicy, "5 images a session");
    session.prepare(1);
    EQO_EXPECT_ERROR(session.infer(std::span(images).first(images.size() / 2), 1), Category::kPolicy, "5 images");
    EXPECT_EQ(session.infer(images, 2), expected_answers(offer.model, images, 2));
    EQO_EXPECT_ERROR(session.prepare(1), Category::kPolicy, "5 images a session");
    return session.finish();
  });
  ASSERT_TRUE(server && client) << server.text() << " / " << client.text();
  EXPECT_EQ(server.value->images, 4U);
}

// The noise that hides the weights is made for so many results, used or not.
TEST(Prepared, NoMoreThanTheNoiseWasMadeFor) {
  Offer offer = testing::homomorphic_offer(2, 2);
  const std::uint64_t most = he_images(offer.model.plan, offer.exec.he);
  ASSERT_GE(most, 2U);
  offer.max_prepared = static_cast<std::uint32_t>(most + 5);
  const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
    ClientOptions options;
    options.prepare = offer.max_prepared;
    ClientSession session(std::move(t), options);
    EXPECT_EQ(session.max_prepared(), most);
    for (std::uint64_t i = 0; i + 1 < most; ++i) session.prepare(1);
    const auto image = random_images(offer.model.plan, 1, 1);
    EXPECT_EQ(session.infer(image, 1), expected_answers(offer.model, image, 1));
    session.prepare(1);
    EQO_EXPECT_ERROR(session.prepare(1), Category::kPolicy, "images a session");
    return session.finish();
  });
  ASSERT_TRUE(server && client) << server.text() << " / " << client.text();
}

TEST(Prepared, MemoryBoundsWhatIsPrepared) {
  Offer offer = preparing_offer(4, 9);
  const auto need = [&](std::uint64_t prepared) { return estimated_memory(offer.model.plan, offer.exec, 1, prepared); };
  const auto granted = [&](std::uint64_t clients_limit) {
    const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
      ClientOptions options;
      options.prepare = 7;
      options.max_memory_bytes = clients_limit;
      ClientSession session(std::move(t), options);
      const std::uint32_t n = session.max_prepared();
      session.finish();
      return n;
    });
    return client.value.value_or(1000);
  };
  EXPECT_EQ(granted(0), 7U);
  EXPECT_EQ(granted(need(5)), 5U);
  EXPECT_EQ(granted(need(0)), 0U);
  offer.max_memory_bytes = need(3);
  EXPECT_EQ(granted(0), 3U);
  EXPECT_EQ(granted(need(2)), 2U);
}

// A crash or a fault in the middle of a prepared batch: the session is over, with all of its material, and a new one
// makes its own.
TEST(Prepared, AFailedBatchLosesAllMaterial) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Offer offer = preparing_offer(seed, 3);
    const auto image = random_images(offer.model.plan, seed, 1);
    const std::size_t nodes = offer.model.plan.nodes.size();
    for (const std::size_t stop_at : {std::size_t{0}, nodes / 2, nodes - 1}) {
      const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
        ClientOptions options;
        options.prepare = 3;
        ClientSession session(std::move(t), options);
        prepare_ahead(session, 3, 1);
        EXPECT_EQ(session.infer(image, 1), expected_answers(offer.model, image, 1));
        EXPECT_EQ(session.prepared_images(), 2U);
        const auto stop = [&](std::size_t step, std::span<const Word>) {
          if (step == stop_at) throw resource_error("out of memory");
        };
        EQO_EXPECT_ERROR(session.infer(image, 1, stop), Category::kResource, "out of memory");
        EXPECT_EQ(session.prepared_images(), 0U);
        EQO_EXPECT_ERROR(session.infer(image, 1), Category::kConnection, "this session ended with an error");
        EQO_EXPECT_ERROR(session.prepare(1), Category::kConnection, "this session ended with an error");
        return 0;
      });
      EXPECT_TRUE(client) << client.text();
      EXPECT_TRUE(server.error.has_value());
    }
  }
}

TEST(Offers, RevealDecidesHowThePlanEnds) {
  const Model logits = testing::dot_product({1, 2}, 0, 16, 8);
  const Model label = testing::arg_max(4, 12);
  EXPECT_EQ(make_offer(logits, {}, {}, Reveal::kLogits).model.plan.nodes.size(), logits.plan.nodes.size());
  EXPECT_EQ(make_offer(label, {}, {}, Reveal::kLabel).model.plan.nodes.size(), label.plan.nodes.size());
  EQO_EXPECT_ERROR(make_offer(label, {}, {}, Reveal::kLogits), Category::kUsage, "no logits");
  Model taken = logits;
  taken.plan.nodes.back().name = "label";
  const Offer offer = make_offer(taken, {}, {}, Reveal::kLabel);
  EXPECT_EQ(offer.model.plan.nodes.back().op, Op::kArgMax);
  EXPECT_EQ(offer.model.plan.nodes.back().name, "label'");
  EXPECT_EQ(offer.model.secrets.size(), offer.model.plan.nodes.size());
  EXPECT_EQ(serialize_plan(parse_plan(std::as_bytes(std::span(offer.plan_bytes)))), offer.plan_bytes);
}

// --- Limits ---

TEST(Limits, WhatTheServerDoesNotGrantIsRefusedAtTheClientAndTheSessionGoesOn) {
  Offer offer = random_offer(2);
  offer.max_batch = 2;
  offer.max_images = 3;
  const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
    ClientSession session(std::move(t), {});
    const auto images = random_images(offer.model.plan, 1, 3);
    const std::size_t one = images.size() / 3;
    const auto first = std::span(images).first(2 * one), last = std::span(images).last(one);
    EQO_EXPECT_ERROR(session.infer(images, 3), Category::kUsage, "the server takes 1..2");
    EQO_EXPECT_ERROR(session.infer({}, 0), Category::kUsage, "a batch of 0");
    EQO_EXPECT_ERROR(session.infer(last, 2), Category::kUsage, "elements");
    EQO_EXPECT_ERROR(session.infer(first.first(2 * one - 1), 2), Category::kUsage, "elements");
    EXPECT_EQ(session.infer(first, 2), expected_answers(offer.model, first, 2));
    EQO_EXPECT_ERROR(session.infer(first, 2), Category::kPolicy, "3 images a session");
    EXPECT_EQ(session.infer(last, 1), expected_answers(offer.model, last, 1));
    EQO_EXPECT_ERROR(session.infer(last, 1), Category::kPolicy, "3 images a session");
    return session.finish();
  });
  ASSERT_TRUE(server && client) << server.text() << " / " << client.text();
  EXPECT_EQ(server.value->images, 3U);
}

// The noise that hides the weights is made for so many results: neither party goes beyond.
TEST(Limits, NoMoreImagesThanHomomorphicProductsWereMadeFor) {
  const Model model = testing::dot_product({1, 2}, 3, 16, 8);
  ExecOptions exec;
  exec.he = choose_he(model.plan, 2);
  PassOptions passes;
  passes.products = Products::kHe;
  Offer offer = make_offer(model, {}, exec, Reveal::kLogits, passes);
  const std::uint64_t limit = he_images(offer.model.plan, offer.exec.he);
  ASSERT_GE(limit, 2U);
  ASSERT_LE(limit, 8U);
  const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
    ClientSession session(std::move(t), {});
    EXPECT_EQ(session.max_batch(), limit);
    const auto image = random_images(offer.model.plan, 1, 1);
    for (std::uint64_t i = 0; i < limit; ++i)
      EXPECT_EQ(session.infer(image, 1), expected_answers(offer.model, image, 1));
    EQO_EXPECT_ERROR(session.infer(image, 1), Category::kPolicy, std::to_string(limit) + " images a session");
    return session.finish();
  });
  ASSERT_TRUE(server && client) << server.text() << " / " << client.text();
  EXPECT_EQ(server.value->images, limit);

  // A client that asks for more all the same, of an owner who allows more.
  offer.max_images = 1000;
  const auto images = static_cast<std::uint32_t>(limit);
  const auto too_many = server_against(offer, [&](Channel& channel, SecureExecutor&) {
    send_request(channel, {Request::Kind::kBatch, images + 1, 1});
  });
  expect_end(too_many, Category::kProtocol, "a batch of");
  const auto one_more = server_against(offer, [&](Channel& channel, SecureExecutor& executor) {
    send_request(channel, {Request::Kind::kBatch, images, 1});
    executor.run(Words(2 * limit), images, 1);
    channel.recv_words(limit, 16);
    send_request(channel, {Request::Kind::kBatch, 1, 2});
  });
  expect_end(one_more, Category::kPolicy, std::to_string(limit) + " images");
}

TEST(Limits, MemoryBoundsTheBatchesThatAreGranted) {
  Offer offer = random_offer(3);
  const auto open = [](std::unique_ptr<Transport> t) {
    ClientSession session(std::move(t), {});
    const std::uint32_t max_batch = session.max_batch();
    session.finish();
    return max_batch;
  };
  for (const std::uint32_t batch : {1U, 3U, 64U}) {
    offer.max_memory_bytes = estimated_memory(offer.model.plan, offer.exec, batch);
    const auto [server, client] = run_session(make_memory_transports(), offer, open);
    ASSERT_TRUE(server && client) << server.text() << " / " << client.text();
    EXPECT_EQ(*client.value, batch);
  }
  offer.max_memory_bytes = estimated_memory(offer.model.plan, offer.exec, 1) - 1;
  const auto [server, client] = run_session(make_memory_transports(), offer, open);
  expect_end(server, Category::kResource, "needs about");
  expect_end(client, Category::kConnection, "");
}

TEST(Limits, TheClientRefusesAPlanThatNeedsTooMuch) {
  const Offer offer = random_offer(3);
  for (const bool fits : {true, false}) {
    const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
      ClientOptions options;
      options.batch = 4;
      options.max_memory_bytes = estimated_memory(offer.model.plan, offer.exec, 4) - (fits ? 0 : 1);
      return ClientSession(std::move(t), options).finish();
    });
    EXPECT_EQ(bool(client), fits) << client.text();
    EXPECT_EQ(bool(server), fits) << server.text();
    if (fits) continue;
    expect_end(client, Category::kResource, "a batch of 4");
    expect_end(server, Category::kConnection, "");
  }
}

// Of what the server grants, the client takes what its memory allows.
TEST(Limits, TheClientTakesTheBatchesThatItCanAfford) {
  Offer offer = random_offer(3);
  offer.max_batch = 64;
  const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
    ClientOptions options;
    options.max_memory_bytes = estimated_memory(offer.model.plan, offer.exec, 4);
    ClientSession session(std::move(t), options);
    const std::uint32_t most = session.max_batch();
    EXPECT_GE(most, 4U);
    EXPECT_LE(estimated_memory(offer.model.plan, offer.exec, most), options.max_memory_bytes);
    EXPECT_GT(estimated_memory(offer.model.plan, offer.exec, most + 1), options.max_memory_bytes);
    EQO_EXPECT_ERROR(session.infer(random_images(offer.model.plan, 1, most + 1), most + 1), Category::kUsage,
                     "a batch");
    return session.finish();
  });
  EXPECT_TRUE(server && client) << server.text() << client.text();
}

TEST(Limits, OffersOutOfRange) {
  for (const std::uint32_t batch : {0U, kMaxBatch + 1}) {
    Offer offer = random_offer(1);
    offer.max_batch = batch;
    EQO_EXPECT_ERROR(serve_session(make_memory_transports().first, offer), Category::kUsage, "largest batch");
  }
}

TEST(Limits, AnotherModelThanThePinnedOne) {
  const Offer offer = random_offer(4);
  const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
    ClientOptions options;
    options.pinned_model = offer.model_digest;
    (*options.pinned_model)[31] ^= std::byte{1};
    return ClientSession(std::move(t), options).finish();
  });
  expect_end(client, Category::kTls, "not the pinned one");
  expect_end(server, Category::kConnection, "");
}

TEST(Limits, LogitsOfALabelOnlyServer) {
  const Offer offer = random_offer(4, Reveal::kLabel);
  const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
    ClientOptions options;
    options.require_logits = true;
    return ClientSession(std::move(t), options).finish();
  });
  expect_end(client, Category::kPolicy, "does not reveal");
  expect_end(server, Category::kPolicy, "more than the policy reveals");
}

// --- A client that does not keep to the protocol ---

TEST(HostileClient, RequestsOutOfRange) {
  Offer offer = make_offer(testing::dot_product({1, 2}, 3, 16, 8), {}, {}, Reveal::kLogits);
  offer.max_batch = 3;
  offer.max_prepared = 2;
  using Kind = Request::Kind;
  const struct {
    Request request;
    const char* says;
  } cases[] = {{{Kind::kBatch, 1, 0}, "counter is 0, expected 1"},
               {{Kind::kBatch, 1, 2}, "counter is 2, expected 1"},
               {{Kind::kBatch, 1, UINT64_MAX}, "expected 1"},
               {{Kind::kBatch, 0, 1}, "a batch of 0 images, allowed are 1..3"},
               {{Kind::kBatch, 4, 1}, "a batch of 4 images, allowed are 1..3"},
               {{Kind::kBatch, UINT32_MAX, 1}, "allowed are 1..3"},
               {{Kind{0}, 1, 1}, "something unknown"},
               {{Kind{5}, 1, 1}, "something unknown"},
               {{Kind::kPrepare, 1, 2}, "counter is 2, expected 1"},
               {{Kind::kPrepare, 0, 1}, "a batch of 0 images"},
               {{Kind::kPrepare, 4, 1}, "a batch of 4 images"},
               {{Kind::kPrepare, 3, 1}, "prepare more than 2 images"},
               {{Kind::kPrepared, 1, 1}, "that was not prepared"},
               {{Kind::kPrepared, 3, 1}, "that was not prepared"},
               {{Kind::kPrepared, 4, 1}, "a batch of 4 images"},
               {{Kind{UINT32_MAX}, 1, 1}, "something unknown"},
               {{Kind::kGoodbye, 1, 0}, "something unknown"},
               {{Kind::kGoodbye, 0, 1}, "something unknown"}};
  for (const auto& c : cases) {
    const auto server = server_against(offer, [&](Channel& ch, SecureExecutor&) { send_request(ch, c.request); });
    expect_end(server, Category::kProtocol, c.says);
  }
}

TEST(HostileClient, ABatchTwiceUnderOneCounter) {
  const Offer offer = make_offer(testing::dot_product({1, 2}, 3, 16, 8), {}, {}, Reveal::kLogits);
  const auto server = server_against(offer, [&](Channel& channel, SecureExecutor& executor) {
    const Request request{Request::Kind::kBatch, 1, 1};
    send_request(channel, request);
    const Words share = executor.run(Words{1, 2}, 1, 1);
    EXPECT_EQ((channel.recv_words(1, 16)[0] + share[0]) & 0xffff, 8U);
    send_request(channel, request);
  });
  expect_end(server, Category::kProtocol, "counter is 1, expected 2");
}

// Material answers one batch; the second request for it finds none, whatever was prepared for other sizes.
TEST(HostileClient, MaterialTwice) {
  Offer offer = make_offer(testing::dot_product({1, 2}, 3, 16, 8), {}, {}, Reveal::kLogits);
  offer.max_prepared = 3;
  for (const bool more : {false, true}) {
    const auto server = server_against(offer, [&](Channel& channel, SecureExecutor& executor) {
      std::uint64_t counter = 0;
      const auto prepare = [&](std::uint32_t batch) {
        send_request(channel, {Request::Kind::kPrepare, batch, ++counter});
        executor.prepare(batch, counter);
      };
      prepare(1);
      if (more) prepare(2);
      send_request(channel, {Request::Kind::kPrepared, 1, ++counter});
      const Words share = executor.run(Words{1, 2}, 1, counter, BatchKind::kPrepared);
      EXPECT_EQ((channel.recv_words(1, 16)[0] + share[0]) & 0xffff, 8U);
      send_request(channel, {Request::Kind::kPrepared, 1, ++counter});
    });
    expect_end(server, Category::kProtocol, "that was not prepared");
  }
}

TEST(HostileClient, PreparedImagesCountWhetherUsedOrNot) {
  Offer offer = make_offer(testing::dot_product({1, 2}, 3, 16, 8), {}, {}, Reveal::kLogits);
  offer.max_images = 2;
  offer.max_prepared = 4;
  for (const auto kind : {Request::Kind::kPrepare, Request::Kind::kBatch}) {
    const auto server = server_against(offer, [&](Channel& channel, SecureExecutor& executor) {
      send_request(channel, {Request::Kind::kPrepare, 2, 1});
      executor.prepare(2, 1);
      send_request(channel, {kind, 1, 2});
    });
    expect_end(server, Category::kPolicy, "2 images");
  }
}

TEST(HostileClient, MoreImagesThanTheOwnerAllows) {
  Offer offer = make_offer(testing::dot_product({1, 2}, 3, 16, 8), {}, {}, Reveal::kLogits);
  offer.max_images = 2;
  const auto server = server_against(offer, [&](Channel& ch, SecureExecutor&) {
    send_request(ch, {Request::Kind::kBatch, 3, 1});
  });
  expect_end(server, Category::kPolicy, "2 images");
}

TEST(HostileClient, BytesAfterTheGoodbye) {
  const Offer offer = make_offer(testing::dot_product({1, 2}, 3, 16, 8), {}, {}, Reveal::kLogits);
  const auto server = server_against(offer, [&](Channel& ch, SecureExecutor&) {
    send_request(ch, {});
    send_request(ch, {});
  });
  expect_end(server, Category::kProtocol, "after the end");
}

TEST(HostileClient, AMessageOfAnotherLength) {
  const Offer offer = make_offer(testing::dot_product({1, 2}, 3, 16, 8), {}, {}, Reveal::kLogits);
  for (const std::size_t length : {1UL, 15UL, 17UL, 4000UL}) {
    const auto server = server_against(offer, [&](Channel& ch, SecureExecutor&) { ch.send(Bytes(length)); });
    expect_end(server, Category::kProtocol, "expected a length of 16");
  }
}

// --- A server that does not keep to the protocol ---

template <typename F>
testing::End<SessionSummary> client_against(std::span<const std::byte> plan, std::span<const std::byte> params,
                                            const ClientOptions& options, F after_handshake) {
  auto ends = make_memory_transports();
  auto server = std::async(std::launch::async, [&, t = std::move(ends.first)]() mutable {
    return end_of([&] {
      server_handshake(*t, {plan, params, {}, kRevealLabel | kRevealLogits}, {});
      after_handshake(std::move(t));
      return true;
    });
  });
  auto client = end_of([&] { return ClientSession(std::move(ends.second), options).finish(); });
  server.get();
  return client;
}

const auto kNothing = [](std::unique_ptr<Transport>) {};

TEST(HostileServer, PlansThatAreNotValid) {
  const Offer offer = random_offer(5);
  const Bytes params = serialize(offer.exec);
  const auto plan = std::as_bytes(std::span(offer.plan_bytes));
  Bytes junk(1000);
  Prg::from_os().fill(junk);
  expect_end(client_against(junk, params, {}, kNothing), Category::kProtocol, "plan is not valid");
  for (std::size_t n = 1; n < plan.size(); n += 1 + plan.size() / 40)
    expect_end(client_against(plan.first(n), params, {}, kNothing), Category::kProtocol, "plan is not valid");
  for (std::size_t at = 0; at < plan.size(); at += 1 + plan.size() / 200) {
    Bytes changed(plan.begin(), plan.end());
    changed[at] ^= std::byte{0x10};
    const auto client = client_against(changed, params, {}, kNothing);
    ASSERT_TRUE(client.error.has_value());  // another valid plan, perhaps; the server says no more
    EXPECT_TRUE(client.error->category() == Category::kProtocol || client.error->category() == Category::kConnection)
        << "byte " << at << ": " << client.text();
  }
}

TEST(HostileServer, ParametersOutOfRange) {
  const Offer offer = random_offer(5);
  const auto plan = std::as_bytes(std::span(offer.plan_bytes));
  const Bytes good = serialize(offer.exec);
  for (std::size_t n = 0; n < 8; ++n) {
    if (n == good.size()) continue;
    expect_end(client_against(plan, Bytes(n, std::byte{1}), {}, kNothing), Category::kProtocol, "unknown kind");
  }
  for (const auto& [at, value] :
       {std::pair(0, 2), {0, 255}, {1, 0}, {1, 9}, {2, 4}, {2, 255}, {3, 4}, {3, 255}, {4, 0}, {4, 9}}) {
    Bytes bad = good;
    bad[static_cast<std::size_t>(at)] = static_cast<std::byte>(value);
    expect_end(client_against(plan, bad, {}, kNothing), Category::kProtocol, "session parameters");
  }
}

TEST(HostileServer, LogitsArePromisedButThePlanEndsInArgMax) {
  const Offer offer = random_offer(5, Reveal::kLabel);
  ClientOptions options;
  options.require_logits = true;
  expect_end(client_against(std::as_bytes(std::span(offer.plan_bytes)), serialize(offer.exec), options, kNothing),
             Category::kProtocol, "ends in argmax");
}

TEST(HostileServer, BatchesOfNoImagesAreGranted) {
  const Offer offer = make_offer(testing::dot_product({1, 2}, 3, 16, 8), {}, {}, Reveal::kLogits);
  const auto grant_nothing = [&](std::unique_ptr<Transport> t) {
    Prg prg = Prg::from_os();
    Channel channel(Party::kServer, std::move(t));
    ThreadPool threads(1);
    const auto ot = make_ot_pool(channel, prg, threads, offer.exec.ot);
    Context ctx{Party::kServer, channel, *ot, prg, threads};
    SecureExecutor executor(ctx, offer.model.plan, offer.exec, &offer.model);
    executor.setup();
    send_ready(channel, {0, 0});
    channel.recv(1);
  };
  expect_end(client_against(std::as_bytes(std::span(offer.plan_bytes)), serialize(offer.exec), {}, grant_nothing),
             Category::kProtocol, "batches of no images");
}

}  // namespace
}  // namespace eqo
