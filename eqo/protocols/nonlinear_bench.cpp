// The local work of the non-linear protocols: CPU time of each party per element, and what crosses the wire. Both
// parties run in one process over memory; making the OTs is not part of it.
#include <benchmark/benchmark.h>
#include <time.h>

#include <chrono>
#include <functional>
#include <random>

#include "eqo/protocols/argmax.h"
#include "eqo/protocols/carry.h"
#include "eqo/protocols/extend.h"
#include "eqo/protocols/maximum.h"
#include "eqo/protocols/relu.h"
#include "eqo/protocols/truncate.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

constexpr std::size_t kElements = 65536;

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

using Run = std::function<void(Context&, std::span<const Word>)>;
using CostOf = std::function<void(CostMeter&)>;

void measure(benchmark::State& state, Ring ring, const CostOf& cost, const Run& run, std::size_t inputs = kElements) {
  CostMeter dry;
  cost(dry);
  const Cost total = dry.cost();
  std::array<double, 2> cpu{};
  for (auto _ : state) {
    const auto party = [&](Channel& channel) {
      Prg prg = Prg::from_os();
      ThreadPool threads(1);
      const auto ot = make_ot_pool(channel, prg, threads, {});
      const auto me = static_cast<std::size_t>(channel.party());
      ot->reserve(total.cots[me], total.cots[1 - me]);
      Context ctx{channel.party(), channel, *ot, prg, threads};
      Words x(inputs);
      prg.fill(x, ring);
      const auto start = std::chrono::steady_clock::now();
      const double before = thread_seconds();
      run(ctx, x);
      cpu[me] += thread_seconds() - before;
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    const auto [server, client] = testing::run_two_channels(party, party);
    state.SetIterationTime(std::max(server, client));
  }
  const double elements = static_cast<double>(kElements);
  const auto runs = static_cast<double>(state.iterations());
  state.counters["server_ns/element"] = cpu[0] / runs / elements * 1e9;
  state.counters["client_ns/element"] = cpu[1] / runs / elements * 1e9;
  state.counters["bits/element"] = static_cast<double>(total.total_bytes()) * 8 / elements;
  state.counters["cots/element"] = static_cast<double>(total.cots[0] + total.cots[1]) / elements;
  state.counters["flights"] = static_cast<double>(total.flights);
}

// The second argument: levels of the tree.
CompareOptions tree(const benchmark::State& state) { return {.levels = static_cast<unsigned>(state.range(1))}; }
Ring ring_of(const benchmark::State& state) { return Ring(static_cast<unsigned>(state.range(0))); }

void carry_bench(benchmark::State& state) {
  const Ring ring = ring_of(state);
  measure(
      state, ring, [&](CostMeter& m) { carry_cost(m, ring.bits(), kElements, tree(state)); },
      [&](Context& c, std::span<const Word> x) { benchmark::DoNotOptimize(carry(c, ring.bits(), x, tree(state))); });
}

void relu_bench(benchmark::State& state) {
  const Ring ring = ring_of(state);
  measure(
      state, ring, [&](CostMeter& m) { relu_cost(m, ring, kElements, tree(state)); },
      [&](Context& c, std::span<const Word> x) { benchmark::DoNotOptimize(relu(c, ring, x, tree(state))); });
}

// Ring, levels, shift.
void truncate_bench(benchmark::State& state, Knowledge knowledge) {
  const Ring ring = ring_of(state);
  const auto s = static_cast<unsigned>(state.range(2));
  measure(
      state, ring, [&](CostMeter& m) { truncate_cost(m, ring, kElements, s, knowledge, tree(state)); },
      [&](Context& c, std::span<const Word> x) {
        benchmark::DoNotOptimize(truncate(c, ring, x, s, knowledge, tree(state)));
      });
}

// From ring, levels, to ring.
void extend_bench(benchmark::State& state, Knowledge knowledge) {
  const Ring from = ring_of(state), to(static_cast<unsigned>(state.range(2)));
  measure(
      state, from, [&](CostMeter& m) { extend_cost(m, from, to, kElements, knowledge, tree(state)); },
      [&](Context& c, std::span<const Word> x) {
        benchmark::DoNotOptimize(extend(c, from, to, x, knowledge, tree(state)));
      });
}

// What follows a convolution: ReLU in Z_l, shift by s into Z_{l-s}, back to Z_l. Ring, levels, shift.
void requantize_bench(benchmark::State& state) {
  const Ring ring = ring_of(state);
  const auto s = static_cast<unsigned>(state.range(2));
  const Ring small(ring.bits() - s);
  const CompareOptions o = tree(state);
  measure(
      state, ring,
      [&](CostMeter& m) {
        relu_cost(m, ring, kElements, o);
        truncate_reduce_cost(m, ring, kElements, s, o);
        extend_cost(m, small, ring, kElements, Knowledge::kNonNegative, o, Party::kServer);
      },
      [&](Context& c, std::span<const Word> x) {
        const Words t = truncate_reduce(c, ring, relu(c, ring, x, o), s, o);
        benchmark::DoNotOptimize(extend(c, small, ring, t, Knowledge::kNonNegative, o, Party::kServer));
      });
}

// Ring, levels, window; per output.
void max_tree_bench(benchmark::State& state) {
  const Ring ring = ring_of(state);
  const auto k = static_cast<std::size_t>(state.range(2));
  measure(
      state, ring, [&](CostMeter& m) { max_tree_cost(m, ring, k, kElements, tree(state)); },
      [&](Context& c, std::span<const Word> x) {
        benchmark::DoNotOptimize(max_tree(c, ring, x, k, kElements, tree(state)));
      },
      k * kElements);
}

BENCHMARK(carry_bench)
    ->ArgNames({"ring", "levels"})
    ->ArgsProduct({{11, 13, 15, 18}, {2, 3, 4}})
    ->Iterations(3)
    ->UseManualTime();
BENCHMARK(relu_bench)->ArgNames({"ring", "levels"})->ArgsProduct({{12, 16, 20}, {3}})->Iterations(3)->UseManualTime();
BENCHMARK_CAPTURE(truncate_bench, signed, Knowledge::kSigned)
    ->ArgNames({"ring", "levels", "s"})
    ->Args({20, 3, 10})
    ->Iterations(3)
    ->UseManualTime();
BENCHMARK_CAPTURE(truncate_bench, non_negative, Knowledge::kNonNegative)
    ->ArgNames({"ring", "levels", "s"})
    ->Args({20, 3, 10})
    ->Iterations(3)
    ->UseManualTime();
BENCHMARK_CAPTURE(extend_bench, signed, Knowledge::kSigned)
    ->ArgNames({"ring", "levels", "to"})
    ->Args({10, 3, 20})
    ->Iterations(3)
    ->UseManualTime();
BENCHMARK_CAPTURE(extend_bench, non_negative, Knowledge::kNonNegative)
    ->ArgNames({"ring", "levels", "to"})
    ->Args({10, 3, 20})
    ->Iterations(3)
    ->UseManualTime();
BENCHMARK(requantize_bench)
    ->ArgNames({"ring", "levels", "s"})
    ->Args({18, 3, 9})
    ->Args({20, 3, 10})
    ->Iterations(3)
    ->UseManualTime();
BENCHMARK(max_tree_bench)->ArgNames({"ring", "levels", "k"})->Args({16, 3, 4})->Iterations(3)->UseManualTime();

}  // namespace
}  // namespace eqo
