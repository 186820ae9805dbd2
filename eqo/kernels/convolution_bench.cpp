#include <benchmark/benchmark.h>

#include <vector>

#include "eqo/kernels/convolution.h"
#include "eqo/kernels/lane_packing.h"

namespace eqo {
namespace {

ConvShape layer(const benchmark::State& state, ConvDomain domain) {
  const std::int64_t channels = state.range(0), size = state.range(1);
  return {{channels, size, size}, channels, 1, {3, 3, 1, 1, 1, 1, 1, 1}, domain};
}
void sizes(benchmark::internal::Benchmark* b) { b->Args({16, 32})->Args({32, 16})->Args({64, 8})->Args({64, 56}); }

template <ConvDomain domain, Lane L>
void columns(benchmark::State& state) {
  const ConvShape s = layer(state, domain);
  ThreadPool threads(1);
  const std::vector<L> x(static_cast<std::size_t>(s.in.size()), 7);
  for (auto _ : state) benchmark::DoNotOptimize(conv_columns<L>(s, 1, x, threads));
  state.counters["elements/s"] =
      benchmark::Counter(static_cast<double>(s.in.size()), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(columns<ConvDomain::kDirect, std::uint32_t>)->Apply(sizes);
BENCHMARK(columns<ConvDomain::kWinograd, std::uint32_t>)->Apply(sizes);
BENCHMARK(columns<ConvDomain::kWinograd, std::uint64_t>)->Apply(sizes);

template <Lane L>
void winograd_outputs(benchmark::State& state) {
  const ConvShape s = layer(state, ConvDomain::kWinograd);
  ThreadPool threads(1);
  const std::vector<L> m(s.products() * s.rows() * s.cols(), 7);
  for (auto _ : state) benchmark::DoNotOptimize(conv_outputs<L>(s, 1, m, threads));
  state.counters["elements/s"] =
      benchmark::Counter(static_cast<double>(s.out().size()), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(winograd_outputs<std::uint32_t>)->Apply(sizes);
BENCHMARK(winograd_outputs<std::uint64_t>)->Apply(sizes);

// A whole layer of the twin; MAC/s counts the direct convolution's in both domains.
template <ConvDomain domain>
void plain(benchmark::State& state) {
  const ConvShape s = layer(state, domain);
  const ConvWeights w{std::vector<std::uint16_t>(s.weights(), 1), {WeightCode::twos_complement(8)}};
  const DecodedWeights u = decode_weights(s, w, Ring(20));
  ThreadPool threads(1);
  const Words x(static_cast<std::size_t>(s.in.size()), 7), bias(static_cast<std::size_t>(s.out_channels), 1);
  for (auto _ : state) benchmark::DoNotOptimize(conv_plain(s, Ring(20), 1, u, bias, x, threads));
  state.counters["MAC/s"] = benchmark::Counter(static_cast<double>(layer(state, ConvDomain::kDirect).macs()),
                                               benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(plain<ConvDomain::kDirect>)->Apply(sizes);
BENCHMARK(plain<ConvDomain::kWinograd>)->Apply(sizes);

template <typename L>
void packing(benchmark::State& state) {
  const auto width = static_cast<unsigned>(state.range(0));
  std::vector<L> x(8192, 12345);
  std::vector<std::byte> out(8192 * width / 8);
  for (auto _ : state) {
    pack_lanes(std::span<const L>(x), width, out);
    unpack_lanes(out, width, std::span<L>(x));
    benchmark::DoNotOptimize(x.data());
  }
  state.counters["elements/s"] = benchmark::Counter(8192, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(packing<std::uint16_t>)->Arg(12)->Arg(15);
BENCHMARK(packing<std::uint32_t>)->Arg(19)->Arg(24);
BENCHMARK(packing<std::uint64_t>)->Arg(40);

}  // namespace
}  // namespace eqo
