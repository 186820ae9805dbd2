#include <benchmark/benchmark.h>
#include <time.h>

#include <vector>

#include "eqo/core/thread_pool.h"
#include "eqo/net/memory_transport.h"
#include "eqo/protocols/linear_testing.h"
#include "eqo/protocols/ot_product.h"

namespace eqo {
namespace {

// Deals random COTs of both roles, so that the benchmark measures the product alone.
class DealtPool final : public OtPool {
 public:
  DealtPool(Blocks q, Blocks t, Bits choices, Block delta)
      : q_(std::move(q)), t_(std::move(t)), choices_(std::move(choices)), delta_(delta) {}
  void reserve(std::uint64_t, std::uint64_t) override {}
  CotSenderBatch take_sender(std::size_t n) override { return {std::span(q_).subspan(advance(n), n), delta_, 0}; }
  CotReceiverBatch take_receiver(std::size_t n) override {
    const std::size_t at = advance(n);
    return {std::span(t_).subspan(at, n), std::span(choices_).subspan(at, n), 0};
  }
  std::uint64_t sender_left() const override { return 0; }
  std::uint64_t receiver_left() const override { return 0; }

 private:
  std::size_t advance(std::size_t n) { return std::exchange(next_, next_ + n); }
  Blocks q_, t_;
  Bits choices_;
  Block delta_;
  std::size_t next_ = 0;
};

// CPU time of this thread: other work on the machine does not count.
double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

enum class Side { kClient, kServer };

// One layer: products, rows, inner, cols, ring bits, weight bits; both parties in turn on one thread, one of them
// timed.
template <Side side>
void online(benchmark::State& state) {
  const auto arg = [&](int i) { return static_cast<std::uint64_t>(state.range(i)); };
  const ProductSpec spec{{arg(0), arg(1), arg(2), arg(3), Ring(static_cast<unsigned>(arg(4)))},
                         {WeightCode::twos_complement(static_cast<unsigned>(arg(5)))}};
  testing::Rng rng(1);
  const auto codes = testing::random_codes(rng, spec.formats, arg(0) * arg(1) * arg(2));
  const Words v = testing::random_words(rng, arg(0) * arg(2) * arg(3), spec.shape.ring);

  Prg prg = Prg::from_os();
  const std::uint64_t keys = ot_product_keys(spec);
  Blocks q(keys), t(keys);
  Bits choices(keys);
  prg.fill(std::span<Block>(q));
  prg.fill_bits(choices);
  const Block delta = prg.block();
  for (std::size_t i = 0; i < keys; ++i) t[i] = q[i] ^ masked(choices[i], delta);
  DealtPool client_pool(q, {}, {}, delta), server_pool({}, t, choices, delta);

  ThreadPool threads(1);
  auto [a, b] = make_memory_transports();
  Channel server_channel(Party::kServer, std::move(a)), client_channel(Party::kClient, std::move(b));
  Context server_ctx{Party::kServer, server_channel, server_pool, prg, threads};
  Context client_ctx{Party::kClient, client_channel, client_pool, prg, threads};
  const auto server = make_ot_product_server(spec, codes);
  const auto client = make_ot_product_client(spec);
  server->setup(server_ctx);
  client->setup(client_ctx);
  std::uint64_t counter = 0;
  for (auto _ : state) {
    const auto t0 = cpu_seconds();
    benchmark::DoNotOptimize(client->online(client_ctx, counter, 1, v));
    const auto t1 = cpu_seconds();
    benchmark::DoNotOptimize(server->online(server_ctx, counter++, 1, v));
    const auto t2 = cpu_seconds();
    state.SetIterationTime(side == Side::kClient ? t1 - t0 : t2 - t1);
  }
  CostMeter meter;
  ot_product_online_cost(meter, spec, 1);
  const auto elements = static_cast<double>(keys * arg(3));
  state.counters["elements/s"] = benchmark::Counter(elements, benchmark::Counter::kIsIterationInvariantRate);
  state.SetBytesProcessed(static_cast<std::int64_t>(meter.cost().total_bytes()) * state.iterations());
}

void layers(benchmark::internal::Benchmark* b) {
  b->ArgNames({"p", "k", "c", "t", "l", "bits"})->UseManualTime()->Unit(benchmark::kMillisecond);
  b->Args({16, 16, 16, 256, 19, 8})->Args({16, 32, 32, 64, 19, 8})->Args({16, 64, 64, 16, 19, 8});
  b->Args({1, 16, 27, 1024, 19, 8})->Args({1, 64, 576, 64, 14, 2})->Args({1, 10, 64, 1, 20, 8});
  b->Args({1, 1000, 512, 1, 20, 8})
      ->Args({1, 64, 147, 12544, 20, 8})
      ->Args({64, 1, 9, 1024, 16, 4})
      ->Args({1, 32, 32, 256, 40, 8});
}
BENCHMARK(online<Side::kClient>)->Apply(layers);
BENCHMARK(online<Side::kServer>)->Apply(layers);

}  // namespace
}  // namespace eqo
