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

using testing::end_of;
using testing::expect_end;
using testing::random_offer;
using testing::server_against;

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
