#include <benchmark/benchmark.h>

#include <numeric>
#include <random>

#include "eqo/he/he_cipher.h"
#include "eqo/he/he_ring.h"
#include "eqo/he/sampling.h"

namespace eqo {
namespace {

// One convolution of ResNet-32's first stage: 6 ciphertexts of 3 channels each, 16 results of 1024 coefficients.
struct Layer {
  HeParams params = make_he_params({.ring_bits = 14,
                                    .folded_outputs = 1,
                                    .input_channels = 16,
                                    .kernel_area = 9,
                                    .max_weight = 8,
                                    .log_revealed = 18,
                                    .min_degree = 4096,
                                    .min_modulus_bits = 0});
  static constexpr std::size_t kInputs = 6, kOutputs = 16;
  std::shared_ptr<const HeRing> ring = make_he_ring(params);
  Prg prg = Prg::from_os();
  HeClientKey key{ring, prg};
  HePublicKey public_key{ring, key.public_key(prg)};
  Words messages = Words(kInputs * params.degree, 77);
  std::vector<std::uint32_t> needed = std::vector<std::uint32_t>(1024);
  Words mask = Words(1024, 5);
  std::vector<std::int32_t> weights = std::vector<std::int32_t>(params.degree, 0);
  std::vector<HeTerm> terms;

  Layer() {
    std::iota(needed.begin(), needed.end(), 1000);
    for (std::size_t i = 0; i < 24; ++i) weights[i * 30] = static_cast<std::int32_t>(i % 15) - 7;
    for (std::uint32_t i = 0; i < kInputs; ++i) terms.push_back({i, i});
  }
};

void per_item(benchmark::State& state, std::size_t items) {
  state.counters["s/item"] = benchmark::Counter(
      static_cast<double>(items), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void client_encrypts(benchmark::State& state) {
  Layer layer;
  for (auto _ : state) benchmark::DoNotOptimize(layer.key.encrypt(layer.params, layer.messages, layer.prg));
  per_item(state, Layer::kInputs);
}
BENCHMARK(client_encrypts);

void server_reads(benchmark::State& state) {
  Layer layer;
  const Bytes bytes = layer.key.encrypt(layer.params, layer.messages, layer.prg);
  for (auto _ : state) benchmark::DoNotOptimize(HeInputs(*layer.ring, Layer::kInputs, bytes));
  per_item(state, Layer::kInputs);
}
BENCHMARK(server_reads);

void server_prepares_weights(benchmark::State& state) {
  Layer layer;
  for (auto _ : state) {
    HeWeights weights(layer.ring);
    benchmark::DoNotOptimize(weights.add(layer.weights));
  }
  per_item(state, 1);
}
BENCHMARK(server_prepares_weights);

void server_answers(benchmark::State& state) {
  Layer layer;
  const HeInputs inputs(*layer.ring, Layer::kInputs, layer.key.encrypt(layer.params, layer.messages, layer.prg));
  HeWeights weights(layer.ring);
  for (std::size_t i = 0; i < Layer::kInputs; ++i) weights.add(layer.weights);
  for (auto _ : state)
    benchmark::DoNotOptimize(
        he_answer(layer.params, layer.public_key, inputs, weights, layer.terms, layer.needed, layer.mask, layer.prg));
  per_item(state, 1);
}
BENCHMARK(server_answers);

void client_decrypts(benchmark::State& state) {
  Layer layer;
  const HeInputs inputs(*layer.ring, Layer::kInputs, layer.key.encrypt(layer.params, layer.messages, layer.prg));
  HeWeights weights(layer.ring);
  for (std::size_t i = 0; i < Layer::kInputs; ++i) weights.add(layer.weights);
  const Bytes answer =
      he_answer(layer.params, layer.public_key, inputs, weights, layer.terms, layer.needed, layer.mask, layer.prg);
  for (auto _ : state) benchmark::DoNotOptimize(layer.key.decrypt(layer.params, answer, layer.needed));
  per_item(state, 1);
}
BENCHMARK(client_decrypts);

void tables(benchmark::State& state) {
  const Layer layer;
  for (auto _ : state) benchmark::DoNotOptimize(make_he_ring(layer.params));
}
BENCHMARK(tables);

template <SmallPolynomial (*Sample)(Prg&, std::size_t)>
void sample(benchmark::State& state) {
  Prg prg = Prg::from_os();
  for (auto _ : state) benchmark::DoNotOptimize(Sample(prg, 4096));
}
BENCHMARK(sample<sample_ternary>);
BENCHMARK(sample<sample_error>);

}  // namespace
}  // namespace eqo
