#include "eqo/net/handshake.h"

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <vector>

#include "eqo/core/party.h"
#include "eqo/crypto/sha256.h"
#include "eqo/net/memory_transport.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/net/testing/transports.h"

namespace eqo {
namespace {

using namespace std::chrono_literals;
using testing::TransportPair;

Nonce nonce(unsigned value) {
  Nonce n;
  n.fill(static_cast<std::byte>(value));
  return n;
}
PublicBytes bytes(std::size_t n, unsigned seed = 1) {
  PublicBytes b(n);
  for (std::size_t i = 0; i < n; ++i) b[i] = static_cast<std::byte>(i * 31 + seed + (i >> 9));
  return b;
}

struct Offer {
  PublicBytes plan = bytes(5000), params = bytes(40, 2);
  Digest model = nonce(7);
  std::uint32_t policy = kRevealLabel;
  ServerOffer view() const { return {plan, params, model, policy}; }
};

// Passes everything on, and keeps it. Before the byte at `cut` the connection ends; bit `flip` of the stream that is
// written changes.
class Tampering final : public Transport {
 public:
  static constexpr std::size_t kNever = ~std::size_t{0};
  Tampering(std::unique_ptr<Transport> inner, std::size_t cut = kNever, std::size_t flip = kNever)
      : inner_(std::move(inner)), cut_(cut), flip_(flip) {}
  void write(std::span<const std::byte> data) override {
    PublicBytes copy(data.begin(), data.end());
    if (flip_ / 8 >= at_ && flip_ / 8 < at_ + copy.size())
      copy[flip_ / 8 - at_] ^= static_cast<std::byte>(1U << (flip_ % 8));
    const std::size_t left = cut_ - std::min(cut_, at_);
    at_ += copy.size();
    said_.insert(said_.end(), copy.begin(), copy.end());
    if (left < copy.size()) {
      inner_->write(std::span(copy).first(left));
      inner_->close();
      throw connection_error("cut");
    }
    inner_->write(copy);
  }
  void read(std::span<std::byte> data) override {
    inner_->read(data);
    read_ += data.size();
  }
  void flush() override { inner_->flush(); }
  void finish() override { inner_->finish(); }
  void close() noexcept override { inner_->close(); }
  void set_deadline(std::chrono::milliseconds d) override { inner_->set_deadline(d); }
  std::size_t written() const { return at_; }
  const PublicBytes& said() const { return said_; }
  std::size_t read_so_far() const { return read_; }

 private:
  std::unique_ptr<Transport> inner_;
  std::size_t cut_, flip_, at_ = 0, read_ = 0;
  PublicBytes said_;
};

struct Ends {
  std::optional<HandshakeResult> server, client;
  std::optional<Error> server_error, client_error;
};

// Each side closes its transport when it ends with an error.
Ends run(TransportPair ends, const Offer& offer, const ClientRequest& request,
         std::chrono::milliseconds deadline = 5s) {
  Ends out;
  const auto guarded = [](Transport& t, auto f, auto& result, auto& error) {
    try {
      result = f();
    } catch (const Error& e) {
      error = e;
      t.close();
    }
  };
  for (Transport* t : {ends.first.get(), ends.second.get()}) t->set_deadline(deadline);
  auto server = std::async(std::launch::async, [&] {
    guarded(
        *ends.first, [&] { return server_handshake(*ends.first, offer.view(), nonce(1)); }, out.server,
        out.server_error);
  });
  guarded(
      *ends.second, [&] { return client_handshake(*ends.second, request, nonce(2)); }, out.client, out.client_error);
  server.get();
  return out;
}

void expect_error(const std::optional<Error>& e, Category category, const std::string& text) {
  ASSERT_TRUE(e) << "no error; expected: " << text;
  EXPECT_EQ(std::string(category_name(e->category())), category_name(category)) << e->what();
  EXPECT_NE(std::string(e->what()).find(text), std::string::npos) << e->what();
}

TEST(Sha256, MatchesPublishedVectors) {
  const auto hex = [](std::string_view text) {
    std::string out;
    for (const std::byte b : Sha256().add(text).digest()) {
      out += "0123456789abcdef"[static_cast<unsigned>(b) >> 4];
      out += "0123456789abcdef"[static_cast<unsigned>(b) & 15];
    }
    return out;
  };
  // FIPS 180-4, examples of NIST.
  EXPECT_EQ(hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256().add("a").add("bc").digest(), Sha256().add("abc").digest());
}

class HandshakeOver : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Each, HandshakeOver, ::testing::Values("memory", "tcp", "tls", "link"),
                         [](const auto& kind) { return kind.param; });

TEST_P(HandshakeOver, GivesBothTheSameSessionAndTheClientThePlan) {
  for (const std::size_t plan : {1U, 5000U, 1'000'000U}) {
    Offer offer;
    offer.plan = bytes(plan);
    offer.params = bytes(plan % 4097, 3);
    offer.policy = kRevealLabel | kRevealLogits;
    ClientRequest request;
    request.policy = kRevealLogits;
    request.pinned_model_digest = offer.model;
    const Ends e = run(testing::connected_transports(GetParam()), offer, request);
    ASSERT_TRUE(e.server) << e.server_error->what();
    ASSERT_TRUE(e.client) << e.client_error->what();
    EXPECT_EQ(e.client->plan, offer.plan);
    EXPECT_EQ(e.client->params, offer.params);
    EXPECT_EQ(e.client->model_digest, offer.model);
    EXPECT_EQ(e.client->session_id, e.server->session_id);
    EXPECT_EQ(e.client->policy, kRevealLogits);
    EXPECT_EQ(e.server->policy, kRevealLogits);
  }
}

TEST(Handshake, SendsExactlyWhatItsCostFunctionSays) {
  for (const auto& [plan, params] : {std::pair<std::size_t, std::size_t>{1, 0}, {100'000, 4096}}) {
    auto [a, b] = make_memory_transports();
    auto server = std::make_unique<Tampering>(std::move(a)), client = std::make_unique<Tampering>(std::move(b));
    const Tampering &s = *server, &c = *client;
    Offer offer;
    offer.plan = bytes(plan);
    offer.params = bytes(params);
    const auto cost = handshake_bytes(plan, params);
    TransportPair ends{std::move(server), std::move(client)};
    auto serving = std::async(std::launch::async, [&] { server_handshake(*ends.first, offer.view(), nonce(1)); });
    client_handshake(*ends.second, {}, nonce(2));
    serving.get();
    EXPECT_EQ(s.written(), cost[0]);
    EXPECT_EQ(c.written(), cost[1]);
    EXPECT_EQ(c.read_so_far(), cost[0]);
    EXPECT_EQ(s.read_so_far(), cost[1]);
    EXPECT_EQ(cost[0] - plan - params, handshake_bytes(0, 0)[0]);
  }
}

TEST(Handshake, EverySessionHasAnIdOfItsOwn) {
  const Offer offer;
  const auto id = [&](const Offer& o, const ClientRequest& r) {
    return run(make_memory_transports(), o, r).client->session_id;
  };
  Offer other_plan, other_params, other_model;
  other_plan.plan[17] ^= std::byte{1};
  other_params.params[3] ^= std::byte{1};
  other_model.model = nonce(8);
  const Digest base = id(offer, {});
  EXPECT_EQ(base, id(offer, {}));  // the nonces are fixed in this test
  EXPECT_NE(base, id(other_plan, {}));
  EXPECT_NE(base, id(other_params, {}));
  EXPECT_NE(base, id(other_model, {}));
  auto [a, b] = make_memory_transports();
  auto serving =
      std::async(std::launch::async, [&a = a, &offer] { return server_handshake(*a, offer.view(), nonce(3)); });
  EXPECT_NE(base, client_handshake(*b, {}, nonce(2)).session_id);
  serving.get();
}

TEST(Handshake, AFlippedBitAnywhereIsAnErrorOfBothParties) {
  Offer offer;
  offer.plan = bytes(20);
  offer.params = bytes(6);
  const auto cost = handshake_bytes(20, 6);
  for (const bool by_server : {true, false}) {
    for (std::size_t bit = 0; bit < 8 * cost[by_server ? 0 : 1]; ++bit) {
      auto [a, b] = make_memory_transports();
      TransportPair ends;
      ends.first = std::make_unique<Tampering>(std::move(a), Tampering::kNever, by_server ? bit : Tampering::kNever);
      ends.second = std::make_unique<Tampering>(std::move(b), Tampering::kNever, by_server ? Tampering::kNever : bit);
      // With a larger length than there are bytes, both wait for the other one.
      const bool in_lengths = by_server && bit >= 8 * 120 && bit < 8 * 128;
      const Ends e = run(std::move(ends), offer, {}, in_lengths ? 60ms : 5s);
      const auto& error = by_server ? e.client_error : e.server_error;
      ASSERT_TRUE(error) << "bit " << bit;
      EXPECT_TRUE(error->category() == Category::kProtocol || error->category() == Category::kPolicy ||
                  error->category() == Category::kConnection)
          << bit << ": " << error->what();
      // The last message of the client is the only one that it doesn't hear about.
      const bool last = !by_server && bit >= 8 * (cost[1] - 32);
      EXPECT_EQ((by_server ? e.server_error : e.client_error).has_value(), !last) << bit;
    }
  }
}

TEST(Handshake, CutAtEveryByteIsAnErrorOfBothParties) {
  Offer offer;
  offer.plan = bytes(20);
  offer.params = bytes(6);
  const auto cost = handshake_bytes(20, 6);
  for (const bool by_server : {true, false}) {
    for (std::size_t cut = 0; cut < cost[by_server ? 0 : 1]; ++cut) {
      auto [a, b] = make_memory_transports();
      TransportPair ends;
      ends.first = std::make_unique<Tampering>(std::move(a), by_server ? cut : Tampering::kNever);
      ends.second = std::make_unique<Tampering>(std::move(b), by_server ? Tampering::kNever : cut);
      const Ends e = run(std::move(ends), offer, {});
      expect_error(e.server_error, Category::kConnection, "");
      expect_error(e.client_error, Category::kConnection, "");
    }
  }
}

TEST(Handshake, AReplayedSessionIsRefused) {
  const Offer offer;
  auto [a, b] = make_memory_transports();
  auto server = std::make_unique<Tampering>(std::move(a)), client = std::make_unique<Tampering>(std::move(b));
  auto serving = std::async(std::launch::async, [&] { server_handshake(*server, offer.view(), nonce(1)); });
  client_handshake(*client, {}, nonce(2));
  serving.get();
  // Every word of one party again, to the other party in a new session.
  auto [c, d] = make_memory_transports();
  d->write(client->said());
  EQO_EXPECT_ERROR(server_handshake(*c, offer.view(), nonce(3)), Category::kProtocol, "do not agree");
  auto [e, f] = make_memory_transports();
  e->write(server->said());
  EQO_EXPECT_ERROR(client_handshake(*f, {}, nonce(4)), Category::kProtocol, "do not agree");
}

// A server played by hand: what the client says to `said`.
Error client_hears(const PublicBytes& said, const ClientRequest& request = {}) {
  auto [a, b] = make_memory_transports();
  a->write(said);
  a->close();
  b->set_deadline(200ms);
  class Deaf final : public Transport {  // what the client says goes nowhere
   public:
    explicit Deaf(Transport& inner) : inner_(inner) {}
    void write(std::span<const std::byte>) override {}
    void read(std::span<std::byte> data) override { inner_.read(data); }
    void flush() override {}
    void finish() override {}
    void close() noexcept override {}
    void set_deadline(std::chrono::milliseconds) override {}

   private:
    Transport& inner_;
  } deaf(*b);
  return testing::error_of([&] { client_handshake(deaf, request, nonce(2)); });
}

PublicBytes greeting(unsigned major, unsigned minor, Party role) {
  PublicBytes g;
  for (const unsigned x : {0x89U, 0x45U, 0x51U, 0x4fU, 0x0dU, 0x0aU, 0x1aU, 0x0aU, major & 255, major >> 8, minor & 255,
                           minor >> 8, static_cast<unsigned>(role), 0U, 0U, 0U})
    g.push_back(static_cast<std::byte>(x));
  return g;
}
PublicBytes server_greeting() { return greeting(kProtocolVersion.major, kProtocolVersion.minor, Party::kServer); }

PublicBytes with_hello(std::uint32_t status, std::uint32_t policy, std::uint32_t plan, std::uint32_t params) {
  PublicBytes b = server_greeting();
  const auto word = [&](std::uint32_t x) {
    for (int i = 0; i < 4; ++i) b.push_back(static_cast<std::byte>(x >> (8 * i)));
  };
  word(status);
  word(policy);
  b.resize(b.size() + 96);
  word(plan);
  word(params);
  return b;
}

TEST(Handshake, OtherVersionsAreNamedWithWhatToUpdate) {
  const auto [major, minor] = kProtocolVersion;
  struct Case {
    unsigned major, minor;
    const char* hint;
  };
  for (const Case& c : {Case{major + 1U, 0, "update this side"}, Case{major, minor + 1U, "update this side"},
                        Case{major - 1U, 9, "update the other side"}, Case{0xffff, 0xffff, "update this side"}}) {
    const Error e = client_hears(greeting(c.major, c.minor, Party::kServer));
    EXPECT_EQ(e.category(), Category::kProtocol);
    EXPECT_NE(std::string(e.what()).find("version " + std::to_string(c.major) + "." + std::to_string(c.minor)),
              std::string::npos)
        << e.what();
    EXPECT_NE(e.hint().find(c.hint), std::string::npos) << e.hint();
  }
}

TEST(Handshake, WhatIsNoHandshakeIsRefused) {
  const std::string http = "HTTP/1.1 400 Bad Request\r\n\r\n";
  const auto text = std::as_bytes(std::span(http));
  EQO_EXPECT_ERROR(throw client_hears({text.begin(), text.end()}), Category::kProtocol, "does not speak");
  EQO_EXPECT_ERROR(throw client_hears(bytes(2000)), Category::kProtocol, "does not speak");
  EQO_EXPECT_ERROR(throw client_hears({}), Category::kConnection, "closed");
}

TEST(Handshake, BothPartiesInTheSameRoleIsNamed) {
  for (const bool servers : {false, true}) {
    auto [a, b] = make_memory_transports();
    const Offer offer;
    const auto play = [&](Transport& t) {
      servers ? server_handshake(t, offer.view(), nonce(1)) : client_handshake(t, {}, nonce(1));
    };
    auto other = std::async(std::launch::async, [&, t = a.get()] { play(*t); });
    const char* text = servers ? "both parties say they are the server" : "both parties say they are the client";
    EQO_EXPECT_ERROR(play(*b), Category::kProtocol, text);
    EQO_EXPECT_ERROR(other.get(), Category::kProtocol, text);
  }
}

TEST(Handshake, HostileSizesAreRefusedBeforeAnythingIsRead) {
  for (const std::uint32_t plan : {0U, (16U << 20) + 1, 0x7fffffffU, 0xffffffffU})
    EQO_EXPECT_ERROR(throw client_hears(with_hello(0, 1, plan, 0)), Category::kProtocol, "announces a plan");
  for (const std::uint32_t params : {4097U, 0x7fffffffU, 0xffffffffU})
    EQO_EXPECT_ERROR(throw client_hears(with_hello(0, 1, 10, params)), Category::kProtocol, "announces a plan");
  ClientRequest small;
  small.max_plan_bytes = 9;
  EQO_EXPECT_ERROR(throw client_hears(with_hello(0, 1, 10, 0), small), Category::kResource, "over the limit");
  // The largest plan, of which nothing comes: an error at once.
  EQO_EXPECT_ERROR(throw client_hears(with_hello(0, 1, 16U << 20, 4096)), Category::kConnection, "closed");
}

TEST(Handshake, APlanThatIsNotTheAnnouncedOneIsRefused) {
  PublicBytes said = with_hello(0, 1, 10, 0);
  said.resize(said.size() + 10);
  EQO_EXPECT_ERROR(throw client_hears(said), Category::kProtocol, "does not match its digest");
}

TEST(Handshake, AnotherModelThanThePinnedOneIsAnAuthenticationError) {
  ClientRequest request;
  request.pinned_model_digest = nonce(8);
  const Ends e = run(make_memory_transports(), Offer{}, request);
  expect_error(e.client_error, Category::kTls, "not the pinned one");
  expect_error(e.server_error, Category::kConnection, "");
}

TEST(Handshake, AskingForMoreThanThePolicyIsAPolicyErrorOfBoth) {
  for (const std::uint32_t policy : {std::uint32_t{kRevealLogits}, kRevealLabel | kRevealLogits, 0xffffffffU}) {
    ClientRequest request;
    request.policy = policy;
    for (const char* kind : {"memory", "tcp", "tls"}) {
      const Ends e = run(testing::connected_transports(kind), Offer{}, request);
      expect_error(e.client_error, Category::kPolicy, "does not reveal");
      expect_error(e.server_error, Category::kPolicy, "asks for more");
    }
  }
  // A server that ignores what it was asked.
  ClientRequest logits;
  logits.policy = kRevealLogits;
  EQO_EXPECT_ERROR(throw client_hears(with_hello(0, kRevealLabel, 10, 0), logits), Category::kPolicy,
                   "does not reveal");
}

TEST(Handshake, RefusalsReachTheClientWithTheirReason) {
  struct Case {
    Refusal reason;
    Category category;
    const char* text;
  };
  for (const Case& c : {Case{Refusal::kBusy, Category::kResource, "busy"},
                        Case{Refusal::kDraining, Category::kResource, "shutting down"},
                        Case{Refusal::kPolicy, Category::kPolicy, "does not reveal"},
                        Case{Refusal::kBudget, Category::kPolicy, "queries"}}) {
    for (const char* kind : {"memory", "tcp", "tls", "link"}) {
      auto ends = testing::connected_transports(kind);
      auto server = std::async(std::launch::async, [&] { refuse(*ends.first, c.reason); });
      EQO_EXPECT_ERROR(client_handshake(*ends.second, {}, nonce(2)), c.category, c.text);
      ends.second.reset();
      server.get();
    }
  }
  EQO_EXPECT_ERROR(throw client_hears(with_hello(99, 0, 0, 0)), Category::kProtocol, "unknown reason 99");
  EQO_EXPECT_ERROR(throw client_hears(with_hello(1, 0, 5, 0)), Category::kProtocol, "malformed refusal");
}

TEST(Handshake, RefusingAClientThatIsGoneOrSilentEnds) {
  auto [a, b] = make_memory_transports();
  b.reset();
  refuse(*a, Refusal::kBusy);
  auto [c, d] = make_memory_transports();
  c->set_deadline(100ms);
  refuse(*c, Refusal::kBusy);
  EQO_EXPECT_ERROR(c->write(bytes(1)), Category::kConnection, "closed");
}

TEST(Handshake, OffersThatCannotBeSentAreRefusedHere) {
  auto [a, b] = make_memory_transports();
  for (const auto& [plan, params] : {std::pair<std::size_t, std::size_t>{0, 0}, {10, 4097}, {(16U << 20) + 1, 0}}) {
    Offer offer;
    offer.plan = bytes(plan);
    offer.params = bytes(params);
    EQO_EXPECT_ERROR(server_handshake(*a, offer.view(), nonce(1)), Category::kResource, "too large");
  }
}

// Somebody with a TLS connection to each party passes all bytes on: the parties notice that they don't share one.
TEST(Handshake, ASessionSplicedOntoAnotherTlsConnectionIsRefused) {
  auto left = testing::connected_transports("tls"), right = testing::connected_transports("tls");
  // client - left.second ... left.first = relay = right.second ... right.first - server
  const Offer offer;
  const auto cost = handshake_bytes(offer.plan.size(), offer.params.size());
  const auto relay = [](Transport& from, Transport& to, std::uint64_t n) {
    try {
      for (std::byte b; n > 0; --n) {
        from.read({&b, 1});
        to.write({&b, 1});
      }
    } catch (const Error&) {
    }
    to.close();
  };
  auto up = std::async(std::launch::async, [&] { relay(*left.first, *right.second, cost[1]); });
  auto down = std::async(std::launch::async, [&] { relay(*right.second, *left.first, cost[0]); });
  TransportPair ends{std::move(right.first), std::move(left.second)};
  const Ends e = run(std::move(ends), offer, {});
  expect_error(e.client_error, Category::kProtocol, "do not agree on the session");
  EXPECT_TRUE(e.server_error);
  up.get();
  down.get();
}

}  // namespace
}  // namespace eqo
