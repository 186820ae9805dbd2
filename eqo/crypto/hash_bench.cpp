#include <benchmark/benchmark.h>

#include "eqo/crypto/hash.h"
#include "eqo/crypto/kernels.h"

namespace eqo {
namespace {

// Everything stays in the second-level cache: 256 KiB of output.
constexpr std::size_t kOut = 1 << 14;

void report(benchmark::State& state, std::size_t blocks) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * blocks * sizeof(Block)));
}

void hash_blocks_of(benchmark::State& state, const detail::Kernel& k) {
  Blocks in(kOut), out(kOut);
  std::uint64_t tweak = 0;
  for (auto _ : state) {
    k.hash(in.data(), kOut, 1, tweak += kOut, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  report(state, kOut);
}

void hash_expand_of(benchmark::State& state, const detail::Kernel& k) {
  const auto blocks = static_cast<std::size_t>(state.range(0));
  const std::size_t keys = kOut / blocks;
  Blocks in(keys), out(keys * blocks);
  std::uint64_t domain = 0;
  for (auto _ : state) {
    k.expand(in.data(), keys, ++domain, blocks, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  report(state, keys * blocks);
}

void aes_ctr_of(benchmark::State& state, const detail::Kernel& k) {
  detail::AesKey key;
  k.expand_key(Block{1, 2}, key);
  Blocks out(kOut);
  std::uint64_t counter = 0;
  for (auto _ : state) {
    k.ctr(key, Block{counter += kOut, 0}, kOut, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  report(state, kOut);
}

void leaf_sums_of(benchmark::State& state, const detail::Kernel& k) {
  const auto depth = static_cast<unsigned>(state.range(0));
  const std::size_t leaves = std::size_t{1} << depth;
  detail::AesKeys keys(leaves);
  for (std::size_t i = 0; i < leaves; ++i) k.expand_key(Block{i, 7}, keys[i]);
  Blocks all(64), rows(64 * depth);
  std::uint64_t counter = 0;
  for (auto _ : state) {
    k.leaf_sums(keys.data(), depth, true, counter += 64, 64, all.data(), rows.data(), 64);
    benchmark::DoNotOptimize(rows.data());
  }
  report(state, 64 * leaves);
}

void transpose_of(benchmark::State& state, const detail::Kernel& k) {
  Blocks rows(128 * 64), out(128 * 64);
  for (auto _ : state) {
    k.transpose(rows.data(), 64, 64, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  report(state, 128 * 64);
}

const int registered = [] {
  for (const detail::Kernel* k : detail::kernels()) {
    const std::string name = k->name;
    const auto add = [&](const char* what, auto f) {
      return benchmark::RegisterBenchmark((what + ("/" + name)).c_str(), [f, k](benchmark::State& s) { f(s, *k); });
    };
    add("hash_blocks", hash_blocks_of);
    for (const int blocks : {1, 2, 3, 4, 7, 16, 64, 100, 128, 1024}) add("hash_expand", hash_expand_of)->Arg(blocks);
    add("aes_ctr", aes_ctr_of);
    for (const int depth : {1, 2, 4, 8}) add("leaf_sums", leaf_sums_of)->Arg(depth);
    add("transpose", transpose_of);
  }
  return 0;
}();

}  // namespace
}  // namespace eqo
