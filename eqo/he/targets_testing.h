#pragma once
#include <gtest/gtest.h>

#include <functional>

#include "eqo/he/ntt.h"
#include "hwy/highway.h"

namespace eqo {

// Runs `test` with each instruction set that this processor has.
inline void on_every_target(const std::function<void()>& test) {
  const auto all = hwy::SupportedTargets();
  for (auto left = all; left != 0; left &= left - 1) {
    const auto target = left & -left;
    if ((HWY_TARGETS & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    EXPECT_STREQ(ntt_target_name(), hwy::TargetName(target));
    SCOPED_TRACE(ntt_target_name());
    test();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace eqo
