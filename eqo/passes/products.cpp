#include "eqo/core/error.h"
#include "eqo/passes/steps.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/planner/step_params.h"

namespace eqo::pass {
namespace {

// Seconds of computation of both parties together, about what docs/performance.md and docs/homomorphic.md measure.
// Constants, so that a plan made ahead is the plan of the run.
constexpr double kRowByteSeconds = 1e-9, kCotSeconds = 40e-9;
constexpr double kHeInputSeconds = 120e-6, kHeTermSeconds = 8e-6, kHeAnswerSeconds = 150e-6;

// What a convolution takes: the first image's bytes, setup and COTs included, or with a link its time.
double price(const PublicPlan& plan, const Node& node, const PassContext& context) {
  const Cost cost = dry_run([&](CostMeter& m) {
    step_setup_protocol(m, plan, node, context.exec);
    step_online_protocol(m, plan, node, context.exec, 1);
  });
  auto bytes = static_cast<double>(cost.total_bytes());
  double cots = 0;
  for (const Party p : {Party::kServer, Party::kClient}) {
    const auto n = static_cast<double>(cost.cots[static_cast<std::size_t>(p)]);
    bytes += n * cot_sixteenths(context.exec.ot, p) / 16 / 8;
    cots += n;
  }
  if (!context.link || context.link->bits_per_second <= 0) return bytes;
  double seconds = 8 * bytes / context.link->bits_per_second +
                   static_cast<double>(cost.flights) * context.link->round_trip_seconds / 2;
  if (node.method.homomorphic) {
    const HeWork work = he_convolution_work(he_plan(plan, node, context.exec), 1);
    seconds += kHeInputSeconds * static_cast<double>(work.inputs) + kHeTermSeconds * static_cast<double>(work.terms) +
               kHeAnswerSeconds * static_cast<double>(work.results);
  } else {
    seconds += kRowByteSeconds * bytes + kCotSeconds * cots;
  }
  return seconds;
}

}  // namespace

void choose_products(Model& model, const PassContext& context) {
  PublicPlan& plan = model.plan;
  for (Node& node : plan.nodes) {
    if (node.op != Op::kConv || context.products == Products::kOt) continue;
    const double by_ots = price(plan, node, context);
    node.method.homomorphic = true;
    if (context.products == Products::kHe) {
      he_plan(plan, node, context.exec);  // throws where it cannot be
      continue;
    }
    try {
      node.method.homomorphic = price(plan, node, context) < by_ots;
    } catch (const Error& e) {
      if (e.category() != Category::kModel) throw;
      node.method.homomorphic = false;  // no parameters fit
    }
  }
}

}  // namespace eqo::pass
