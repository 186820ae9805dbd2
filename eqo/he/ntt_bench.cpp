#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "eqo/he/he_params.h"
#include "eqo/he/ntt.h"

namespace eqo {
namespace {

Residues values(std::size_t n, std::uint32_t p) {
  std::mt19937 rng(1);
  Residues x(n);
  for (std::uint32_t& e : x) e = static_cast<std::uint32_t>(rng() % p);
  return x;
}

template <void (*Transform)(const NttTables&, std::span<std::uint32_t>, std::span<std::uint32_t>)>
void transform(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const NttTables tables(n, modulus_primes(n, 62)[0]);
  Residues x = values(n, tables.prime()), out(n);
  for (auto _ : state) {
    Transform(tables, x, out);
    benchmark::DoNotOptimize(out.data());
  }
  const auto stages = static_cast<double>(std::bit_width(n) - 1);
  state.counters["butterflies/s"] =
      benchmark::Counter(stages * static_cast<double>(n) / 2, benchmark::Counter::kIsIterationInvariantRate);
  state.SetLabel(ntt_target_name());
}
BENCHMARK(transform<ntt_forward>)->Arg(4096)->Arg(8192);
BENCHMARK(transform<ntt_inverse>)->Arg(4096)->Arg(8192);

// Products of residues, two halves of a ciphertext at a time.
void dot(benchmark::State& state) {
  const std::size_t n = 4096;
  const auto count = static_cast<std::size_t>(state.range(0));
  const std::uint32_t p = modulus_primes(n, 62)[0];
  const Residues a = values(n * count, p), b = a, w = a;
  Residues out_a(n), out_b(n);
  std::vector<NttTerm> terms;
  for (std::size_t i = 0; i < count; ++i) terms.push_back({&a[i * n], &b[i * n], &w[i * n]});
  for (auto _ : state) {
    ntt_dot(terms, p, out_a, out_b);
    benchmark::DoNotOptimize(out_a.data());
  }
  state.counters["products/s"] =
      benchmark::Counter(static_cast<double>(2 * n * count), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(dot)->Arg(1)->Arg(6)->Arg(24);

}  // namespace
}  // namespace eqo
