#include "eqo/kernels/masked_rows.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace eqo {
namespace {

template <typename L>
class MaskedRows : public ::testing::Test {};
using LaneTypes = ::testing::Types<std::uint16_t, std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(MaskedRows, LaneTypes);

// Pads of one key cancel: the server's sum minus the client's is the sum of the selected rows.
TYPED_TEST(MaskedRows, SelectedRowsRemain) {
  using L = TypeParam;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 rng(seed);
    const std::size_t rows = 1 + rng() % 9, cols = 1 + rng() % 70, stride = cols + rng() % 8;
    auto random = [&](std::size_t n) {
      std::vector<L> x(n);
      for (L& e : x) e = static_cast<L>(rng());
      return x;
    };
    const auto pad0 = random(rows * stride), pad1 = random(rows * stride), v = random(rows * cols);
    std::vector<std::uint16_t> codes(rows);
    for (auto& c : codes) c = static_cast<std::uint16_t>(rng());
    const auto bit = static_cast<unsigned>(rng() % 16);
    const std::vector<L> start = random(cols);
    std::vector<L> message(rows * cols), client = start, server = start, select(rows), known(rows * stride);
    mask_rows(rows, cols, pad0.data(), pad1.data(), stride, v.data(), message.data(), client.data());
    bit_masks(rows, codes.data(), bit, select.data());
    for (std::size_t i = 0; i < known.size(); ++i) known[i] = (codes[i / stride] >> bit) & 1 ? pad1[i] : pad0[i];
    select_rows(rows, cols, known.data(), stride, message.data(), select.data(), server.data());
    for (std::size_t t = 0; t < cols; ++t) {
      L want = 0, pads = start[t];
      for (std::size_t r = 0; r < rows; ++r) {
        if ((codes[r] >> bit) & 1) want = static_cast<L>(want + v[r * cols + t]);
        pads = static_cast<L>(pads + pad0[r * stride + t]);
      }
      ASSERT_EQ(client[t], pads) << "seed " << seed;
      ASSERT_EQ(static_cast<L>(server[t] - client[t]), want) << "seed " << seed;
    }
  }
}

TYPED_TEST(MaskedRows, AddShifted) {
  using L = TypeParam;
  std::mt19937_64 rng(5);
  std::vector<L> sum(37);
  for (L& e : sum) e = static_cast<L>(rng());
  for (unsigned shift : {0, 1, 13, 31})
    for (bool negative : {false, true}) {
      std::vector<std::uint32_t> a(37, 77);
      std::vector<std::uint64_t> b(37, 77);
      add_shifted(37, sum.data(), shift, negative, a.data());
      add_shifted(37, sum.data(), shift + 32, negative, b.data());
      for (std::size_t t = 0; t < 37; ++t) {
        const std::uint64_t x = sum[t];
        ASSERT_EQ(a[t], static_cast<std::uint32_t>(77 + (negative ? 0 - (x << shift) : x << shift)));
        ASSERT_EQ(b[t], 77 + (negative ? 0 - (x << (shift + 32)) : x << (shift + 32)));
      }
    }
}

}  // namespace
}  // namespace eqo
