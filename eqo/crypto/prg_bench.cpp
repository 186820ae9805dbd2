#include <benchmark/benchmark.h>

#include "eqo/crypto/prg.h"

namespace eqo {
namespace {

template <typename T, typename... Extra>
void fill(benchmark::State& state, Extra... extra) {
  Prg prg = Prg::from_os();
  WipedVector<T> out(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    prg.fill(std::span<T>(out), extra...);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * out.size() * sizeof(T)));
}

void prg_blocks(benchmark::State& state) { fill<Block>(state); }
void prg_bytes(benchmark::State& state) { fill<std::byte>(state); }
void prg_words(benchmark::State& state) { fill<Word>(state, Ring(17)); }

void prg_bits(benchmark::State& state) {
  Prg prg = Prg::from_os();
  Bits out(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    prg.fill_bits(out);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * out.size()));
}

BENCHMARK(prg_blocks)->Arg(1)->Arg(1 << 14);
BENCHMARK(prg_bytes)->Arg(16)->Arg(1 << 18);
BENCHMARK(prg_words)->Arg(1 << 15);
BENCHMARK(prg_bits)->Arg(1 << 16);

}  // namespace
}  // namespace eqo
