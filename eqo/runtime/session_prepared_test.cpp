#include <gtest/gtest.h>

#include <string>

#include "eqo/net/handshake.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/net/testing/transports.h"
#include "eqo/planner/he_choice.h"
#include "eqo/runtime/control.h"
#include "eqo/runtime/session_testing.h"

namespace eqo {
namespace {

using testing::expected_answers;
using testing::handshake_of;
using testing::random_images;
using testing::random_offer;
using testing::run_session;

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

}  // namespace
}  // namespace eqo
