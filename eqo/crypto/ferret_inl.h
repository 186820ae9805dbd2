// Included by each kernel's source file, inside its anonymous namespace and its target options; no include guard. Needs
// <cstring>, expand_key() and ctr().

using CodeLanes = std::uint64_t __attribute__((vector_size(16)));

AesKey make_code_key() {
  AesKey key;
  expand_key(kCodeKey, key);
  return key;
}

const AesKey& code_key() {
  static const AesKey key = make_code_key();
  return key;
}

inline __attribute__((always_inline)) CodeLanes load_lanes(const void* p) {
  CodeLanes x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

constexpr std::size_t kCodeTile = 64;  // codewords whose positions are drawn at once

template <bool kBits>
inline __attribute__((always_inline)) void encode_by(const CodeRows& rows, const std::uint8_t* table, std::size_t n,
                                                     Block* inout, std::uint8_t* bits) {
  constexpr std::size_t kStride = kBits ? kCodeEntryBytes : sizeof(Block);
  alignas(64) Block random[2 * kCodeTile];
  const std::uint64_t mask = (std::uint64_t{1} << rows.log_k) - 1;
  for (std::size_t done = 0; done < n; done += kCodeTile) {
    const std::size_t m = n - done < kCodeTile ? n - done : kCodeTile;
    ctr(code_key(), Block{2 * (rows.first + done), rows.stream}, 2 * m, random);
    for (std::size_t i = 0; i < m; ++i) {
      const std::uint64_t w[4] = {random[2 * i].lo, random[2 * i].hi, random[2 * i + 1].lo, random[2 * i + 1].hi};
      Block* const to = inout + done + i;
      CodeLanes x = load_lanes(to), y{};
      unsigned bit = 0;
#pragma GCC unroll 10
      for (unsigned j = 0; j < kCodeLocality; ++j) {
        const std::uint8_t* const entry = table + (w[j / 3] >> (kCodeIndexBits * (j % 3)) & mask) * kStride;
        (j % 2 == 0 ? x : y) ^= load_lanes(entry);
        if (kBits) bit ^= entry[sizeof(Block)];
      }
      x ^= y;
      std::memcpy(static_cast<void*>(to), &x, sizeof x);
      if (kBits) bits[done + i] ^= static_cast<std::uint8_t>(bit);
    }
  }
}

void encode(const CodeRows& rows, const Block* table, std::size_t n, Block* inout) {
  encode_by<false>(rows, reinterpret_cast<const std::uint8_t*>(table), n, inout, nullptr);
}

void encode_with_bits(const CodeRows& rows, const std::uint8_t* table, std::size_t n, Block* inout,
                      std::uint8_t* bits) {
  encode_by<true>(rows, table, n, inout, bits);
}

// One node of each of the two trees.
using NodePair = std::uint64_t __attribute__((vector_size(32)));

void patch_nodes(Block* nodes, std::size_t n, const std::uint64_t* at, const Block* patch) {
  const NodePair where{at[0], at[0], at[1], at[1]};
  const NodePair by{patch[0].lo, patch[0].hi, patch[1].lo, patch[1].hi};
  NodePair y{};
  for (std::size_t i = 0; i < n; i += 2, y += 1) {
    NodePair x;
    std::memcpy(&x, nodes + i, sizeof x);
    x ^= reinterpret_cast<NodePair>(y == where) & by;
    std::memcpy(static_cast<void*>(nodes + i), &x, sizeof x);
  }
}
