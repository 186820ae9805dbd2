// Sessions over a transport that breaks, falls silent or changes a bit at a chosen byte: each ends at both ends, with
// an error of the right kind, and never with a wrong answer.
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "eqo/net/handshake.h"
#include "eqo/net/testing/transports.h"
#include "eqo/runtime/runtime_testing.h"

namespace eqo {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Fault {
  enum class Kind { kNone, kCut, kSilence, kFlip } kind = Kind::kNone;
  Party sender = Party::kServer;  // of the stream that it happens to
  std::uint64_t at = 0;           // the first byte that is lost or changed
  unsigned bit = 0;               // kFlip: of that byte
};

// The client's end of a connection with a fault.
class FaultyTransport final : public Transport {
 public:
  FaultyTransport(std::unique_ptr<Transport> inner, const Fault& fault) : inner_(std::move(inner)), fault_(fault) {}

  void write(std::span<const std::byte> data) override {
    Bytes bytes(data.begin(), data.end());
    const std::size_t sound = touch(Party::kClient, written_, bytes);
    written_ += bytes.size();
    if (sound < bytes.size()) {
      inner_->write(std::span(bytes).first(sound));
      if (fault_.kind == Fault::Kind::kSilence) return;
      inner_->close();
      throw connection_error("cut");
    }
    inner_->write(bytes);
  }
  void read(std::span<std::byte> data) override {
    const std::uint64_t before = read_;
    read_ += data.size();
    if (lost(Party::kServer, before, data.size()) < data.size()) {
      if (fault_.kind == Fault::Kind::kCut) inner_->close();
      Bytes rest(data.size() + (std::size_t{1} << 24));  // more than will ever come
      inner_->read(rest);
    }
    inner_->read(data);
    touch(Party::kServer, before, data);
  }
  void flush() override { inner_->flush(); }
  void finish() override { inner_->finish(); }
  void close() noexcept override { inner_->close(); }
  void set_deadline(std::chrono::milliseconds d) override { inner_->set_deadline(d); }
  Bytes channel_binding() override { return inner_->channel_binding(); }

 private:
  // How many of the bytes [offset, offset + n) come before the end of the stream.
  std::size_t lost(Party sender, std::uint64_t offset, std::size_t n) const {
    const bool ends = fault_.kind == Fault::Kind::kCut || fault_.kind == Fault::Kind::kSilence;
    if (!ends || fault_.sender != sender || offset + n <= fault_.at) return n;
    return fault_.at > offset ? static_cast<std::size_t>(fault_.at - offset) : 0;
  }
  std::size_t touch(Party sender, std::uint64_t offset, std::span<std::byte> data) const {
    if (fault_.kind == Fault::Kind::kFlip && fault_.sender == sender && fault_.at >= offset &&
        fault_.at - offset < data.size())
      data[static_cast<std::size_t>(fault_.at - offset)] ^= static_cast<std::byte>(1U << fault_.bit);
    return lost(sender, offset, data.size());
  }

  std::unique_ptr<Transport> inner_;
  Fault fault_;
  std::uint64_t written_ = 0, read_ = 0;
};

constexpr std::uint32_t kBatch = 2;

class Faults : public ::testing::TestWithParam<Products> {
 protected:
  // Two batches, then the goodbye: the wire's bytes by sender, and where each message's header is.
  Faults() {
    SessionPlan plan(offer_.model.plan, offer_.exec, SessionPlan::Options{.trace = true});
    streams_ = handshake_bytes(offer_.plan_bytes.size(), kExecOptionsBytes);
    handshake_ = streams_;
    const auto add = [this](const Message& m) {
      const auto sender = static_cast<std::size_t>(m.from);
      headers_[sender].push_back(streams_[sender]);
      streams_[sender] += framed_bytes(m.bytes);
    };
    for (const Message& m : plan.setup().setup_trace) add(m);
    for (int batch = 0; batch < 2; ++batch) {
      const PlanCost cost = plan.next(kBatch);
      for (const Message& m : cost.online_trace) add(m);
    }
    add({Party::kClient, kControlBytes});
    images_ = testing::random_images(offer_.model.plan, 1, kBatch);
    expected_ = testing::expected_answers(offer_.model, images_, kBatch);
  }

  struct Outcome {
    testing::End<SessionSummary> server, client;
    std::vector<std::vector<std::int64_t>> answers;
    std::chrono::duration<double> took{};
  };

  Outcome run(const Fault& fault, const std::string& kind = "memory", std::chrono::milliseconds deadline = 60s) {
    Outcome o;
    const auto start = Clock::now();
    auto ends = testing::connected_transports(kind);
    ends.first->set_deadline(deadline);
    ends.second->set_deadline(deadline);
    std::tie(o.server, o.client) = testing::run_session(std::move(ends), offer_, [&](std::unique_ptr<Transport> t) {
      ClientSession session(std::make_unique<FaultyTransport>(std::move(t), fault), {});
      for (int batch = 0; batch < 2; ++batch) o.answers.push_back(session.infer(images_, kBatch));
      return session.finish();
    });
    o.took = Clock::now() - start;
    for (const auto& a : o.answers) EXPECT_EQ(a, expected_);
    return o;
  }

  static bool is_fault_of_the_wire(const std::optional<Error>& e) {
    return e && (e->category() == Category::kConnection || e->category() == Category::kProtocol);
  }

  Offer offer_ = GetParam() == Products::kHe ? testing::homomorphic_offer(6, 2 * kBatch, Reveal::kLabel)
                                             : testing::random_offer(6, Reveal::kLabel);
  std::array<std::uint64_t, 2> streams_{}, handshake_{};
  std::array<std::vector<std::uint64_t>, 2> headers_;
  std::vector<Word> images_;
  std::vector<std::int64_t> expected_;
};

TEST_P(Faults, WithoutOneTheStreamsAreAsLongAsPlanned) {
  const Outcome o = run({});
  ASSERT_TRUE(o.server && o.client) << o.server.text() << " / " << o.client.text();
  // One byte more than the plan says never comes; the last one does.
  for (const Party sender : {Party::kServer, Party::kClient}) {
    const std::uint64_t size = streams_[static_cast<std::size_t>(sender)];
    const Outcome whole = run({Fault::Kind::kCut, sender, size});
    EXPECT_TRUE(whole.server && whole.client) << whole.server.text() << " / " << whole.client.text();
    const Outcome less = run({Fault::Kind::kCut, sender, size - 1});
    EXPECT_TRUE(is_fault_of_the_wire(less.server.error) && is_fault_of_the_wire(less.client.error));
  }
}

TEST_P(Faults, ACutAnywhereEndsBothEndsAtOnce) {
  std::mt19937_64 random(7);
  for (const Party sender : {Party::kServer, Party::kClient}) {
    const auto s = static_cast<std::size_t>(sender);
    std::vector<std::uint64_t> cuts{0, 1, handshake_[s] - 1, handshake_[s], handshake_[s] + 1};
    for (std::size_t i = 0; i < headers_[s].size(); i += 1 + headers_[s].size() / 20)
      for (const int shift : {0, 5, 12}) cuts.push_back(headers_[s][i] + static_cast<std::uint64_t>(shift));
    for (int i = 0; i < 10; ++i) cuts.push_back(random() % streams_[s]);
    for (const std::uint64_t at : cuts) {
      const std::string kind = at % 3 == 0 ? "tcp" : "memory";
      SCOPED_TRACE(kind + ": the " + party_name(sender) + "'s byte " + std::to_string(at));
      const Outcome o = run({Fault::Kind::kCut, sender, at}, kind);
      EXPECT_TRUE(is_fault_of_the_wire(o.server.error)) << o.server.text();
      EXPECT_TRUE(is_fault_of_the_wire(o.client.error)) << o.client.text();
      EXPECT_LT(o.took, 30s);  // the deadline is not what ends it
    }
  }
}

TEST_P(Faults, ASilentPeerMeetsTheDeadline) {
  for (const Party sender : {Party::kServer, Party::kClient}) {
    const auto s = static_cast<std::size_t>(sender);
    for (const std::uint64_t at : {std::uint64_t{3}, handshake_[s] + 7, headers_[s][headers_[s].size() / 2],
                                   headers_[s].back(), streams_[s] - 1}) {
      SCOPED_TRACE(std::string(party_name(sender)) + "'s byte " + std::to_string(at));
      const Outcome o = run({Fault::Kind::kSilence, sender, at}, at % 2 == 0 ? "tcp" : "memory", 500ms);
      EXPECT_TRUE(is_fault_of_the_wire(o.server.error)) << o.server.text();
      // A client whose goodbye is lost has all of its answers.
      const bool goodbye = sender == Party::kClient && at >= headers_[s].back();
      EXPECT_TRUE(is_fault_of_the_wire(o.client.error) || (goodbye && o.answers.size() == 2)) << o.client.text();
      EXPECT_LT(o.took, 20s);
    }
  }
}

TEST_P(Faults, AFlippedBitOfTheHandshakeEndsIt) {
  std::mt19937_64 random(8);
  for (const Party sender : {Party::kServer, Party::kClient}) {
    const auto s = static_cast<std::size_t>(sender);
    for (std::uint64_t at = 0; at < handshake_[s]; at += 1 + handshake_[s] / 60) {
      SCOPED_TRACE(std::string(party_name(sender)) + "'s byte " + std::to_string(at));
      const Outcome o = run({Fault::Kind::kFlip, sender, at, static_cast<unsigned>(random() % 8)}, "memory", 500ms);
      ASSERT_TRUE(o.server.error && o.client.error);
      EXPECT_TRUE(o.answers.empty());
      // The policy's bits are read before the confirmation is: then it says that.
      for (const auto& e : {o.server.error, o.client.error})
        EXPECT_TRUE(is_fault_of_the_wire(e) || e->category() == Category::kPolicy ||
                    e->category() == Category::kResource)
            << e->what();
    }
  }
}

TEST_P(Faults, AFlippedBitOfAHeaderIsFound) {
  std::mt19937_64 random(9);
  for (const Party sender : {Party::kServer, Party::kClient}) {
    const auto s = static_cast<std::size_t>(sender);
    for (std::size_t i = 0; i < headers_[s].size(); i += 1 + headers_[s].size() / 40) {
      const auto byte = random() % kFrameHeaderBytes;
      const Fault fault{Fault::Kind::kFlip, sender, headers_[s][i] + byte, static_cast<unsigned>(random() % 8)};
      SCOPED_TRACE(std::string(party_name(sender)) + "'s message " + std::to_string(i) + ", header byte " +
                   std::to_string(byte) + ", bit " + std::to_string(fault.bit));
      const Outcome o = run(fault);
      EXPECT_LT(o.took, 30s);
      const auto& reader = sender == Party::kServer ? o.client : o.server;
      const auto& writer = sender == Party::kServer ? o.server : o.client;
      if (byte < 8) {  // length and sequence
        testing::expect_end(reader, Category::kProtocol, "expected ");
      } else if (reader.error) {  // a flight number that is possible, but not the plan's, may be found later
        EXPECT_EQ(reader.error->category(), Category::kProtocol) << reader.text();
      }
      EXPECT_TRUE(!writer.error || is_fault_of_the_wire(writer.error)) << writer.text();
    }
  }
}

// A payload is not authenticated (TLS does that), and shares are meaningless numbers: the session ends all the same,
// in order or with an error of the wire.
TEST_P(Faults, AFlippedBitOfAPayloadDoesNoHarm) {
  std::mt19937_64 random(10);
  for (const Party sender : {Party::kServer, Party::kClient}) {
    const auto s = static_cast<std::size_t>(sender);
    for (std::size_t i = 0; i < headers_[s].size(); i += 1 + headers_[s].size() / 15) {
      const Fault fault{Fault::Kind::kFlip, sender, headers_[s][i] + kFrameHeaderBytes + random() % 4,
                        static_cast<unsigned>(random() % 8)};
      SCOPED_TRACE(std::string(party_name(sender)) + "'s message " + std::to_string(i));
      auto ends = make_memory_transports();
      const auto [server, client] = testing::run_session(std::move(ends), offer_, [&](std::unique_ptr<Transport> t) {
        ClientSession session(std::make_unique<FaultyTransport>(std::move(t), fault), {});
        for (int batch = 0; batch < 2; ++batch) EXPECT_EQ(session.infer(images_, kBatch).size(), kBatch);
        return session.finish();
      });
      EXPECT_TRUE(server || is_fault_of_the_wire(server.error)) << server.text();
      EXPECT_TRUE(client || is_fault_of_the_wire(client.error)) << client.text();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(By, Faults, ::testing::Values(Products::kOt, Products::kHe), [](const auto& given) {
  return std::string(given.param == Products::kHe ? "HomomorphicProducts" : "ObliviousTransfer");
});

}  // namespace
}  // namespace eqo
