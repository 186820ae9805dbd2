#include "eqo/planner/ot_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "eqo/net/testing/expect_error.h"

namespace eqo {
namespace {

using Need = OtSchedule::Need;

// What a pool holds while it follows the schedule.
struct Pool {
  Need left{}, made{}, most{};
  void make(const Need& n) {
    for (std::size_t p = 0; p < 2; ++p) {
      left[p] += n[p];
      made[p] += n[p];
      most[p] = std::max(most[p], left[p]);
    }
  }
  void take(const Need& n) {
    for (std::size_t p = 0; p < 2; ++p) {
      ASSERT_LE(n[p], left[p]) << "short of COTs";
      left[p] -= n[p];
    }
  }
};

Need sum(const std::vector<Need>& all) {
  Need s{};
  for (const Need& n : all)
    for (std::size_t p = 0; p < 2; ++p) s[p] += n[p];
  return s;
}

TEST(OtSchedule, NeverShortNeverWastefulNeverTooFarAhead) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const auto steps = [&] {
      std::vector<Need> all(random() % 30);
      for (Need& n : all)
        for (std::size_t p = 0; p < 2; ++p)
          n[p] = random() % 3 == 0 ? 0 : random() % (random() % 9 == 0 ? 3 * OtSchedule::kMostAhead : 100'000);
      return all;
    };
    OtSchedule schedule;
    Pool pool;
    Need wanted{};
    const auto run = [&](const std::vector<Need>& all, const Need& ahead) {
      schedule.begin(all, ahead);
      for (std::size_t i = 0; i < all.size(); ++i) {
        pool.make(schedule.before(i));
        for (std::size_t p = 0; p < 2; ++p) EXPECT_LE(pool.left[p], std::max(OtSchedule::kMostAhead, all[i][p]));
        pool.take(all[i]);
        for (std::size_t p = 0; p < 2; ++p) wanted[p] += all[i][p];
      }
      pool.make(schedule.finish());
      for (std::size_t p = 0; p < 2; ++p) {
        EXPECT_GE(pool.left[p], std::min(ahead[p], OtSchedule::kMostAhead));
        EXPECT_LE(pool.made[p], wanted[p] + ahead[p]) << "more than will ever be needed";
      }
    };
    const std::vector<Need> first_batch = steps();
    const Need ahead = random() % 2 == 0 ? sum(first_batch) : Need{};
    run(steps(), ahead);
    run(first_batch, {});
    run(steps(), {});
    EXPECT_EQ(pool.made, wanted);
    EXPECT_EQ(pool.left, Need{});
    EXPECT_GE(schedule.most_held(), pool.most[0] + pool.most[1]);
  }
}

// A step that needs more than is ever made ahead: what was made ahead is moved to a larger buffer, beside the old one.
TEST(OtSchedule, WhatIsLeftIsHeldTwiceWhileItMoves) {
  constexpr std::uint64_t kMost = OtSchedule::kMostAhead;
  OtSchedule schedule;
  schedule.begin({{10, 0}, {2 * kMost, 0}});
  EXPECT_EQ(schedule.before(0), (Need{kMost, 0}));
  EXPECT_EQ(schedule.most_held(), kMost);
  EXPECT_EQ(schedule.before(1), (Need{kMost + 10, 0}));
  EXPECT_EQ(schedule.most_held(), 3 * kMost);
}

// What was prepared is there when its steps come, and nobody else took of it.
TEST(OtSchedule, PreparedNeedsAreKept) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const auto steps = [&] {
      std::vector<Need> all(random() % 10);
      for (Need& n : all)
        for (std::size_t p = 0; p < 2; ++p)
          n[p] = random() % 3 == 0 ? 0 : random() % (random() % 9 == 0 ? 3 * OtSchedule::kMostAhead : 100'000);
      return all;
    };
    OtSchedule schedule;
    Pool pool;
    Need kept{}, wanted{};
    std::vector<std::vector<Need>> prepared;
    const auto run = [&](const std::vector<Need>& all) {
      schedule.begin(all);
      for (std::size_t i = 0; i < all.size(); ++i) {
        pool.make(schedule.before(i));
        pool.take(all[i]);
        for (std::size_t p = 0; p < 2; ++p) {
          wanted[p] += all[i][p];
          EXPECT_GE(pool.left[p], kept[p]);
        }
      }
      pool.make(schedule.finish());
    };
    for (int turn = 0; turn < 8; ++turn) {
      if (random() % 2 == 0) {
        prepared.push_back(steps());
        const Need need = sum(prepared.back());
        const Need before = pool.left;
        pool.make(schedule.prepare(need));
        for (std::size_t p = 0; p < 2; ++p) {
          kept[p] += need[p];
          EXPECT_EQ(pool.left[p], std::max(before[p], kept[p]));
        }
      } else if (random() % 2 == 0 && !prepared.empty()) {
        const std::vector<Need> all = prepared.front();
        prepared.erase(prepared.begin());
        const Need need = sum(all), made = pool.made;
        schedule.release(need);
        for (std::size_t p = 0; p < 2; ++p) kept[p] -= need[p];
        run(all);
        EXPECT_EQ(pool.made, made) << "a prepared sequence reserves nothing";
      } else {
        run(steps());
      }
    }
    for (std::size_t p = 0; p < 2; ++p) EXPECT_EQ(pool.left[p], pool.made[p] - wanted[p]);
    EXPECT_EQ(pool.left, kept);
    kept[0] += 1;
    EQO_EXPECT_ERROR(schedule.release(kept), Category::kInternal, "more is released");
  }
}

TEST(OtSchedule, WhatFitsIsMadeInOneGo) {
  OtSchedule schedule;
  schedule.begin({{1, 0}, {0, 2}, {3, 4}}, {5, 6});
  EXPECT_EQ(schedule.before(0), (Need{9, 12}));
  EXPECT_EQ(schedule.before(1), Need{});
  EXPECT_EQ(schedule.before(2), Need{});
  EXPECT_EQ(schedule.finish(), Need{});
  schedule.begin({{5, 6}});
  EXPECT_EQ(schedule.before(0), Need{});
  schedule.begin({{1, 0}});
  EXPECT_EQ(schedule.before(0), (Need{1, 0}));
}

TEST(OtSchedule, StepsThatAreNotThere) {
  OtSchedule schedule;
  schedule.begin({{1, 1}});
  EQO_EXPECT_ERROR(schedule.before(1), Category::kInternal, "no such step");
}

}  // namespace
}  // namespace eqo
