#include <algorithm>
#include <vector>

#include "eqo/model/types.h"
#include "eqo/passes/rewrite.h"
#include "eqo/passes/steps.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/planner/step_params.h"

namespace eqo::pass {
namespace {

Window rows_of(Window w) {
  w.kernel_h = w.stride_h = w.dilation_h = 1;
  w.pad_top = w.pad_bottom = 0;
  return w;
}
Window columns_of(Window w) {
  w.kernel_w = w.stride_w = w.dilation_w = 1;
  w.pad_left = w.pad_right = 0;
  return w;
}

// The differences of any two values in [lo, hi], 0 included where there is padding, fit the ring as signed numbers.
bool cannot_wrap(const TensorType& in) {
  const std::int64_t most = ring_hi(in.ring_bits), hi = std::max<std::int64_t>(in.hi, 0);
  return hi <= most + std::min<std::int64_t>(in.lo, 0);
}

std::uint64_t bytes_of(const PublicPlan& plan, const Node& node, const PassContext& context) {
  const Cost cost = dry_run([&](CostMeter& m) { step_online_protocol(m, plan, node, context.exec, 1); });
  return cost.total_bytes();
}

}  // namespace

void split_pools(Model& model, const PassContext& context) {
  PublicPlan& plan = model.plan;
  for (int i = 1; i < static_cast<int>(plan.nodes.size()); ++i) {
    const Node whole = plan.nodes[static_cast<std::size_t>(i)];
    if (whole.op != Op::kMaxPool || whole.window.kernel_h == 1 || whole.window.kernel_w == 1) continue;
    if (!cannot_wrap(input_type(plan, whole))) continue;
    const std::uint64_t before = bytes_of(plan, whole, context);
    Model split = model;
    Node rows = whole;
    rows.name += "/rows";
    rows.window = rows_of(whole.window);
    rows.type = infer_type(rows, std::vector<TensorType>{input_type(plan, whole)}, plan.input_bits);
    insert(split, i, rows, model.secrets[static_cast<std::size_t>(i)].scale);
    Node& columns = split.plan.nodes[static_cast<std::size_t>(i) + 1];
    columns.window = columns_of(whole.window);
    columns.inputs = {i};
    const std::uint64_t after = bytes_of(split.plan, rows, context) + bytes_of(split.plan, columns, context);
    if (after >= before) continue;
    model = std::move(split);
    ++i;
  }
  clean_up(model);
}

}  // namespace eqo::pass
