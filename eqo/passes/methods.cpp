#include <vector>

#include "eqo/core/error.h"
#include "eqo/model/local_ops.h"
#include "eqo/passes/steps.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/planner/step_params.h"

namespace eqo::pass {
namespace {

constexpr std::uint8_t kLeastLevels = 1, kMostLevels = 5;

bool compares(Op op) {
  return op == Op::kRelu || op == Op::kTruncate || op == Op::kTruncateReduce || op == Op::kExtend ||
         op == Op::kMaxPool || op == Op::kArgMax || op == Op::kRequantize;
}

std::vector<Method> choices(const Node& node) {
  std::vector<Method> out;
  for (std::uint8_t levels = kLeastLevels; levels <= kMostLevels; ++levels) {
    for (const bool staged : {true, false}) {
      if (!staged && node.op != Op::kRequantize) continue;
      Method m = node.method;
      m.levels = levels;
      m.staged = staged;
      out.push_back(m);
    }
  }
  return out;
}

}  // namespace

// Without a link the defaults stay: few bytes within the flights that 3 levels take. With one, each step takes the
// method that is over first: its bytes and those of its COTs at the link's rate, its flights at half a round trip.
void choose_methods(Model& model, const PassContext& context) {
  if (!context.link || context.link->bits_per_second <= 0) return;
  PublicPlan& plan = model.plan;
  for (Node& node : plan.nodes) {
    if (!compares(node.op)) continue;
    Method best = node.method;
    double least = -1;
    for (const Method& m : choices(node)) {
      node.method = m;
      Cost cost;
      try {
        cost = dry_run([&](CostMeter& meter) { step_online_protocol(meter, plan, node, context.exec, 1); });
      } catch (const Error& e) {
        if (e.category() == Category::kUsage) continue;  // too few levels for this ring
        throw;
      }
      double bits = 8.0 * static_cast<double>(cost.total_bytes());
      for (const Party p : {Party::kServer, Party::kClient})
        bits += static_cast<double>(cost.cots[static_cast<std::size_t>(p)]) * cot_sixteenths(context.exec.ot, p) / 16;
      const double seconds = bits / context.link->bits_per_second +
                             static_cast<double>(cost.flights) * context.link->round_trip_seconds / 2;
      if (least < 0 || seconds < least) {
        least = seconds;
        best = m;
      }
    }
    node.method = best;
  }
}

}  // namespace eqo::pass
