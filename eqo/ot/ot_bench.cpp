#include <benchmark/benchmark.h>

#include <future>

#include "eqo/ot/base_ot.h"
#include "eqo/ot/bit_triples.h"
#include "eqo/ot/one_of_many.h"
#include "eqo/ot/ring_cot.h"
#include "eqo/testing/two_party.h"

// Two parties on two threads over memory, one thread each. Time and items/s are wall-clock, of the measured step; CPU
// is that of both parties with everything around it.
namespace eqo {
namespace {

using testing::run_two_channels;

template <typename F>
double run(const OtOptions& options, const F& body) {
  const auto party = [&](Channel& ch) {
    Prg prg = Prg::from_os();
    ThreadPool pool(1);
    const auto ot = make_ot_pool(ch, prg, pool, options);
    Context ctx{ch.party(), ch, *ot, prg, pool};
    return body(ctx);
  };
  const auto [server, client] = run_two_channels(party, party);
  return std::max(server, client);
}

template <typename F>
double seconds(const F& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void finish(benchmark::State& state, std::size_t items) {
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * items));
}

void base_ot(benchmark::State& state) {
  for (auto _ : state) {
    const auto party = [](Channel& ch) {
      Prg prg = Prg::from_os();
      ThreadPool pool(1);
      return seconds([&] { base_ots(ch, prg, pool, Bits(128, 1)); });
    };
    const auto [a, b] = run_two_channels(party, party);
    state.SetIterationTime(std::max(a, b));
  }
  finish(state, 256);
}

// Argument 0: k; 1: both ways. The second of two equal reserves: memory is there already.
void softspoken(benchmark::State& state) {
  const OtOptions options{.softspoken_k = static_cast<unsigned>(state.range(0))};
  const bool both = state.range(1) != 0;
  constexpr std::size_t kN = 1 << 22;
  for (auto _ : state) {
    state.SetIterationTime(run(options, [&](Context& ctx) {
      const bool server = ctx.party == Party::kServer;
      const std::size_t send = server || both ? kN : 0, receive = !server || both ? kN : 0;
      ctx.ot.reserve(send, receive);
      ctx.ot.take_sender(send);
      ctx.ot.take_receiver(receive);
      return seconds([&] { ctx.ot.reserve(send, receive); });
    }));
  }
  finish(state, both ? 2 * kN : kN);
}

// Argument 0: the parameter set; 1: both ways. Reserves of 2^23 after a direction's start: items are COTs that were
// made, spare ones included, but no seeds.
void silent(benchmark::State& state) {
  const auto set = static_cast<std::uint8_t>(state.range(0));
  OtOptions options;
  options.kind = OtKind::kSilent;
  options.silent_set = {set, set};
  const bool both = state.range(1) != 0;
  const std::uint64_t net = kLpnSets[set].net(), n = (std::uint64_t{1} << 23) / net * net + net;
  for (auto _ : state) {
    state.SetIterationTime(run(options, [&](Context& ctx) {
      const bool server = ctx.party == Party::kServer;
      const std::uint64_t send = server || both ? n : 0, receive = !server || both ? n : 0;
      ctx.ot.reserve(send, receive);
      ctx.ot.take_sender(send);
      ctx.ot.take_receiver(receive);
      return seconds([&] { ctx.ot.reserve(send, receive); });
    }));
  }
  OtPoolCost pool(options);
  CostMeter meter;
  pool.reserve(meter, n, both ? n : 0);
  const std::uint64_t before = meter.cost().total_bytes();
  pool.reserve(meter, n, both ? n : 0);
  const auto cots = static_cast<double>(both ? 2 * n : n);
  state.counters["bits/COT"] = 8 * static_cast<double>(meter.cost().total_bytes() - before) / cots;
  finish(state, both ? 2 * n : n);
}

void ring_cot(benchmark::State& state) {
  const Ring ring(static_cast<unsigned>(state.range(0)));
  constexpr std::size_t kN = 1 << 20;
  const Bits bits(kN, 1);
  const Words numbers(kN, 1);
  for (auto _ : state) {
    state.SetIterationTime(run({}, [&](Context& ctx) {
      const bool server = ctx.party == Party::kServer;
      ctx.ot.reserve(server ? kN : 0, server ? 0 : kN);
      return seconds([&] {
        if (server) {
          benchmark::DoNotOptimize(ring_cot_transfer(ctx, ring, numbers));
        } else {
          benchmark::DoNotOptimize(RingCotReceiver(ctx, ring, bits).finish());
        }
      });
    }));
  }
  finish(state, kN);
}

// Arguments: m, w, whether the sender has tables.
void one_of_many(benchmark::State& state) {
  const auto m = static_cast<unsigned>(state.range(0)), w = static_cast<unsigned>(state.range(1));
  const bool tables = state.range(2) != 0;
  constexpr std::size_t kN = 1 << 17;
  const Bits choices(kN, 1);
  const Words messages(tables ? kN : kN << m, 1);
  for (auto _ : state) {
    state.SetIterationTime(run({}, [&](Context& ctx) {
      const bool server = ctx.party == Party::kServer;
      ctx.ot.reserve(server ? kN * m : 0, server ? 0 : kN * m);
      return seconds([&] {
        if (!server) {
          benchmark::DoNotOptimize(OneOfManyReceiver(ctx, m, w, choices).finish());
        } else if (tables) {
          one_of_many_transfer_tables(ctx, m, w, messages);
        } else {
          one_of_many_transfer(ctx, m, w, messages);
        }
      });
    }));
  }
  finish(state, kN);
}

void bit_triples(benchmark::State& state) {
  constexpr std::size_t kN = 1 << 20;
  for (auto _ : state) {
    state.SetIterationTime(run({}, [&](Context& ctx) {
      ctx.ot.reserve(kN, kN);
      return seconds([&] { benchmark::DoNotOptimize(make_bit_triples(ctx, kN)); });
    }));
  }
  finish(state, kN);
}

BENCHMARK(base_ot)->UseManualTime()->MeasureProcessCPUTime();
BENCHMARK(softspoken)->ArgsProduct({{1, 2, 3, 4, 5, 6, 8}, {0, 1}})->UseManualTime()->MeasureProcessCPUTime();
BENCHMARK(silent)->ArgsProduct({{0, 1, 2, 3}, {0, 1}})->UseManualTime()->MeasureProcessCPUTime();
BENCHMARK(ring_cot)->Arg(8)->Arg(16)->Arg(64)->UseManualTime()->MeasureProcessCPUTime();
BENCHMARK(one_of_many)
    ->Args({4, 2, 0})
    ->Args({4, 2, 1})
    ->Args({1, 16, 1})
    ->Args({8, 8, 0})
    ->UseManualTime()
    ->MeasureProcessCPUTime();
BENCHMARK(bit_triples)->UseManualTime()->MeasureProcessCPUTime();

}  // namespace
}  // namespace eqo
