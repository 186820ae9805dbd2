#include "eqo/planner/exec_options.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/net/testing/expect_error.h"

namespace eqo {
namespace {

TEST(ExecOptions, AllValuesSurviveTheirBytes) {
  for (unsigned k = 1; k <= 8; ++k)
    for (unsigned leaf = 1; leaf <= 8; ++leaf)
      for (unsigned extra = 0; extra <= 8; ++extra) {
        ExecOptions o;
        o.ot.softspoken_k = k;
        o.compare.leaf_bits = leaf;
        o.compare.extra_levels = extra;
        const Bytes bytes = serialize(o);
        ASSERT_EQ(bytes.size(), kExecOptionsBytes);
        EXPECT_EQ(parse_exec_options(bytes), o);
      }
}

TEST(ExecOptions, EveryOtherFourBytesAreRefused) {
  const Bytes good = serialize(ExecOptions{});
  for (std::size_t at = 0; at < kExecOptionsBytes; ++at)
    for (unsigned value = 0; value < 256; ++value) {
      Bytes bytes = good;
      bytes[at] = static_cast<std::byte>(value);
      const bool allowed = at == 0 ? value == 1 : at == 3 ? value <= 8 : value >= 1 && value <= 8;
      if (allowed) {
        EXPECT_EQ(serialize(parse_exec_options(bytes)), bytes);
      } else {
        EQO_EXPECT_ERROR(parse_exec_options(bytes), Category::kProtocol, "session parameters");
      }
    }
}

TEST(ExecOptions, OtherLengthsAreRefused) {
  for (std::size_t n = 0; n < 100; ++n)
    if (n != kExecOptionsBytes) {
      EQO_EXPECT_ERROR(parse_exec_options(Bytes(n, std::byte{1})), Category::kProtocol, "unknown kind");
    }
}

}  // namespace
}  // namespace eqo
