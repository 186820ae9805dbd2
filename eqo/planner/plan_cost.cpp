#include "eqo/planner/plan_cost.h"

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/model/local_ops.h"
#include "eqo/planner/peer_step_cost.h"
#include "eqo/planner/step_params.h"

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

void add(PartCost& sum, const PartCost& part) {
  for (std::size_t i = 0; i < 2; ++i) {
    sum.cost.bytes[i] += part.cost.bytes[i];
    sum.cost.cots[i] += part.cost.cots[i];
  }
  sum.cost.flights += part.cost.flights;
  sum.seconds += part.seconds;
}

// Of a homomorphic product: what each side computes, spread over the messages it is done for.
WorkPerByte he_work_per_byte(const HeConvPlan& plan, std::uint64_t batch, const WorkRates& rates) {
  const Cost cost = dry_run([&](CostMeter& m) { he_convolution_online_cost(m, plan, batch); });
  const HeWork work = he_convolution_work(plan, batch);
  constexpr auto kServer = static_cast<std::size_t>(Party::kServer);
  constexpr auto kClient = static_cast<std::size_t>(Party::kClient);
  const auto inputs = static_cast<double>(work.inputs) / static_cast<double>(cost.bytes[kClient]);
  const auto results = static_cast<double>(work.results) / static_cast<double>(cost.bytes[kServer]);
  const auto terms = static_cast<double>(work.terms) / static_cast<double>(cost.bytes[kServer]);
  WorkPerByte out;
  out.send[kClient] = inputs * rates.he_input;
  out.receive[kServer] = inputs * rates.he_input;
  out.send[kServer] = results * rates.he_answer + terms * rates.he_term;
  out.receive[kClient] = results * rates.he_answer;
  return out;
}

}  // namespace

std::uint64_t tensor_words(const Node& node, std::uint64_t batch) {
  constexpr std::uint64_t kMax = std::uint64_t{1} << 31;
  const auto size = static_cast<std::uint64_t>(node.type.shape.size());
  if (size != 0 && batch > kMax / size)
    throw resource_error("the tensor of '" + node.name + "' would have more than 2^31 elements", "use a smaller batch");
  return size * batch;
}

std::vector<OtSchedule::Need> setup_needs(const PublicPlan& plan, const ExecOptions& options) {
  std::vector<OtSchedule::Need> out;
  for (const Node& node : plan.nodes)
    out.push_back(dry_run([&](CostMeter& m) { step_setup_protocol(m, plan, node, options); }).cots);
  return out;
}

std::vector<OtSchedule::Need> online_needs(const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch) {
  std::vector<OtSchedule::Need> out;
  for (const Node& node : plan.nodes)
    out.push_back(dry_run([&](CostMeter& m) { step_online_protocol(m, plan, node, options, batch); }).cots);
  return out;
}

OtSchedule::Need prefetch_need(const PublicPlan& plan, const ExecOptions& options) {
  OtSchedule::Need sum{};
  if (options.prefetch == 0) return sum;
  for (const OtSchedule::Need& n : online_needs(plan, options, options.prefetch))
    for (std::size_t p = 0; p < 2; ++p) sum[p] += n[p];
  return sum;
}

SessionPlan::SessionPlan(const PublicPlan& plan, const ExecOptions& options, const Options& how)
    : plan_(plan), options_(options), how_(how), pool_(options.ot) {
  if (how.trace) meter_.record_trace();
  if (how.link != nullptr) meter_.start_clock(*how.link);
  if (how.work != nullptr && meter_.clock() != nullptr)
    for (const Party p : {Party::kServer, Party::kClient}) meter_.clock()->work(p, how.work->base_ots);
  pool_.setup(meter_);
  setup_.session = take();
  if (is_peer(options.framework)) {
    peer_session_cost(meter_, options.framework);
    add(setup_.setup_cots, take());
  }
  he_keys_setup_cost(meter_, he_layers(plan, options));
  setup_.he_keys = take();
  schedule_.begin(setup_needs(plan, options), prefetch_need(plan, options));
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const Node& node = plan.nodes[i];
    make(schedule_.before(i), setup_.setup_cots);
    work_of(node, 0, false);
    step_setup_protocol(meter_, plan, node, options_);
    no_work();
    const PartCost part = take();
    setup_.steps.push_back({node.name, node.layer, op_name(node.op), part.cost, {}, part.seconds, 0});
  }
  make(schedule_.finish(), setup_.setup_cots);
  meter_.send(Party::kServer, kControlBytes);
  setup_.ready = take();
  setup_.setup = last_;
  setup_.setup.bytes[static_cast<std::size_t>(Party::kClient)] += framed_bytes(kControlBytes);  // the goodbye
  setup_.setup_seconds = last_seconds_;
  setup_.setup_trace = meter_.trace();
  traced_ = meter_.trace().size();
}

PlanCost SessionPlan::next(std::uint64_t batch) {
  if (batch < 1) throw usage_error("the batch must have at least one image");
  PlanCost result = setup_;
  const Cost before = last_;
  const double before_seconds = last_seconds_;
  meter_.send(Party::kClient, kControlBytes);
  result.request = take();
  schedule_.begin(online_needs(plan_, options_, batch));
  for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
    const Node& node = plan_.nodes[i];
    make(schedule_.before(i), result.online_cots);
    work_of(node, batch, true);
    step_online_protocol(meter_, plan_, node, options_, batch);
    no_work();
    const PartCost part = take();
    result.steps[i].online = part.cost;
    result.steps[i].online_seconds = part.seconds;
  }
  const Node& output = plan_.nodes[static_cast<std::size_t>(plan_.output)];
  meter_.send(Party::kServer, packed_bytes(tensor_words(output, batch), output.type.ring_bits));
  result.opening = take();
  result.online = difference(last_, before);
  result.online_seconds = last_seconds_ - before_seconds;
  result.online_trace.assign(meter_.trace().begin() + static_cast<std::ptrdiff_t>(traced_), meter_.trace().end());
  traced_ = meter_.trace().size();
  return result;
}

PartCost SessionPlan::take() {
  const Cost now = meter_.cost();
  const double seconds = meter_.clock() != nullptr ? meter_.clock()->seconds() : 0;
  PartCost part{difference(now, last_), seconds - last_seconds_};
  last_ = now;
  last_seconds_ = seconds;
  return part;
}

void SessionPlan::make(const OtSchedule::Need& need, PartCost& sum) {
  if (need[0] == 0 && need[1] == 0) return;
  const std::uint64_t before = pool_.generated(Party::kServer) + pool_.generated(Party::kClient);
  pool_.reserve(meter_, need[0], need[1]);
  if (how_.work != nullptr && meter_.clock() != nullptr) {
    const auto made = static_cast<double>(pool_.generated(Party::kServer) + pool_.generated(Party::kClient) - before);
    for (const Party p : {Party::kServer, Party::kClient}) meter_.clock()->work(p, made * how_.work->cot);
  }
  add(sum, take());
}

// Sets what the step's bytes cost to compute, and adds what does not come with bytes.
void SessionPlan::work_of(const Node& node, std::uint64_t batch, bool online) {
  if (how_.work == nullptr || meter_.clock() == nullptr) return;
  const WorkRates& rates = *how_.work;
  LinkClock& clock = *meter_.clock();
  const auto both = [&](double seconds) {
    for (const Party p : {Party::kServer, Party::kClient}) clock.work(p, seconds);
  };
  if (!online) {
    if (node.method.homomorphic) {
      const HeWork work = he_convolution_work(he_plan(plan_, node, options_), 1);
      clock.work(Party::kServer, rates.he_weight * static_cast<double>(work.weights));
      return;
    }
    const Cost keys = dry_run([&](CostMeter& m) { step_setup_protocol(m, plan_, node, options_); });
    both(rates.key * static_cast<double>(keys.cots[0] + keys.cots[1]));
    return;
  }
  both(rates.element * static_cast<double>(tensor_words(node, batch)));
  constexpr auto kServer = static_cast<std::size_t>(Party::kServer);
  constexpr auto kClient = static_cast<std::size_t>(Party::kClient);
  WorkPerByte work;
  if (node.method.homomorphic) {
    work = he_work_per_byte(he_plan(plan_, node, options_), batch, rates);
  } else if (node.op == Op::kConv) {
    work.send[kClient] = rates.product_client;
    work.receive[kServer] = rates.product_server;
  } else {
    work.send = work.receive = {rates.non_linear / 2, rates.non_linear / 2};
  }
  clock.set_work(work);
}

void SessionPlan::no_work() {
  if (meter_.clock() != nullptr) meter_.clock()->set_work({});
}

PlanCost plan_cost(const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch, bool with_trace) {
  SessionPlan::Options how;
  how.trace = with_trace;
  return SessionPlan(plan, options, how).next(batch);
}

}  // namespace eqo
