#include "eqo/planner/run_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "eqo/model/testing/random_model.h"
#include "eqo/net/testing/expect_error.h"

namespace eqo {
namespace {

RunReport report_of(std::uint64_t seed, std::uint64_t batch = 1, bool prepared = false) {
  const PublicPlan plan = testing::random_model(seed).plan;
  Cost handshake;
  handshake.bytes = {1000, 88};
  handshake.flights = kHandshakeFlights;
  SessionPlan session(plan, {});
  if (prepared) session.prepare(batch);
  return planned_report(plan, session.next(batch, prepared ? BatchKind::kPrepared : BatchKind::kWhole), handshake);
}

TEST(RunReport, RowsAddUpToTheTotals) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(::testing::Message() << "random_model(" << seed << ")");
    const bool prepares = seed % 2 == 0;
    const RunReport r = report_of(seed, 1 + seed % 3, prepares);
    std::uint64_t setup = 0, prepared = 0, online = 0, flights = 0;
    for (const LayerRow& row : r.layers) {
      setup += row.setup_bytes;
      prepared += row.prepared_bytes;
      online += row.online_bytes;
      flights += row.flights;
    }
    EXPECT_EQ(setup, r.setup_bytes);
    EXPECT_EQ(prepared, r.prepared_bytes);
    EXPECT_EQ(prepared > 0, prepares);
    EXPECT_EQ(online, r.online_bytes);
    EXPECT_EQ(flights, r.total_flights());
    EXPECT_EQ(r.client_bytes + r.server_bytes, r.total_bytes());
    EXPECT_EQ(r.layers.front().name, "handshake");
    EXPECT_EQ(r.layers.front().setup_bytes, 1088U);
    EXPECT_EQ(r.layers.back().name, "goodbye");
    EXPECT_EQ(first_difference(r, r), "");
  }
}

TEST(RunReport, TheFirstDifferenceNamesItsPlace) {
  const RunReport planned = report_of(2);
  ASSERT_GT(planned.layers.size(), 6U);
  std::string step(1, '\'');
  step.append(planned.layers[3].name).append(1, '\'');
  const auto at_step = [&](const std::string& rest) { return std::string(step).append(rest); };
  const struct {
    std::function<void(RunReport&)> change;
    std::string says;
  } cases[] = {
      {[](RunReport& r) { r.layers[3].setup_bytes += 1; }, at_step(" setup bytes: planned ")},
      {[](RunReport& r) { r.layers[3].online_bytes += 1; }, at_step(" online bytes: planned ")},
      {[](RunReport& r) { r.layers[3].prepared_bytes += 1; }, at_step(" prepared bytes: planned ")},
      {[](RunReport& r) { r.prepared_bytes += 1; }, "prepared bytes: planned "},
      {[](RunReport& r) { r.prepared_flights += 1; }, "prepared flights: planned "},
      {[](RunReport& r) { r.layers[3].flights += 1; }, at_step(" flights: planned ")},
      {[](RunReport& r) { r.layers[3].name = std::string(2, 'x'); },
       std::string("row 3: planned ").append(at_step(", counted 'xx'"))},
      {[](RunReport& r) { r.layers.pop_back(); }, "rows: planned "},
      {[](RunReport& r) { r.client_bytes -= 1; }, "client's bytes: planned "},
      {[](RunReport& r) { r.server_bytes -= 1; }, "server's bytes: planned "},
      {[](RunReport& r) { r.setup_bytes -= 1; }, "setup bytes: planned "},
      {[](RunReport& r) { r.online_bytes -= 1; }, "online bytes: planned "},
      {[](RunReport& r) { r.setup_flights -= 1; }, "setup flights: planned "},
      {[](RunReport& r) { r.online_flights -= 1; }, "online flights: planned "},
      {[](RunReport& r) { r.layers[5].flights += 1, r.layers[3].flights += 1; }, step},
  };
  for (const auto& c : cases) {
    RunReport counted = planned;
    c.change(counted);
    EXPECT_EQ(first_difference(planned, counted).substr(0, c.says.size()), c.says);
  }
  RunReport slower = planned;
  slower.online_seconds = 5;
  slower.layers[3].seconds = 7;
  slower.peak_rss_bytes = 1;
  EXPECT_EQ(first_difference(planned, slower), "");
  RunReport more = planned;
  more.layers[3].online_bytes = planned.layers[3].online_bytes + 7;
  const std::uint64_t bytes = planned.layers[3].online_bytes;
  EXPECT_EQ(first_difference(planned, more),
            at_step(" online bytes: planned " + std::to_string(bytes)) + ", counted " + std::to_string(bytes + 7));
}

TEST(RunReport, MemoryGrowsWithTheBatchAndCoversItsTensors) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(::testing::Message() << "random_model(" << seed << ")");
    const PublicPlan plan = testing::random_model(seed).plan;
    std::uint64_t last = 0;
    for (const std::uint64_t batch : {1, 2, 3, 4, 8, 64, 1000}) {
      const std::uint64_t now = estimated_memory(plan, {}, batch);
      EXPECT_GT(now, last);
      for (const Node& node : plan.nodes) EXPECT_GT(now, 8 * tensor_words(node, batch));
      last = now;
    }
    last = estimated_memory(plan, {}, 2);
    const bool needs =
        std::any_of(plan.nodes.begin(), plan.nodes.end(), [](const Node& n) { return n.op == Op::kConv; });
    for (const std::uint64_t prepared : {1, 2, 3, 10}) {
      const std::uint64_t now = estimated_memory(plan, {}, 2, prepared);
      EXPECT_GE(now, last);
      if (needs) {
        EXPECT_GT(now, last);
      }
      last = now;
    }
    EQO_EXPECT_ERROR(estimated_memory(plan, {}, std::uint64_t{1} << 40), Category::kResource, "2^31");
  }
}

TEST(RunReport, PeakMemoryIsThatOfThisProcess) {
  const std::uint64_t before = peak_rss_bytes();
  EXPECT_GT(before, std::uint64_t{1} << 20);
  const std::vector<char> large(before + (std::size_t{64} << 20), 1);
  EXPECT_GE(peak_rss_bytes(), before + (std::size_t{32} << 20));
  EXPECT_EQ(large.back(), 1);
}

}  // namespace
}  // namespace eqo
