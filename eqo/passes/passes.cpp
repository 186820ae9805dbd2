#include "eqo/passes/passes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "eqo/core/error.h"
#include "eqo/model/types.h"
#include "eqo/passes/steps.h"

namespace eqo {

std::span<const Pass> passes() {
  static constexpr std::array<Pass, 7> kPasses{{
      {"products", "convolutions by OTs or homomorphic encryption", eqo::pass::choose_products},
      {"share-extend", "one extension serves all readers of a tensor", eqo::pass::share_extensions},
      {"pool-split", "overlapping maxima by rows, then by columns", eqo::pass::split_pools},
      {"fuse", "ReLU, requantization and extension in one step", eqo::pass::fuse},
      {"intervals", "proven intervals and known signs replace comparisons", eqo::pass::use_intervals},
      {"methods", "depth of comparisons and stages chosen by cost", eqo::pass::choose_methods},
      {"merge", "messages travel with the products around them", eqo::pass::merge_messages},
  }};
  return kPasses;
}

void run_passes(Model& model, const ExecOptions& exec, const PassOptions& options, const PassObserver& observer) {
  for (const std::string& name : options.disabled) {
    if (std::ranges::any_of(passes(), [&](const Pass& p) { return name == p.name; })) continue;
    std::string known;
    for (const Pass& p : passes()) known += fmt::format("{}{}", known.empty() ? "" : ", ", p.name);
    throw usage_error(fmt::format("there is no pass '{}'", name), "known: " + known);
  }
  validate(model);
  const PassContext context{exec, options.link, options.products};
  for (const Pass& pass : passes()) {
    if (options.disabled.contains(pass.name)) continue;
    if (!observer) {
      pass.run(model, context);
      continue;
    }
    const Model before = model;
    pass.run(model, context);
    observer(pass, before, model);
  }
  validate(model);
}

std::string describe(const PublicPlan& plan) {
  std::string out;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const Node& n = plan.nodes[i];
    std::string inputs, how;
    for (const int in : n.inputs) inputs += fmt::format("{}{}", inputs.empty() ? "" : ",", in);
    if (n.shift != 0) how += fmt::format(" >>{}", n.shift);
    if (n.relu) how += " relu";
    if (n.method.use_interval) how += " interval";
    if (n.op == Op::kRequantize) how += n.method.staged ? " staged" : " direct";
    if (n.method.levels != 0) how += fmt::format(" levels={}", n.method.levels);
    if (n.method.homomorphic) how += " homomorphic";
    if (n.method.merged) how += " merged";
    out += fmt::format("{:>4} {:<14} Z{:<3} {:<12} <- {:<8} [{}, {}]{}  {}\n", i, op_name(n.op), n.type.ring_bits,
                       n.type.shape.to_string(), inputs, n.type.lo, n.type.hi, how, n.name);
  }
  return out;
}

}  // namespace eqo
