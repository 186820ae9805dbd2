#include "eqo/planner/plan_cost.h"

#include "eqo/core/bits.h"
#include "eqo/core/error.h"

namespace eqo {
namespace {

Cost difference(const Cost& after, const Cost& before) {
  Cost d;
  for (std::size_t i = 0; i < 2; ++i) {
    d.bytes[i] = after.bytes[i] - before.bytes[i];
    d.cots[i] = after.cots[i] - before.cots[i];
  }
  d.flights = after.flights - before.flights;
  return d;
}

// Reserves what the protocol takes, then runs it, as the executor does.
template <typename Protocol>
void reserved(CostMeter& meter, const OtOptions& ot, const Protocol& protocol) {
  const Cost need = dry_run(protocol);
  if (need.cots[0] != 0 || need.cots[1] != 0) softspoken_reserve_cost(meter, ot, need.cots[0], need.cots[1]);
  protocol(meter);
}

}  // namespace

std::uint64_t tensor_words(const Node& node, std::uint64_t batch) {
  constexpr std::uint64_t kMax = std::uint64_t{1} << 31;
  const auto size = static_cast<std::uint64_t>(node.type.shape.size());
  if (size != 0 && batch > kMax / size)
    throw resource_error("the tensor of '" + node.name + "' would have more than 2^31 elements", "use a smaller batch");
  return size * batch;
}

PlanCost plan_cost(const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch, bool with_trace) {
  if (batch < 1) throw usage_error("the batch must have at least one image");
  PlanCost result;
  CostMeter meter;
  if (with_trace) meter.record_trace();
  Cost last;
  const auto take = [&meter, &last] {
    const Cost now = meter.cost();
    const Cost d = difference(now, last);
    last = now;
    return d;
  };

  softspoken_setup_cost(meter, options.ot);
  result.session = take();
  for (const Node& node : plan.nodes) {
    reserved(meter, options.ot, [&](CostMeter& m) { step_setup_protocol(m, plan, node); });
    result.steps.push_back({node.name, node.layer, op_name(node.op), take(), {}});
  }
  meter.send(Party::kServer, kControlBytes);
  result.ready = take();
  const Cost before_online = last;
  const std::size_t setup_messages = meter.trace().size();

  meter.send(Party::kClient, kControlBytes);
  result.request = take();
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const Node& node = plan.nodes[i];
    reserved(meter, options.ot, [&](CostMeter& m) { step_online_protocol(m, plan, node, options, batch); });
    result.steps[i].online = take();
  }
  const Node& output = plan.nodes[static_cast<std::size_t>(plan.output)];
  meter.send(Party::kServer, packed_bytes(tensor_words(output, batch), output.type.ring_bits));
  result.opening = take();
  result.online = difference(last, before_online);

  const auto cut = meter.trace().begin() + static_cast<std::ptrdiff_t>(setup_messages);
  result.setup_trace.assign(meter.trace().begin(), cut);
  result.online_trace.assign(cut, meter.trace().end());

  result.setup = before_online;
  result.setup.bytes[static_cast<std::size_t>(Party::kClient)] += framed_bytes(kControlBytes);  // the goodbye
  return result;
}

}  // namespace eqo
