#include <gtest/gtest.h>

#include <string>

#include "eqo/model/testing/small_models.h"
#include "eqo/net/handshake.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/net/testing/transports.h"
#include "eqo/planner/he_choice.h"
#include "eqo/runtime/control.h"
#include "eqo/runtime/session_testing.h"

namespace eqo {
namespace {

using testing::expect_end;
using testing::expected_answers;
using testing::random_images;
using testing::random_offer;
using testing::run_session;
using testing::server_against;

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

}  // namespace
}  // namespace eqo
