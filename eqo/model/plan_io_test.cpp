#include "eqo/model/plan_io.h"

#include <gtest/gtest.h>

#include <random>

#include "eqo/core/error.h"
#include "eqo/model/testing/random_model.h"
#include "eqo/model/testing/small_models.h"

namespace eqo {
namespace {

constexpr std::uint64_t kPlans = 400;
constexpr int kMutations = 10000;

std::span<const std::byte> view(const std::string& s) { return std::as_bytes(std::span(s)); }

// Parsed, or refused as a model error; anything else fails the test. A plan of this version has the bytes that it was
// parsed from.
bool parses(const std::string& bytes) {
  try {
    const PublicPlan plan = parse_plan(view(bytes));
    const bool newer = bytes[2] != static_cast<char>(kPlanMinor) || bytes[3] != 0;
    EXPECT_TRUE(newer || serialize_plan(plan) == bytes);
    return true;
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kModel) << e.what();
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return false;
  }
}

TEST(PlanIo, RoundTripIsCanonical) {
  for (std::uint64_t seed = 0; seed < kPlans; ++seed) {
    SCOPED_TRACE(seed);
    const PublicPlan plan = testing::random_model(seed).plan;
    const std::string bytes = serialize_plan(plan);
    const PublicPlan again = parse_plan(view(bytes));
    EXPECT_TRUE(serialize_plan(again) == bytes);
    ASSERT_EQ(again.nodes.size(), plan.nodes.size());
    for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
      const Node &a = plan.nodes[i], &b = again.nodes[i];
      EXPECT_TRUE(a.op == b.op && a.name == b.name && a.layer == b.layer && a.inputs == b.inputs && a.type == b.type);
      EXPECT_TRUE(a.window == b.window && a.groups == b.groups && a.domain == b.domain && a.codes == b.codes);
      EXPECT_TRUE(a.shift == b.shift && a.input_shifts == b.input_shifts && a.input_signs == b.input_signs);
      EXPECT_TRUE(a.constant == b.constant && a.pad_before == b.pad_before && a.pad_after == b.pad_after);
      EXPECT_TRUE(a.start == b.start && a.step == b.step && a.activation_bits == b.activation_bits);
      EXPECT_TRUE(a.relu == b.relu && a.method == b.method);
    }
    EXPECT_TRUE(plan.name == again.name && plan.output == again.output && plan.preprocess == again.preprocess);
    EXPECT_TRUE(plan.input_scale == again.input_scale && plan.input_bits == again.input_bits);
    EXPECT_TRUE(plan.output_scale == again.output_scale && plan.classes == again.classes);
    EXPECT_EQ(plan.leakage, again.leakage);
  }
}

TEST(PlanIo, EveryFieldChangesTheDigest) {
  const PublicPlan plan = testing::random_model(17).plan;
  const Digest digest = plan_digest(plan);
  const auto changed = [&](const std::function<void(PublicPlan&)>& change) {
    PublicPlan other = plan;
    change(other);
    return plan_digest(other) != digest;
  };
  EXPECT_TRUE(changed([](PublicPlan& p) { p.name += "x"; }));
  EXPECT_TRUE(changed([](PublicPlan& p) { p.nodes[1].name += "x"; }));
  EXPECT_TRUE(changed([](PublicPlan& p) { p.nodes[1].layer += "x"; }));
  EXPECT_TRUE(changed([](PublicPlan& p) { p.nodes[0].activation_bits = 5; }));
  EXPECT_TRUE(changed([](PublicPlan& p) { p.input_scale *= 2; }));
  EXPECT_TRUE(changed([](PublicPlan& p) { p.output_scale *= 2; }));
  EXPECT_TRUE(changed([](PublicPlan& p) { p.leakage += "x"; }));
}

TEST(PlanIo, CutAnywhereIsRefused) {
  const std::string bytes = serialize_plan(testing::random_model(5).plan);
  for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(parses(bytes.substr(0, n))) << n;
  EXPECT_FALSE(parses(bytes + '\0'));
  EXPECT_FALSE(parses(bytes + bytes));
}

TEST(PlanIo, OneFlippedBitNeverCrashes) {
  const std::string bytes = serialize_plan(testing::dot_product({1, 2}, 0, 12, 8).plan);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = bytes;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      parses(bad);
    }
  }
}

TEST(PlanIo, RandomMutationsNeverCrash) {
  std::mt19937_64 random(2024);
  int accepted = 0;
  for (int i = 0; i < kMutations; ++i) {
    SCOPED_TRACE(i);
    std::string bytes = serialize_plan(testing::random_model(random() % 50).plan);
    for (std::uint64_t n = random() % 4; n < 4; ++n) {
      const std::size_t at = random() % bytes.size();
      switch (random() % 5) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, random() % 16 + 1);
          break;
        case 2:
          bytes.insert(at, random() % 16 + 1, static_cast<char>(random()));
          break;
        case 3:
          for (std::size_t j = at; j < std::min(at + 4, bytes.size()); ++j) bytes[j] = static_cast<char>(0xFF);
          break;
        default:
          bytes.insert(at, bytes.substr(random() % bytes.size(), 40));
      }
      if (bytes.empty()) break;
    }
    accepted += parses(bytes) ? 1 : 0;
  }
  EXPECT_LT(accepted, kMutations / 4);  // most damage is seen
}

TEST(PlanIo, HugeCountsAreRefusedBeforeAnythingIsAllocated) {
  // version 1.0, an empty name, 2^32 - 1 steps.
  const std::string bytes("\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff", 12);
  EXPECT_FALSE(parses(bytes));
}

TEST(PlanIo, VersionsAreChecked) {
  std::string bytes = serialize_plan(testing::random_model(5).plan);
  bytes[0] = 2;
  try {
    parse_plan(view(bytes));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kModel);
    EXPECT_NE(std::string(e.what()).find("version 2."), std::string::npos);
  }
}

// A newer minor version may end its records with fields that we do not know.
TEST(PlanIo, NewerMinorVersionsAreRead) {
  const PublicPlan plan = testing::random_model(5).plan;
  std::string bytes = serialize_plan(plan);
  bytes[2] = static_cast<char>(kPlanMinor + 1);
  EXPECT_EQ(plan_digest(parse_plan(view(bytes))), plan_digest(plan));
  const std::size_t record = 4 + 4 + plan.name.size() + 4;  // the first node's length
  std::string longer = bytes;
  longer[record] = static_cast<char>(longer[record] + 3);
  longer.insert(
      record + 4 + static_cast<unsigned char>(bytes[record]) + 256U * static_cast<unsigned char>(bytes[record + 1]),
      "new");
  EXPECT_EQ(plan_digest(parse_plan(view(longer))), plan_digest(plan));
  longer[2] = static_cast<char>(kPlanMinor);
  EXPECT_FALSE(parses(longer));
}

TEST(PlanIo, RefusesToWriteAnInvalidPlan) {
  PublicPlan plan = testing::random_model(5).plan;
  plan.nodes[1].name = plan.nodes[0].name;
  EXPECT_THROW(serialize_plan(plan), Error);
}

TEST(Digest, Sha256KnownAnswerAndHex) {
  // FIPS 180-2, appendix B.1.
  const std::string hex = to_hex(sha256(view("abc")));
  EXPECT_EQ(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_from_hex(hex), sha256(view("abc")));
  for (const std::string& bad : {hex.substr(1), hex + "0", "g" + hex.substr(1), std::string()}) {
    try {
      digest_from_hex(bad);
      ADD_FAILURE();
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), Category::kUsage);
    }
  }
}

}  // namespace
}  // namespace eqo
