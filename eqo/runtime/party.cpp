#include "eqo/runtime/party.h"

#include <algorithm>

#include "eqo/core/error.h"
#include "eqo/net/handshake.h"

namespace eqo {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

Traffic between(const Traffic& a, const Traffic& b) {
  return {b.sent_bytes - a.sent_bytes, b.received_bytes - a.received_bytes, b.flights - a.flights};
}

std::uint64_t bytes_of(const Traffic& t) { return t.sent_bytes + t.received_bytes; }

std::uint64_t bytes_between(const Traffic& a, const Traffic& b) { return bytes_of(between(a, b)); }

// Lengths are checked message by message, but the numbers of flights are the peer's word.
[[noreturn]] void flights_differ(const std::string& difference) {
  throw protocol_error("the peer's flight numbers are not what was planned: " + difference,
                       "both parties must run the same version of this program");
}

[[noreturn]] void bytes_differ(const std::string& difference) {
  throw internal_error("the traffic is not what was planned: " + difference);
}

}  // namespace

PartyState::PartyState(Party party, std::unique_ptr<Transport> transport, Prg prg, const PublicPlan& plan,
                       const ExecOptions& exec, const Model* model, unsigned threads, std::uint64_t plan_bytes,
                       std::uint64_t params_bytes, Clock::time_point start)
    : party_(party),
      channel_(party, std::move(transport)),
      prg_(std::move(prg)),
      threads_(threads),
      plan_(plan),
      exec_(exec),
      session_(plan, exec),
      start_(start) {
  const auto bytes = handshake_bytes(plan_bytes, params_bytes);
  handshake_.bytes = {bytes[0], bytes[1]};
  handshake_.flights = kHandshakeFlights;
  channel_.set_scope("base OTs");
  ot_ = make_ot_pool(channel_, prg_, threads_, exec.ot);
  base_seconds_ = seconds_since(start);
  after_base_ = channel_.traffic();
  ctx_ = std::make_unique<Context>(Context{party, channel_, *ot_, prg_, threads_});
  executor_ = std::make_unique<SecureExecutor>(*ctx_, plan, exec, model);
}

Ready PartyState::setup(const Ready& granted) {
  executor_->setup();
  after_keys_ = channel_.traffic();
  channel_.set_scope("ready");
  Ready ready = granted;
  if (party_ == Party::kServer) {
    send_ready(channel_, ready);
  } else {
    ready = receive_ready(channel_);
  }
  after_setup_ = channel_.traffic();
  setup_seconds_ = seconds_since(start_);
  return ready;
}

Request PartyState::next_request(const Ready& granted, std::uint64_t counter) {
  channel_.set_scope("request");
  before_batch_ = channel_.traffic();
  const Request request = receive_request(channel_, granted.max_batch, counter);
  if (request.kind == Request::Kind::kPrepare && unused_ + request.batch > granted.max_prepared)
    throw protocol_error("the client asks to prepare more than " + std::to_string(granted.max_prepared) + " images");
  if (request.kind == Request::Kind::kPrepared && executor_->next_prepared() != request.batch)
    throw protocol_error("the client asks for a batch of " + std::to_string(request.batch) +
                         " images with material that was not prepared");
  return request;
}

void PartyState::send_request(const Request& request) {
  if (party_ != Party::kClient) return;
  before_batch_ = channel_.traffic();
  channel_.set_scope("request");
  eqo::send_request(channel_, request);
}

void PartyState::prepare(const Request& request) {
  send_request(request);
  const auto start = Clock::now();
  const Traffic after_request = channel_.traffic();
  executor_->prepare(request.batch, request.counter);
  if (party_ == Party::kServer) channel_.transport().flush();
  Prepared made;
  made.images = request.batch;
  made.request = between(before_batch_, after_request);
  made.all = between(before_batch_, channel_.traffic());
  made.seconds = seconds_since(start);
  unused_ += made.images;
  ++prepared_batches_;
  prepared_bytes_ += bytes_of(made.all);
  prepared_seconds_ += made.seconds;
  // Step by step it is compared when it is used; it may not be.
  const Cost planned = session_.prepare(request.batch).prepared;
  const auto differ = [](std::uint64_t p, std::uint64_t c) {
    return "planned " + std::to_string(p) + ", counted " + std::to_string(c);
  };
  if (planned.total_bytes() != bytes_of(made.all))
    bytes_differ("prepared bytes: " + differ(planned.total_bytes(), bytes_of(made.all)));
  if (planned.flights != made.all.flights)
    flights_differ("prepared flights: " + differ(planned.flights, made.all.flights));
  prepared_.push_back(made);
}

Words PartyState::run_batch(std::span<const Word> images, const Request& request, const StepObserver& observer) {
  const auto kind = request.kind == Request::Kind::kPrepared ? BatchKind::kPrepared : BatchKind::kWhole;
  material_ = {};
  if (kind == BatchKind::kPrepared) {
    material_ = prepared_.front();
    prepared_.pop_front();
    unused_ -= material_.images;
  }
  send_request(request);
  const auto start = Clock::now();
  after_request_ = channel_.traffic();
  const Words share = executor_->run(images, request.batch, request.counter, kind, observer);
  after_steps_ = channel_.traffic();
  channel_.set_scope("result");
  const Ring ring = plan_.nodes[static_cast<std::size_t>(plan_.output)].type.ring();
  Words opened;
  if (party_ == Party::kServer) {
    channel_.send_words(share, ring.bits());
    channel_.transport().flush();
  } else {
    opened = channel_.recv_words(share.size(), ring.bits());
    for (std::size_t i = 0; i < opened.size(); ++i) opened[i] = ring.add(opened[i], share[i]);
  }
  after_batch_ = channel_.traffic();
  batch_seconds_ = seconds_since(start);
  online_seconds_ += batch_seconds_;
  images_ += request.batch;
  ++batches_;
  planned_ = planned_report(plan_, session_.next(request.batch, kind), handshake_);
  check_against_plan();
  if (batches_ == 1) first_ = report_;
  if (batches_ > 1) later_bytes_ += report_.online_bytes;
  return opened;
}

void PartyState::say_goodbye() {
  channel_.set_scope("goodbye");
  eqo::send_request(channel_, {});
}

void PartyState::check_against_plan() {
  report_ = counted();
  const std::string difference = first_difference(planned_, report_);
  if (difference.empty()) return;
  RunReport report = report_;
  report.setup_flights = planned_.setup_flights;
  report.prepared_flights = planned_.prepared_flights;
  report.online_flights = planned_.online_flights;
  for (std::size_t i = 0; i < report.layers.size(); ++i) report.layers[i].flights = planned_.layers[i].flights;
  if (first_difference(planned_, report).empty()) flights_differ(difference);
  bytes_differ(difference);
}

// The goodbye is booked before it is said, so that a report is complete after every batch.
RunReport PartyState::counted() const {
  RunReport r;
  const std::uint64_t goodbye = framed_bytes(kControlBytes);
  const auto me = static_cast<std::size_t>(party_);
  std::array<std::uint64_t, 2> bytes = handshake_.bytes;
  bytes[static_cast<std::size_t>(Party::kClient)] += goodbye;
  const Traffic batch = between(before_batch_, after_batch_);
  bytes[me] += after_setup_.sent_bytes + material_.all.sent_bytes + batch.sent_bytes;
  bytes[1 - me] += after_setup_.received_bytes + material_.all.received_bytes + batch.received_bytes;
  r.server_bytes = bytes[0];
  r.client_bytes = bytes[1];
  r.setup_bytes = handshake_.total_bytes() + bytes_between({}, after_setup_) + goodbye;
  r.prepared_bytes = bytes_of(material_.all);
  r.online_bytes = bytes_of(batch);
  r.setup_flights = handshake_.flights + after_setup_.flights;
  r.prepared_flights = material_.all.flights;
  r.online_flights = batch.flights;
  r.setup_seconds = setup_seconds_;
  r.prepared_seconds = material_.seconds;
  r.online_seconds = batch_seconds_;
  r.peak_rss_bytes = peak_rss_bytes();
  r.layers.push_back(
      {.name = "handshake", .op = "session", .setup_bytes = handshake_.total_bytes(), .flights = handshake_.flights});
  r.layers.push_back({.name = "base OTs",
                      .op = "session",
                      .setup_bytes = bytes_between({}, after_base_),
                      .flights = after_base_.flights,
                      .seconds = base_seconds_});
  const SecureExecutor::StepReport& keys = executor_->he_keys();
  if (keys.setup_bytes != 0)
    r.layers.push_back({.name = "public keys",
                        .op = "session",
                        .setup_bytes = keys.setup_bytes,
                        .flights = keys.setup_flights,
                        .seconds = keys.setup_seconds});
  const SecureExecutor::StepReport& cots = executor_->cots();
  r.layers.push_back({.name = "correlated OTs",
                      .op = "session",
                      .setup_bytes = cots.setup_bytes,
                      .prepared_bytes = cots.prepared_bytes,
                      .online_bytes = cots.online_bytes,
                      .flights = cots.setup_flights + cots.prepared_flights + cots.online_flights,
                      .seconds = cots.setup_seconds + cots.prepared_seconds + cots.online_seconds});
  const auto& reports = executor_->reports();
  for (std::size_t i = 0; i < reports.size(); ++i)
    r.layers.push_back({.name = plan_.nodes[i].name,
                        .op = op_name(plan_.nodes[i].op),
                        .setup_bytes = reports[i].setup_bytes,
                        .prepared_bytes = reports[i].prepared_bytes,
                        .online_bytes = reports[i].online_bytes,
                        .flights = reports[i].setup_flights + reports[i].prepared_flights + reports[i].online_flights,
                        .seconds = reports[i].setup_seconds + reports[i].prepared_seconds + reports[i].online_seconds});
  r.layers.push_back({.name = "ready",
                      .op = "session",
                      .setup_bytes = bytes_between(after_keys_, after_setup_),
                      .flights = after_setup_.flights - after_keys_.flights});
  r.layers.push_back({.name = "request",
                      .op = "session",
                      .prepared_bytes = bytes_of(material_.request),
                      .online_bytes = bytes_between(before_batch_, after_request_),
                      .flights = material_.request.flights + after_request_.flights - before_batch_.flights});
  r.layers.push_back({.name = "result",
                      .op = "session",
                      .online_bytes = bytes_between(after_steps_, after_batch_),
                      .flights = after_batch_.flights - after_steps_.flights});
  r.layers.push_back({.name = "goodbye", .op = "session", .setup_bytes = goodbye});
  return r;
}

SessionSummary PartyState::finish() {
  SessionSummary summary;
  summary.images = images_;
  summary.batches = batches_;
  summary.online_seconds = online_seconds_;
  summary.prepared_batches = prepared_batches_;
  summary.prepared_bytes = prepared_bytes_;
  summary.prepared_seconds = prepared_seconds_;
  summary.report = first_;
  summary.later_online_bytes = later_bytes_;
  if (batches_ > 0) summary.report.peak_rss_bytes = peak_rss_bytes();
  channel_.finish();
  channel_.close();
  return summary;
}

}  // namespace eqo
