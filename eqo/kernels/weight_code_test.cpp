#include "eqo/kernels/weight_code.h"

#include <gtest/gtest.h>

#include "eqo/core/error.h"
#include "eqo/core/ring.h"

namespace eqo {
namespace {

TEST(WeightCode, TwosComplement) {
  for (unsigned bits = 1; bits <= 16; ++bits) {
    const WeightCode code = WeightCode::twos_complement(bits);
    code.validate();
    for (unsigned c = 0; c < 1U << bits; ++c) ASSERT_EQ(code.value(c), Ring(bits).to_signed(c)) << bits;
    EXPECT_EQ(code.min_value(), -(std::int64_t{1} << (bits - 1)));
    EXPECT_EQ(code.max_value(), (std::int64_t{1} << (bits - 1)) - 1);
  }
  EXPECT_THROW(WeightCode::twos_complement(0), Error);
  EXPECT_THROW(WeightCode::twos_complement(17), Error);
}

TEST(WeightCode, SymmetricCodeWithOffsetAndShift) {
  const WeightCode code{{1, 2}, {1, 1}, -3, 4};
  code.validate();
  EXPECT_EQ(code.value(0), -3 * 16);
  EXPECT_EQ(code.value(1), -1 * 16);
  EXPECT_EQ(code.value(2), 1 * 16);
  EXPECT_EQ(code.value(3), 3 * 16);
  EXPECT_EQ(code.value(7), 3 * 16) << "bits beyond the width are ignored";
  EXPECT_EQ(code.place(1), 6U);
}

TEST(WeightCode, RefusesWhatIsOutOfBounds) {
  auto category = [](const WeightCode& code) {
    try {
      code.validate();
    } catch (const Error& e) {
      return e.category();
    }
    return Category::kInternal;
  };
  constexpr std::int64_t kTooFar = std::int64_t{1} << 31;
  EXPECT_NO_THROW((WeightCode{{0, 31}, {1, -1}, kTooFar - 1, 0}).validate());
  EXPECT_EQ(category({}), Category::kModel);
  EXPECT_EQ(category({std::vector<std::uint8_t>(17), std::vector<std::int8_t>(17, 1), 0, 0}), Category::kModel);
  EXPECT_EQ(category({{0, 1}, {1}, 0, 0}), Category::kModel);
  EXPECT_EQ(category({{2, 1}, {1, 1}, 0, 0}), Category::kModel);
  EXPECT_EQ(category({{32}, {1}, 0, 0}), Category::kModel);
  EXPECT_EQ(category({{1}, {0}, 0, 0}), Category::kModel);
  EXPECT_EQ(category({{1}, {1}, kTooFar, 0}), Category::kModel);
  EXPECT_EQ(category({{1}, {1}, -kTooFar, 0}), Category::kModel);
  EXPECT_EQ(category({{1}, {1}, 0, 32}), Category::kModel);
  EXPECT_EQ(category({{31}, {1}, 0, 31}), Category::kModel);
}

}  // namespace
}  // namespace eqo
