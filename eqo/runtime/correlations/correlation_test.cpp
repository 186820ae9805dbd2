// No correlation is ever used twice: everything that the two parties of many sessions evaluate and hand out is written
// down (recorder.h), through batches, faults, retries and clients at the same time, and looked through at the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <future>
#include <iostream>
#include <random>
#include <thread>

#include "eqo/crypto/hash.h"
#include "eqo/crypto/prg.h"
#include "eqo/net/tcp_transport.h"
#include "eqo/protocols/ot_product.h"
#include "eqo/runtime/correlations/recorder.h"
#include "eqo/runtime/runtime_testing.h"
#include "eqo/runtime/server.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

using namespace std::chrono_literals;
using testing::Use;

void expect_no_duplicates() {
  EXPECT_FALSE(testing::overflowed()) << "more records than the test has room for";
  const auto found = testing::duplicates();
  EXPECT_EQ(found.size(), 0U);
  for (std::size_t i = 0; i < std::min<std::size_t>(found.size(), 10); ++i) ADD_FAILURE() << found[i];
}

// What a client's end does wrong at its write number `at`, the handshake's included.
struct Fault {
  enum class Kind { kNone, kCut, kFlip } kind = Kind::kNone;
  std::size_t at = 0, bit = 0;
};

std::chrono::milliseconds deadline_of(const Fault& fault) { return fault.kind == Fault::Kind::kFlip ? 500ms : 60s; }

class FaultyTransport final : public Transport {
 public:
  FaultyTransport(std::unique_ptr<Transport> inner, const Fault& fault, std::size_t& writes)
      : inner_(std::move(inner)), fault_(fault), writes_(writes) {}
  void write(std::span<const std::byte> data) override {
    const bool now = writes_++ == fault_.at && !data.empty();
    if (now && fault_.kind == Fault::Kind::kCut) {
      inner_->close();
      throw connection_error("cut");
    }
    Bytes bytes(data.begin(), data.end());
    if (now && fault_.kind == Fault::Kind::kFlip)
      bytes[fault_.bit / 8 % bytes.size()] ^= static_cast<std::byte>(1U << fault_.bit % 8);
    inner_->write(bytes);
  }
  void read(std::span<std::byte> data) override { inner_->read(data); }
  void flush() override { inner_->flush(); }
  void finish() override { inner_->finish(); }
  void close() noexcept override { inner_->close(); }
  void set_deadline(std::chrono::milliseconds d) override { inner_->set_deadline(d); }
  Bytes channel_binding() override { return inner_->channel_binding(); }

 private:
  std::unique_ptr<Transport> inner_;
  Fault fault_;
  std::size_t& writes_;
};

// A client's life: batches, each answer right; after an error it tries the same session again, which must refuse
// without an evaluation. True if the session came to its end without an error.
bool client_life(std::unique_ptr<Transport> transport, const Offer& offer, const Fault& fault, std::size_t& writes,
                 unsigned threads = 1) {
  // A flipped bit may leave both ends waiting; for a session without a fault nothing is too slow.
  transport->set_deadline(deadline_of(fault));
  std::optional<ClientSession> session;
  try {
    ClientOptions options;
    options.threads = threads;
    options.prepare = 3;
    session.emplace(std::make_unique<FaultyTransport>(std::move(transport), fault, writes), options);
  } catch (const Error&) {
    return false;
  }
  for (const std::uint32_t batch : {1U, 2U, 1U}) {
    const auto images = testing::random_images(offer.model.plan, batch + writes, batch);
    try {
      prepare_ahead(*session, 3, batch);
      const auto answers = session->infer(images, batch);
      // A flipped bit may be in a share, which nobody can tell from another share.
      if (fault.kind == Fault::Kind::kFlip) continue;
      EXPECT_EQ(answers, testing::expected_answers(offer.model, images, batch));
    } catch (const Error&) {
      const std::size_t before = writes;
      testing::expect_end(testing::end_of([&] { return session->infer(images, batch); }), Category::kConnection,
                          "this session ended with an error");
      EXPECT_EQ(session->prepared_images(), 0U);
      testing::expect_end(testing::end_of([&] { return session->finish(); }), Category::kConnection,
                          "this session ended with an error");
      EXPECT_EQ(writes, before);
      return false;
    }
  }
  try {
    session->finish();
  } catch (const Error&) {
    return false;
  }
  return true;
}

// Both ends over memory. The threads that are nobody's (workers) are those of the party that has more than one.
bool run(const Offer& offer, const Fault& fault, std::size_t& writes, unsigned client_threads = 1) {
  testing::set_party_of_others(client_threads > 1 ? Party::kClient : Party::kServer);
  testing::set_party(Party::kClient);
  auto ends = make_memory_transports();
  ends.first->set_deadline(deadline_of(fault));
  auto server = std::async(std::launch::async, [&, t = std::move(ends.first)]() mutable {
    testing::set_party(Party::kServer);
    return static_cast<bool>(testing::end_of([&] { return serve_session(std::move(t), offer); }));
  });
  writes = 0;
  const bool well = client_life(std::move(ends.second), offer, fault, writes, client_threads);
  const bool served = server.get();
  EXPECT_TRUE(fault.kind != Fault::Kind::kNone || (well && served));
  return well;
}

ExecOptions exec_of(OtKind kind, unsigned k, std::uint8_t prefetch) {
  ExecOptions exec;
  exec.ot.kind = kind;
  exec.ot.softspoken_k = k;
  exec.ot.silent_set = {0, 0};
  exec.prefetch = prefetch;
  return exec;
}

TEST(Recorder, SeesTheProductsCallsAndFindsEachKindOfRepetition) {
  testing::start_recording();
  testing::set_party(Party::kClient);
  const std::array<Block, 2> keys{Block{16, 4}, Block{32, 6}};
  std::array<Block, 4> out;
  hash_blocks(keys, 1, 10, std::span(out).first(2));
  hash_blocks(keys, 1, 11, std::span(out).first(2));  // other indices
  hash_blocks(keys, 2, 10, std::span(out).first(2));  // another domain
  testing::set_party(Party::kServer);
  hash_blocks(keys, 1, 10, std::span(out).first(2));  // the other party
  EXPECT_EQ(testing::recorded(Use::kHash), 8U);
  EXPECT_TRUE(testing::duplicates().empty());
  hash_blocks(std::span(keys).last(1), 1, 11, std::span(out).first(1));
  EXPECT_EQ(testing::duplicates().size(), 1U);

  testing::start_recording();
  hash_expand(keys, 7, 2, out);
  EXPECT_TRUE(testing::duplicates().empty());
  hash_blocks(std::span(keys).first(1), 7, 1, std::span(out).first(1));  // a block inside the pad
  EXPECT_EQ(testing::duplicates().size(), 1U);

  testing::start_recording();
  Prg source = Prg::from_os();
  const Seed seed = source.seed();
  Prg one(seed);
  one.fill(out);
  one.fill(out);
  EXPECT_TRUE(testing::duplicates().empty());
  testing::set_party(Party::kClient);
  Prg two(seed);
  two.block();  // a seed that two parties have
  EXPECT_EQ(testing::duplicates().size(), 1U);
  testing::set_party(Party::kServer);
  Prg three(seed);  // a key that one party expands twice
  EXPECT_EQ(testing::duplicates().size(), 2U);
}

// The pool's own records: what is handed out twice by two pools with one index each is no repetition, since their
// blocks differ; a COT that is handed out and then a seed is found by its block.
TEST(Recorder, SeesWhatThePoolsHandOut) {
  for (const OtKind kind : {OtKind::kSoftSpoken, OtKind::kSilent}) {
    testing::start_recording();
    testing::run_two_channels(
        [&](Channel& channel) {
          testing::set_party(Party::kServer);
          Prg prg = Prg::from_os();
          ThreadPool threads(1);
          auto pool = make_ot_pool(channel, prg, threads, exec_of(kind, 2, 0).ot);
          pool->reserve(100, 0);
          pool->take_sender(100);
          return 0;
        },
        [&](Channel& channel) {
          testing::set_party(Party::kClient);
          Prg prg = Prg::from_os();
          ThreadPool threads(1);
          auto pool = make_ot_pool(channel, prg, threads, exec_of(kind, 2, 0).ot);
          pool->reserve(0, 100);
          pool->take_receiver(60);
          pool->take_receiver(40);
          return 0;
        });
    EXPECT_EQ(testing::recorded(Use::kIndex), 3U);
    EXPECT_GT(testing::recorded(Use::kCot), kind == OtKind::kSilent ? kLpnSets[0].seeds() / 16 : 0);
    EXPECT_EQ(testing::recorded(Use::kTree) > 0, kind == OtKind::kSilent);
    EXPECT_GT(testing::recorded(Use::kLeaf), 0U);
    expect_no_duplicates();
  }
}

TEST(Correlations, AreUsedOnceInTheLifeOfAProcess) {
  testing::start_recording();
  std::mt19937_64 random(20261122);
  std::size_t well = 0, failed = 0;

  // Batches of several sizes in a session, prepared ones among them, every kind of pool, prefetch on and off, several
  // threads at one end.
  for (const OtKind kind : {OtKind::kSoftSpoken, OtKind::kSilent})
    for (const std::uint8_t prefetch : {std::uint8_t{0}, std::uint8_t{2}}) {
      const ExecOptions exec = exec_of(kind, prefetch == 0 ? 2 : 4, prefetch);
      Offer offer = testing::random_offer(6, Reveal::kLabel, exec);
      offer.max_prepared = prefetch == 0 ? 3 : 0;
      std::size_t writes = 0;
      well += run(offer, {}, writes) ? 1 : 0;
      offer.threads = 3;
      well += run(offer, {}, writes) ? 1 : 0;
      offer.threads = 1;
      well += run(offer, {}, writes, 3) ? 1 : 0;
      // Then the same offer with faults at random messages: a cut, or a bit of a header or payload.
      const std::size_t all = writes;
      for (int i = 0; i < (kind == OtKind::kSilent ? 2 : 4); ++i) {
        const Fault fault{i % 3 == 2 ? Fault::Kind::kFlip : Fault::Kind::kCut, random() % all, random() % 128};
        (run(offer, fault, writes) ? well : failed) += 1;
      }
    }

  // A batch that fails by this end's own fault, in its middle: the peer waits, the session refuses to go on.
  {
    const Offer offer = testing::random_offer(6);
    testing::set_party(Party::kClient);
    const auto [server, client] =
        testing::run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
          std::size_t writes = 0;
          ClientSession session(std::make_unique<FaultyTransport>(std::move(t), Fault{}, writes), {});
          const auto images = testing::random_images(offer.model.plan, 1, 1);
          const auto stop = [&](std::size_t step, std::span<const Word>) {
            if (step == offer.model.plan.nodes.size() / 2) throw resource_error("out of memory");
          };
          testing::expect_end(testing::end_of([&] { return session.infer(images, 1, stop); }), Category::kResource,
                              "out of memory");
          const std::size_t before = writes;
          testing::expect_end(testing::end_of([&] { return session.infer(images, 1); }), Category::kConnection,
                              "this session ended with an error");
          EXPECT_EQ(writes, before);
          return 0;
        });
    EXPECT_TRUE(server.error.has_value());
    EXPECT_TRUE(client);
  }

  // One server, several clients at once, each of which fails once and comes back.
  for (const OtKind kind : {OtKind::kSoftSpoken, OtKind::kSilent}) {
    testing::set_party_of_others(Party::kServer);
    Offer offer = testing::random_offer(8, Reveal::kLogits, exec_of(kind, 4, 1));
    offer.max_prepared = 3;
    ServerOptions options;
    options.max_sessions = 16;
    Server server(offer, options, [](const std::string&) {});
    std::thread accepting([&] { server.run(); });
    std::vector<std::future<std::size_t>> clients;
    for (std::size_t c = 0; c < 3; ++c)
      clients.push_back(std::async(std::launch::async, [&, at = 20 + random() % 60] {
        testing::set_party(Party::kClient);
        std::size_t writes = 0;
        client_life(tcp_connect("127.0.0.1", server.port(), 10s), offer, {Fault::Kind::kCut, at, 0}, writes);
        writes = 0;
        return std::size_t{client_life(tcp_connect("127.0.0.1", server.port(), 10s), offer, {}, writes)};
      }));
    for (auto& client : clients) EXPECT_EQ(client.get(), 1U);
    server.stop();
    accepting.join();
  }

  EXPECT_GE(well, 12U);
  EXPECT_GE(failed, 8U);
  for (const Use use : {Use::kHash, Use::kStream, Use::kLeaf, Use::kKey, Use::kTree, Use::kCot, Use::kIndex})
    EXPECT_GT(testing::recorded(use), 10U) << static_cast<int>(use);
  EXPECT_GT(testing::discarded(), 0U);
  std::cout << testing::recorded() << " records, " << well << " sessions without and " << failed << " with an error\n";
  expect_no_duplicates();
}

// The lowest level of the product's interface: an old counter, or one of a call that failed, is refused before anything
// is hashed or sent; the next one goes on.
TEST(Correlations, AnOldCounterOfAProductIsRefused) {
  testing::start_recording();
  const ProductSpec spec{{1, 2, 3, 4, Ring(16)}, {WeightCode::twos_complement(2)}};
  const std::vector<std::uint16_t> codes{0, 1, 2, 3, 1, 2};
  const auto life = [&](Channel& channel) {
    testing::set_party(channel.party());
    Prg prg = Prg::from_os();
    ThreadPool threads(1);
    const auto pool = make_ot_pool(channel, prg, threads, {});
    const std::uint64_t keys = ot_product_keys(spec);
    const bool server = channel.party() == Party::kServer;
    pool->reserve(server ? 0 : keys, server ? keys : 0);
    Context ctx{channel.party(), channel, *pool, prg, threads};
    auto product = server ? make_ot_product_server(spec, codes) : make_ot_product_client(spec);
    product->setup(ctx);
    const Words v(12, Word{7});
    product->online(ctx, 5, 1, v);
    const Traffic before = ctx.channel.traffic();
    for (const std::uint64_t old : {0, 4, 5})
      testing::expect_end(testing::end_of([&] { return product->online(ctx, old, 1, v); }), Category::kInternal,
                          "must never be used again");
    EXPECT_EQ(ctx.channel.traffic().sent_bytes, before.sent_bytes);
    EXPECT_EQ(ctx.channel.traffic().received_bytes, before.received_bytes);
    return product->online(ctx, 6, 1, v);
  };
  testing::run_two_channels(life, life);
  EXPECT_GT(testing::recorded(Use::kHash), 0U);
  expect_no_duplicates();

  // A new object with the same keys would be the fault that the check is there for: the recorder finds it.
  testing::start_recording();
  const std::array<Block, 2> keys{Block{16, 2}, Block{32, 4}};
  Blocks pad(8);
  for (int i = 0; i < 2; ++i) hash_expand(keys, std::uint64_t{5} << 16, 4, pad);
  EXPECT_EQ(testing::duplicates().size(), 2U);
}

}  // namespace
}  // namespace eqo
