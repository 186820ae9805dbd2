#include <benchmark/benchmark.h>

#include "eqo/train/winograd_kernel.h"

namespace eqo {
namespace {

struct Data {
  explicit Data(benchmark::State& state) {
    const auto channels = static_cast<std::size_t>(state.range(0)), size = static_cast<std::size_t>(state.range(1));
    shape = {32, size, size, channels, size, size, channels, 1, 1};
    x.assign(32 * size * size * channels, 1);
    y = dx = x;
    u.assign(16 * channels * channels, 1);
    bias.assign(channels, 0);
  }
  void report(benchmark::State& state, double products) const {
    state.counters["MAC/s"] = benchmark::Counter(products * static_cast<double>(x.size() * 4 * shape.filters),
                                                 benchmark::Counter::kIsIterationInvariantRate);
  }
  WinogradShape shape;
  std::vector<float> x, y, dx, u, bias;
};

void forward(benchmark::State& state) {
  Data d(state);
  for (auto _ : state) winograd_forward(d.shape, d.x.data(), d.u.data(), d.bias.data(), d.y.data());
  d.report(state, 1);
}
void backward(benchmark::State& state) {
  Data d(state);
  for (auto _ : state)
    benchmark::DoNotOptimize(winograd_backward(d.shape, d.x.data(), d.u.data(), d.y.data(), d.dx.data()));
  d.report(state, 2);
}
void layers(benchmark::internal::Benchmark* b) { b->Args({16, 32})->Args({32, 16})->Args({64, 8}); }
BENCHMARK(forward)->Apply(layers);
BENCHMARK(backward)->Apply(layers);

}  // namespace
}  // namespace eqo
