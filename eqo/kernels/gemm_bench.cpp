#include <benchmark/benchmark.h>

#include <vector>

#include "eqo/kernels/gemm.h"

namespace eqo {
namespace {

template <typename L>
void gemm(benchmark::State& state) {
  const GemmShape s{1, static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)),
                    static_cast<std::size_t>(state.range(2))};
  std::vector<L> u(s.rows * s.inner, 3), v(s.inner * s.cols, 5), m(s.rows * s.cols);
  ThreadPool pool(1);
  for (auto _ : state) {
    gemm_mod(s, std::span<const L>(u), std::span<const L>(v), std::span<L>(m), pool);
    benchmark::DoNotOptimize(m.data());
  }
  state.counters["MAC/s"] =
      benchmark::Counter(static_cast<double>(s.rows * s.inner * s.cols), benchmark::Counter::kIsIterationInvariantRate);
  state.SetLabel(kernel_target_name());
}

void shapes(benchmark::internal::Benchmark* b) {
  b->Args({16, 144, 1024})->Args({64, 576, 64})->Args({64, 64, 16})->Args({16, 16, 256})->Args({1000, 512, 1});
}
BENCHMARK(gemm<std::uint32_t>)->Apply(shapes);
BENCHMARK(gemm<std::uint64_t>)->Apply(shapes);

}  // namespace
}  // namespace eqo
