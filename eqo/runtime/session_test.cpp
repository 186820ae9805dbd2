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
#include "eqo/runtime/session_testing.h"

namespace eqo {
namespace {

using testing::connected_transports;
using testing::expected_answers;
using testing::planned;
using testing::random_images;
using testing::random_offer;
using testing::run_session;

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

}  // namespace
}  // namespace eqo
