// Fused ReLU, shift by half and return to the ring: CPU time of each party per element, and what crosses the wire. Both
// parties run in one process over memory; making the OTs is not part of it.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <chrono>

#include "eqo/protocols/requantize.h"
#include "eqo/testing/two_party.h"

namespace eqo {
namespace {

constexpr std::size_t kElements = 65536;

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void measure(benchmark::State& state, const RequantizeSpec& spec, const CompareOptions& options) {
  CostMeter dry;
  requantize_cost(dry, spec, kElements, options);
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
      Words y(kElements);
      prg.fill(y, spec.from);
      const auto start = std::chrono::steady_clock::now();
      const double before = thread_seconds();
      benchmark::DoNotOptimize(requantize(ctx, spec, y, options));
      cpu[me] += thread_seconds() - before;
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    const auto [server, client] = testing::run_two_channels(party, party);
    state.SetIterationTime(std::max(server, client));
  }
  const double elements = static_cast<double>(kElements);
  const double scale = 1e9 / static_cast<double>(state.iterations()) / elements;
  state.counters["server_ns/element"] = cpu[0] * scale;
  state.counters["client_ns/element"] = cpu[1] * scale;
  state.counters["bits/element"] = static_cast<double>(total.total_bytes()) * 8 / elements;
  state.counters["cots/element"] = static_cast<double>(total.cots[0] + total.cots[1]) / elements;
  state.counters["flights"] = static_cast<double>(total.flights);
}

// Ring, and that of the result.
RequantizeSpec spec_of(const benchmark::State& state) {
  const auto l = static_cast<unsigned>(state.range(0));
  return {.from = Ring(l), .to = Ring(static_cast<unsigned>(state.range(1))), .shift = l / 2};
}

void relu_bench(benchmark::State& state, bool staged) {
  RequantizeSpec spec = spec_of(state);
  spec.relu = true;
  spec.staged = staged;
  measure(state, spec, {});
}

void shift_bench(benchmark::State& state, Knowledge knowledge) {
  RequantizeSpec spec = spec_of(state);
  spec.knowledge = knowledge;
  measure(state, spec, {});
}

void wide(benchmark::internal::Benchmark* b) {
  b->ArgNames({"from", "to"})->Iterations(3)->UseManualTime();
  for (const int l : {12, 14, 16, 20}) b->Args({l, l});
}
void narrow(benchmark::internal::Benchmark* b) {
  b->ArgNames({"from", "to"})->Iterations(3)->UseManualTime();
  for (const int l : {12, 14, 16, 20}) b->Args({l, l - l / 2});
}

BENCHMARK_CAPTURE(relu_bench, staged, true)->Apply(wide);
BENCHMARK_CAPTURE(relu_bench, direct, false)->Apply(wide);
BENCHMARK_CAPTURE(relu_bench, narrow, false)->Apply(narrow);
BENCHMARK_CAPTURE(shift_bench, signed, Knowledge::kSigned)->Apply(wide);
BENCHMARK_CAPTURE(shift_bench, guarded, Knowledge::kGuarded)->Apply(wide);

}  // namespace
}  // namespace eqo
