// Included by each kernel's source file, inside its anonymous namespace and its target options; no include guard.
// Needs <cstring>, kernels.h and kLaneBytes, the width of a vector register.

using WideLanes = std::uint64_t __attribute__((vector_size(kLaneBytes)));
using BlockLanes = std::uint64_t __attribute__((vector_size(16)));

// Swaps the upper bits (mask << shift) of a with the lower ones (mask) of b.
template <int kShift, typename L>
inline __attribute__((always_inline)) void swap_bits(L& a, L& b) {
  constexpr std::uint64_t kMask = kShift == 32   ? 0x00000000ffffffff
                                  : kShift == 16 ? 0x0000ffff0000ffff
                                  : kShift == 8  ? 0x00ff00ff00ff00ff
                                  : kShift == 4  ? 0x0f0f0f0f0f0f0f0f
                                  : kShift == 2  ? 0x3333333333333333
                                                 : 0x5555555555555555;
  const L t = ((a >> kShift) ^ b) & kMask;
  b ^= t;
  a ^= t << kShift;
}

// Three of the six butterfly levels on eight rows.
template <int kShift, typename L>
inline __attribute__((always_inline)) void butterfly(L* r) {
  for (int i = 0; i < 4; ++i) swap_bits<4 * kShift>(r[i], r[i + 4]);
  for (int i = 0; i < 8; i += 4) {
    swap_bits<2 * kShift>(r[i], r[i + 2]);
    swap_bits<2 * kShift>(r[i + 1], r[i + 3]);
  }
  for (int i = 0; i < 8; i += 2) swap_bits<kShift>(r[i], r[i + 1]);
}

// sizeof(L) * 8 columns at once: 64 x 64 transposes, one in each lane, of rows 0..63 and of rows 64..127.
template <typename L>
inline __attribute__((always_inline)) void transpose_tile(const Block* rows, std::size_t stride, Block* out) {
  constexpr std::size_t kLanes = sizeof(L) / 8;
  L a[128];
  for (std::size_t half = 0; half < 128; half += 64) {
    for (std::size_t i = 0; i < 8; ++i) {
      L r[8];
      for (std::size_t j = 0; j < 8; ++j) std::memcpy(&r[j], rows + (half + i + 8 * j) * stride, sizeof(L));
      butterfly<8>(r);
      for (std::size_t j = 0; j < 8; ++j) a[half + i + 8 * j] = r[j];
    }
    for (std::size_t i = 0; i < 64; i += 8) butterfly<1>(a + half + i);
  }
  for (std::size_t c = 0; c < 64; ++c) {
    for (std::size_t l = 0; l < kLanes; ++l) out[l * 64 + c] = Block{a[c][l], a[64 + c][l]};
  }
  explicit_bzero(static_cast<void*>(a), sizeof a);
}

void transpose(const Block* rows, std::size_t stride, std::size_t columns, Block* out) {
  constexpr std::size_t kStep = sizeof(WideLanes) / sizeof(Block);
  std::size_t c = 0;
  for (; c + kStep <= columns; c += kStep) transpose_tile<WideLanes>(rows + c, stride, out + c * 128);
  for (; c < columns; ++c) transpose_tile<BlockLanes>(rows + c, stride, out + c * 128);
}
