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

OtSchedule::Need batch_need(const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch) {
  OtSchedule::Need sum{};
  for (const OtSchedule::Need& n : online_needs(plan, options, batch))
    for (std::size_t p = 0; p < 2; ++p) sum[p] += n[p];
  return sum;
}

OtSchedule::Need prefetch_need(const PublicPlan& plan, const ExecOptions& options) {
  return options.prefetch == 0 ? OtSchedule::Need{} : batch_need(plan, options, options.prefetch);
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
    setup_work(node);
    step_setup_protocol(meter_, plan, node, options_);
    no_work();
    const PartCost part = take();
    setup_.steps.push_back({.name = node.name,
                            .layer = node.layer,
                            .op = op_name(node.op),
                            .setup = part.cost,
                            .setup_seconds = part.seconds});
  }
  make(schedule_.finish(), setup_.setup_cots);
  meter_.send(Party::kServer, kControlBytes);
  setup_.ready = take();
  setup_.setup = last_;
  setup_.setup.bytes[static_cast<std::size_t>(Party::kClient)] += framed_bytes(kControlBytes);  // the goodbye
  setup_.setup_seconds = last_seconds_;
  setup_.setup_trace = traced();
}

PlanCost SessionPlan::prepare(std::uint64_t batch) {
  if (batch < 1) throw usage_error("the batch must have at least one image");
  if (!prepares(options_.framework))
    throw usage_error("nothing can be prepared in another system's plan", "leave --prepare or --framework out");
  PlanCost result = setup_;
  const Cost before = last_;
  const double before_seconds = last_seconds_;
  meter_.send(Party::kClient, kControlBytes);
  result.prepare_request = take();
  make(schedule_.prepare(batch_need(plan_, options_, batch)), result.prepared_cots);
  const auto half = [&](std::size_t i, auto protocol) {
    set_product_work(plan_.nodes[i], batch);
    protocol(meter_, plan_, plan_.nodes[i], options_, batch);
    no_work();
    PartCost sum{result.steps[i].prepared, result.steps[i].prepared_seconds};
    add(sum, take());
    result.steps[i].prepared = sum.cost;
    result.steps[i].prepared_seconds = sum.seconds;
  };
  for (const std::vector<std::size_t>& round : prepare_rounds(plan_, options_, batch)) {
    for (const std::size_t i : round) half(i, step_begin_protocol);
    for (const std::size_t i : round) half(i, step_finish_protocol);
  }
  result.prepared = difference(last_, before);
  result.prepared_seconds = last_seconds_ - before_seconds;
  result.prepared_trace = traced();
  prepared_.push_back({batch, result});
  return result;
}

void SessionPlan::prepare_cots(std::uint64_t batch, std::uint64_t n) {
  const OtSchedule::Need need = batch_need(plan_, options_, batch);
  PartCost ignored;
  for (std::uint64_t i = 0; i < n; ++i) make(schedule_.prepare(need), ignored);
}

PlanCost SessionPlan::next(std::uint64_t batch, BatchKind kind) {
  if (batch < 1) throw usage_error("the batch must have at least one image");
  PlanCost result = setup_;
  if (kind == BatchKind::kPrepared) {
    if (prepared_.empty() || prepared_.front().batch != batch)
      throw usage_error("no batch of " + std::to_string(batch) + " images is prepared next");
    result = std::move(prepared_.front().cost);
    prepared_.pop_front();
  }
  const Cost before = last_;
  const double before_seconds = last_seconds_;
  meter_.send(Party::kClient, kControlBytes);
  result.request = take();
  if (kind == BatchKind::kPrepared) schedule_.release(batch_need(plan_, options_, batch));
  schedule_.begin(online_needs(plan_, options_, batch));
  for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
    const Node& node = plan_.nodes[i];
    make(schedule_.before(i), result.online_cots);
    work_of(node, batch, kind);
    step_online_protocol(meter_, plan_, node, options_, batch, kind);
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
  result.online_trace = traced();
  return result;
}

// The messages since the last call.
std::vector<Message> SessionPlan::traced() {
  const std::vector<Message>& all = meter_.trace();
  std::vector<Message> out(all.begin() + static_cast<std::ptrdiff_t>(traced_), all.end());
  traced_ = all.size();
  return out;
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
  pool_.reserve(meter_, need[0], need[1], schedule_.untaken());
  if (how_.work != nullptr && meter_.clock() != nullptr) {
    const auto made = static_cast<double>(pool_.generated(Party::kServer) + pool_.generated(Party::kClient) - before);
    for (const Party p : {Party::kServer, Party::kClient}) meter_.clock()->work(p, made * how_.work->cot);
  }
  add(sum, take());
}

void SessionPlan::setup_work(const Node& node) {
  if (how_.work == nullptr || meter_.clock() == nullptr) return;
  const WorkRates& rates = *how_.work;
  LinkClock& clock = *meter_.clock();
  if (node.method.homomorphic) {
    const HeWork work = he_convolution_work(he_plan(plan_, node, options_), 1);
    clock.work(Party::kServer, rates.he_weight * static_cast<double>(work.weights));
    return;
  }
  const Cost keys = dry_run([&](CostMeter& m) { step_setup_protocol(m, plan_, node, options_); });
  for (const Party p : {Party::kServer, Party::kClient})
    clock.work(p, rates.key * static_cast<double>(keys.cots[0] + keys.cots[1]));
}

// Sets what the step's bytes cost to compute, and adds what does not come with bytes.
void SessionPlan::work_of(const Node& node, std::uint64_t batch, BatchKind kind) {
  if (how_.work == nullptr || meter_.clock() == nullptr) return;
  const WorkRates& rates = *how_.work;
  LinkClock& clock = *meter_.clock();
  for (const Party p : {Party::kServer, Party::kClient})
    clock.work(p, rates.element * static_cast<double>(tensor_words(node, batch)));
  if (node.op != Op::kConv) {
    WorkPerByte work;
    work.send = work.receive = {rates.non_linear / 2, rates.non_linear / 2};
    clock.set_work(work);
  } else if (kind == BatchKind::kWhole) {
    set_product_work(node, batch);
  }
}

void SessionPlan::set_product_work(const Node& node, std::uint64_t batch) {
  if (how_.work == nullptr || meter_.clock() == nullptr) return;
  WorkPerByte work;
  if (node.method.homomorphic) {
    work = he_work_per_byte(he_plan(plan_, node, options_), batch, *how_.work);
  } else {
    work.send[static_cast<std::size_t>(Party::kClient)] = how_.work->product_client;
    work.receive[static_cast<std::size_t>(Party::kServer)] = how_.work->product_server;
  }
  meter_.clock()->set_work(work);
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
