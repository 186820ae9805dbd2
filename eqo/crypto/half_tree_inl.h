// Included by each x86 kernel's source file behind aes_inl.h; no include guard. Needs Vec::swap: the halves of each
// block exchanged.

AesKey make_tree_key() {
  AesKey key;
  expand_key(kTreeKey, key);
  return key;
}

const AesKey& tree_key() {
  static const AesKey key = make_tree_key();
  return key;
}

constexpr std::size_t kParities = kB == 1 ? 2 : 1;  // vectors that hold one node of each tree

template <std::size_t kN>
inline __attribute__((always_inline)) void half_tree_step(const V* rk, V upper, Block* nodes, std::size_t n, V* sum) {
  V a[kN], x[kN];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kN; ++i) {
    const V node = Vec::load(nodes + i * kB);
    a[i] = Vec::exor(Vec::swap(node), Vec::conj(node, upper));
    x[i] = a[i];
  }
  encrypt<kN>(rk, x);
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kN; ++i) {
    const V h = Vec::exor(x[i], a[i]);
    Vec::store(nodes + n + i * kB, Vec::exor(h, Vec::load(nodes + i * kB)));
    Vec::store(nodes + i * kB, h);
    sum[i % kParities] = Vec::exor(sum[i % kParities], h);
  }
}

void half_tree_level(Block* nodes, std::size_t n, Block* sums) {
  V rk[11];
  broadcast_key(tree_key(), rk);
  const Block upper_half{0, ~std::uint64_t{0}};
  const V upper = Vec::broadcast(&upper_half);
  V sum[kParities];
  for (V& s : sum) s = Vec::fill(0);
  std::size_t y = 0;
  for (; y + kWide * kB <= n; y += kWide * kB) half_tree_step<kWide>(rk, upper, nodes + y, n, sum);
  for (; y < n; y += kParities * kB) half_tree_step<kParities>(rk, upper, nodes + y, n, sum);
  alignas(64) Block parts[kParities * kB];
  for (std::size_t i = 0; i < kParities; ++i) Vec::store(parts + i * kB, sum[i]);
  for (std::size_t j = 0; j < 2; ++j) {
    sums[j] = Block{};
    for (std::size_t i = j; i < kParities * kB; i += 2) sums[j] ^= parts[i];
  }
}
