#include "eqo/quantizer/budget.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/model/plan_io.h"
#include "eqo/net/handshake.h"
#include "eqo/net/simulated_link.h"
#include "eqo/passes/passes.h"
#include "eqo/planner/he_choice.h"
#include "eqo/planner/ot_choice.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/planner/run_report.h"

namespace eqo {

Budget parse_budget(const std::string& text) {
  const auto refuse = [&]() -> Error {
    return usage_error("a budget of '" + text + "'", "examples: 80MB, 0.4x (of the 8-bit network), 2s@wan");
  };
  Budget budget;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), budget.amount);
  if (problem != std::errc() || !std::isfinite(budget.amount) || budget.amount <= 0) throw refuse();
  const std::string unit(end, text.data() + text.size());
  static constexpr std::array<std::pair<const char*, double>, 5> kBytes{
      {{"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"MiB", 1048576}}};
  for (const auto& [name, factor] : kBytes)
    if (unit == name) {
      budget.amount *= factor;
      return budget;
    }
  if (unit == "x") {
    budget.unit = Budget::Unit::kRatio;
    return budget;
  }
  const std::size_t at = unit.find('@');
  const std::string time = unit.substr(0, at);
  if (at == std::string::npos || (time != "s" && time != "ms")) throw refuse();
  budget.unit = Budget::Unit::kSeconds;
  if (time == "ms") budget.amount /= 1e3;
  budget.link = parse_link(unit.substr(at + 1));
  return budget;
}

namespace quant {

SessionCost session_cost(const Model& model, const Budget& budget, const ProductOptions& products) {
  const bool timed = budget.unit == Budget::Unit::kSeconds;
  const std::optional<LinkSpec> link = timed ? std::optional(budget.link) : std::nullopt;
  Model optimized = model;
  ExecOptions exec;
  exec.ot.kind = OtKind::kSilent;
  if (products.kind != Products::kOt) exec.he = choose_he(model.plan, products.images);
  run_passes(optimized, exec, {{}, link, products.kind});
  exec.ot = choose_ot(optimized.plan, exec, link, {});
  const PlanCost plan = plan_cost(optimized.plan, exec, 1);
  const auto cost_of = [&](const Cost& c) {
    if (!timed) return static_cast<double>(c.total_bytes());
    const double rate = budget.link.bits_per_second;  // 0: no limit
    return (rate > 0 ? 8 * static_cast<double>(c.total_bytes()) / rate : 0) +
           static_cast<double>(c.flights) * budget.link.round_trip_seconds / 2;
  };
  const Cost handshake{
      handshake_bytes(serialize_plan(optimized.plan).size(), kExecOptionsBytes), kHandshakeFlights, {}};
  SessionCost out;
  out.setup_bytes = handshake.total_bytes() + plan.setup.total_bytes();
  out.online_bytes = plan.online.total_bytes();
  out.flights = handshake.flights + plan.setup.flights + plan.online.flights;
  out.total = cost_of(handshake) + cost_of(plan.setup) + cost_of(plan.online);
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const StepCost& step = plan.steps[i];
    const Node& node = optimized.plan.nodes[i];
    out.layers[step.layer] += cost_of(step.setup) + cost_of(step.online);
    if (node.op == Op::kConv) out.products[step.layer] = {step.online.total_bytes(), node.method.homomorphic};
  }
  return out;
}

}  // namespace quant

}  // namespace eqo
