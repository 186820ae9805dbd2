// These tests fork: each one runs while its process has a single thread.
#include "eqo/runtime/local.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "eqo/model/testing/small_models.h"
#include "eqo/model/types.h"
#include "eqo/net/testing/expect_error.h"
#include "eqo/runtime/child.h"
#include "eqo/runtime/runtime_testing.h"

namespace eqo {
namespace {

using namespace std::chrono_literals;
using testing::random_images;
using testing::random_offer;

TEST(Local, EveryStepIsVerifiedAndAnswersAreTheTwins) {
  for (std::uint64_t seed = 11; seed <= 16; ++seed) {
    SCOPED_TRACE("random_offer(" + std::to_string(seed) + ")");
    const Offer offer = random_offer(seed, seed % 2 == 0 ? Reveal::kLabel : Reveal::kLogits);
    const std::size_t count = seed % 3 + 2;
    const auto images = random_images(offer.model.plan, seed, count);
    LocalOptions options;
    options.verify = seed % 3 != 0;
    options.batch = static_cast<std::uint32_t>(1 + seed % 2);
    options.threads = 1 + seed % 2;
    if (seed % 2 == 1) options.prepare = 2 * options.batch;
    const LocalResult result = run_local(offer, images, count, options);
    EXPECT_EQ(result.client.report.prepared_bytes > 0, options.prepare > 0);
    EXPECT_EQ(result.client.prepared_batches, options.prepare > 0 ? result.client.batches : 0);
    std::vector<std::int64_t> answers;
    for (const auto& o : result.outputs) answers.insert(answers.end(), o.begin(), o.end());
    EXPECT_EQ(result.outputs.size(), count);
    EXPECT_EQ(answers, testing::expected_answers(offer.model, images, count));
    EXPECT_FALSE(result.difference.has_value());
    EXPECT_EQ(result.verified, std::vector<bool>(options.verify ? count : 0, true));
    EXPECT_EQ(result.client.images, count);
    EXPECT_EQ(result.server.images, count);
    EXPECT_EQ(first_difference(result.client.report, result.server.report), "");
    EXPECT_GT(result.client.report.online_bytes, 0U);
    EXPECT_EQ(result.client.report.layers.size(), offer.model.plan.nodes.size() + 7);
    EXPECT_GT(result.server.report.peak_rss_bytes, 0U);
  }
}

// The last two of four numbers, or those from `start` on.
Model slice_from(std::int64_t start) {
  Model model = testing::arg_max(4, 12);
  Node node;
  node.op = Op::kSlice;
  node.name = "slice";
  node.inputs = {0};
  node.start = {start, 0, 0};
  node.type.shape = {2, 1, 1};
  node.type = infer_type(node, std::vector{model.plan.nodes.front().type}, model.plan.input_bits);
  model.plan.nodes.back() = node;
  return model;
}

// The client is told another plan than the server's: same shapes and messages, but it slices elsewhere.
TEST(Local, ADifferenceIsFoundWhereItBegins) {
  Offer offer = make_offer(slice_from(2), {}, {}, Reveal::kLogits);
  const std::vector<Word> images{7, 7, 7, 7, 1, 2, 3, 4};
  LocalOptions options;
  options.verify = true;
  const LocalResult equal = run_local(offer, images, 2, options);
  EXPECT_FALSE(equal.difference.has_value());
  EXPECT_EQ(equal.outputs, (std::vector<std::vector<std::int64_t>>{{7, 7}, {3, 4}}));

  offer.plan_bytes = serialize_plan(slice_from(1).plan);
  const LocalResult result = run_local(offer, images, 2, options);
  ASSERT_TRUE(result.difference.has_value());
  EXPECT_EQ(result.difference->name, "slice");
  EXPECT_EQ(result.difference->element, 0U);
  EXPECT_EQ(result.difference->expected, 3U);
  EXPECT_EQ(result.difference->got, 2U);
  EXPECT_EQ(result.outputs, (std::vector<std::vector<std::int64_t>>{{7, 7}, {2, 3}}));
  EXPECT_EQ(result.verified, (std::vector<bool>{true, false}));
}

TEST(Local, ADifferentRingIsAProtocolError) {
  Offer offer = make_offer(testing::dot_product({1, 2}, 3, 16, 8), {}, {}, Reveal::kLogits);
  offer.plan_bytes = serialize_plan(testing::dot_product({1, 2}, 3, 24, 8).plan);
  LocalOptions options;
  options.verify = true;
  EQO_EXPECT_ERROR(run_local(offer, std::vector<Word>{1, 2}, 1, options), Category::kProtocol, "expected a length");
}

TEST(Local, BadCallsAreRefused) {
  const Offer offer = random_offer(12);
  const auto images = random_images(offer.model.plan, 1, 2);
  LocalOptions options;
  EQO_EXPECT_ERROR(run_local(offer, images, 0, options), Category::kUsage, "no image");
  EQO_EXPECT_ERROR(run_local(offer, images, 1, options), Category::kUsage, "input size");
  EQO_EXPECT_ERROR(run_local(offer, images, 3, options), Category::kUsage, "input size");
  EQO_EXPECT_ERROR(run_local(offer, std::span(images).first(1), 2, options), Category::kUsage, "input size");
  EQO_EXPECT_ERROR(run_local(offer, {}, std::uint64_t{1} << 40, options), Category::kUsage, "input size");
  options.batch = 0;
  EQO_EXPECT_ERROR(run_local(offer, images, 2, options), Category::kUsage, "at least one image");
}

TEST(Local, ThePartiesErrorsArriveWithTheirCategory) {
  Offer offer = random_offer(12);
  const auto images = random_images(offer.model.plan, 1, 2);
  offer.max_images = 1;
  EQO_EXPECT_ERROR(run_local(offer, images, 2, {}), Category::kPolicy, "1 images a session");
  offer.max_images = 0;
  offer.max_memory_bytes = 1;
  EQO_EXPECT_ERROR(run_local(offer, images, 2, {}), Category::kResource, "needs about");
  offer.max_memory_bytes = 0;
  LocalOptions options;
  options.threads = 5000;
  EQO_EXPECT_ERROR(run_local(offer, images, 2, options), Category::kUsage, "thread");
}

// --- The child processes below it ---

TEST(Child, BytesArriveInOrderWhateverTheirPieces) {
  constexpr std::size_t kSize = 3'000'000;  // more than a pipe holds, more than one frame
  Child child([](const Child::Pipe& pipe) {
    std::vector<std::byte> data(kSize);
    for (std::size_t i = 0; i < kSize; ++i) data[i] = static_cast<std::byte>(i * 7);
    pipe.write(std::span(data).first(5));
    pipe.write({});
    pipe.write(std::span(data).subspan(5));
  });
  std::vector<std::byte> got(kSize);
  std::size_t at = 0;
  for (std::size_t step = 1; at < kSize; at += step, step = std::min(step * 3, kSize - at))
    ASSERT_TRUE(child.read(std::span(got).subspan(at, step)));
  for (std::size_t i = 0; i < kSize; ++i) ASSERT_EQ(got[i], static_cast<std::byte>(i * 7)) << i;
  std::byte more{};
  EXPECT_FALSE(child.read(std::span(&more, 1)));
  child.finish();
}

TEST(Child, ErrorsCrossWithCategoryMessageAndHint) {
  Child child([](const Child::Pipe& pipe) {
    pipe.write(Bytes(3));
    throw data_error("no such pixel", "look again");
  });
  Bytes got(4);
  EXPECT_FALSE(child.read(got));
  try {
    child.finish();
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kData);
    EXPECT_STREQ(e.what(), "no such pixel");
    EXPECT_EQ(e.hint(), "look again");
  }
}

TEST(Child, OtherEndsAreErrorsToo) {
  const auto ends_with = [](const std::function<void()>& f) {
    Child child([&](const Child::Pipe&) { f(); });
    child.finish();
  };
  EQO_EXPECT_ERROR(ends_with([] { ::raise(SIGKILL); }), Category::kInternal, "signal 9");
  EQO_EXPECT_ERROR(ends_with([] { ::_exit(3); }), Category::kInternal, "failed");
  EQO_EXPECT_ERROR(ends_with([] { throw std::bad_alloc(); }), Category::kResource, "out of memory");
  EQO_EXPECT_ERROR(ends_with([] { throw std::runtime_error("what now"); }), Category::kInternal, "what now");
  EXPECT_NO_THROW(ends_with([] {}));
}

TEST(Child, OneThatStillRunsIsKilledWithItsOwner) {
  const auto start = std::chrono::steady_clock::now();
  {
    const Child child([](const Child::Pipe&) { ::pause(); });
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

}  // namespace
}  // namespace eqo
