#include "eqo/planner/exec_options.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/net/testing/expect_error.h"

namespace eqo {
namespace {

TEST(ExecOptions, AllValuesSurviveTheirBytes) {
  for (unsigned k = 1; k <= 8; ++k)
    for (unsigned levels = 1; levels <= 8; ++levels)
      for (const unsigned prefetch : {0U, 1U, 255U}) {
        ExecOptions o;
        o.ot.kind = levels % 2 == 0 ? OtKind::kSilent : OtKind::kSoftSpoken;
        o.ot.softspoken_k = k;
        o.ot.silent_set = {static_cast<std::uint8_t>(k % 4), static_cast<std::uint8_t>(levels % 4)};
        o.compare.levels = levels;
        o.prefetch = static_cast<std::uint8_t>(prefetch);
        o.framework = kFrameworks[(k + levels) % kFrameworks.size()];
        o.he = {5 * k, 27 * levels};
        const Bytes bytes = serialize(o);
        ASSERT_EQ(bytes.size(), kExecOptionsBytes);
        EXPECT_EQ(parse_exec_options(bytes), o);
      }
}

TEST(ExecOptions, EveryOtherByteIsRefused) {
  const Bytes good = serialize(ExecOptions{});
  for (std::size_t at = 0; at < kExecOptionsBytes; ++at)
    for (unsigned value = 0; value < 256; ++value) {
      Bytes bytes = good;
      bytes[at] = static_cast<std::byte>(value);
      const bool allowed = at == 0              ? value <= static_cast<unsigned>(OtKind::kSilent)
                           : at == 2 || at == 3 ? value < 4
                           : at == 5            ? true
                           : at == 6            ? value < kFrameworks.size()
                           : at == 7            ? value <= 40
                           : at == 8            ? value <= 218
                                                : value >= 1 && value <= 8;
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
