#include <benchmark/benchmark.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <random>
#include <vector>

#include "eqo/he/he_params.h"
#include "eqo/he/ntt.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eqo/he/ntt_bench.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

// What the core can do: vector operations in independent chains, out of registers.
HWY_BEFORE_NAMESPACE();
namespace eqo {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<std::uint32_t, 16>;
constexpr std::size_t kChains = 12;

template <class Step>
HWY_INLINE std::uint32_t chains(std::size_t rounds, Step step) {
  const D d;
  hn::Vec<D> x[kChains];
  for (std::size_t c = 0; c < kChains; ++c) x[c] = hn::Set(d, static_cast<std::uint32_t>(rounds + c));
  for (std::size_t i = 0; i < rounds; ++i)
    for (std::size_t c = 0; c < kChains; ++c) x[c] = step(x[c]);
  for (std::size_t c = 1; c < kChains; ++c) x[0] = x[0] + x[c];
  return hn::GetLane(x[0]);
}

std::uint32_t additions(std::size_t rounds) {  // two operations a step
  const auto y = hn::Set(D(), static_cast<std::uint32_t>(rounds | 1));
  return chains(rounds, [y](hn::Vec<D> x) HWY_ATTR { return hn::Min(x, y) + x; });
}
std::uint32_t multiplications(std::size_t rounds) {
  const auto y = hn::Set(D(), static_cast<std::uint32_t>(rounds | 1));
#if HWY_TARGET == HWY_SCALAR
  return chains(rounds, [y](hn::Vec<D> x) HWY_ATTR { return x * y; });
#else
  return chains(rounds, [y](hn::Vec<D> x) HWY_ATTR { return hn::BitCast(D(), hn::MulEven(x, y)); });
#endif
}
std::size_t lanes() { return hn::Lanes(D()); }

}  // namespace HWY_NAMESPACE
}  // namespace eqo
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eqo {
namespace {

HWY_EXPORT(additions);
HWY_EXPORT(multiplications);
HWY_EXPORT(lanes);

template <typename F>
double per_second(double operations, F f) {
  double best = 0;
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(f());
    best = std::max(best, operations / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

// Butterflies a second if nothing but the vector units limits them: 4 multiplications and on average 11.25 other
// operations each on a vector of them.
double butterfly_limit() {
  constexpr std::size_t kRounds = 20000;
  constexpr double kSteps = 12.0 * kRounds;
  const double multiplications = per_second(kSteps, [] { return HWY_DYNAMIC_DISPATCH(multiplications)(kRounds); });
  const double any = per_second(2 * kSteps, [] { return HWY_DYNAMIC_DISPATCH(additions)(kRounds); });
  return static_cast<double>(HWY_DYNAMIC_DISPATCH(lanes)()) / std::max(4 / multiplications, 15.25 / any);
}

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
  state.counters["limit/s"] = butterfly_limit();
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
#endif
