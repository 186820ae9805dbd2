#include "eqo/runtime/session.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "eqo/core/error.h"
#include "eqo/model/types.h"
#include "eqo/net/handshake.h"
#include "eqo/planner/he_choice.h"
#include "eqo/runtime/control.h"
#include "eqo/runtime/party.h"

namespace eqo {
namespace {

Nonce fresh_nonce(Prg& prg) {
  Nonce nonce;
  prg.fill(std::span<std::byte>(nonce));
  return nonce;
}

bool affordable(const PublicPlan& plan, const ExecOptions& exec, std::uint64_t batch, std::uint64_t prepared,
                std::uint64_t limit) {
  try {
    return estimated_memory(plan, exec, batch, prepared) <= limit;
  } catch (const Error&) {
    return false;  // tensors beyond what can be counted
  }
}

// The largest number in [least, most] that fits; `least` if none does.
template <typename Fits>
std::uint32_t largest(std::uint32_t least, std::uint32_t most, const Fits& fits) {
  for (std::uint32_t too_large = most + 1; too_large - least > 1;) {
    const std::uint32_t middle = least + (too_large - least) / 2;
    (fits(middle) ? least : too_large) = middle;
  }
  return least;
}

void check_memory(const PublicPlan& plan, const ExecOptions& exec, std::uint64_t batch, std::uint64_t limit) {
  if (limit == 0) return;
  const std::uint64_t need = estimated_memory(plan, exec, batch);
  if (need > limit)
    throw resource_error("a batch of " + std::to_string(batch) + " needs about " + std::to_string(need >> 20) +
                             " MiB, allowed are " + std::to_string(limit >> 20),
                         "use a smaller batch or raise --max-memory");
}

// What a limit allows of batches up to `most` images, and of images prepared; a batch of one fits. Preparing comes
// first: batches without material need no more memory than those with.
Ready affordable_limits(const PublicPlan& plan, const ExecOptions& exec, Ready most, std::uint64_t limit) {
  if (!prepares(exec.framework)) most.max_prepared = 0;
  if (limit == 0) return most;
  most.max_prepared =
      largest(0, most.max_prepared, [&](std::uint32_t n) { return affordable(plan, exec, 1, n, limit); });
  most.max_batch =
      largest(1, most.max_batch, [&](std::uint32_t n) { return affordable(plan, exec, n, most.max_prepared, limit); });
  return most;
}

const Node& output_node(const PublicPlan& plan) { return plan.nodes[static_cast<std::size_t>(plan.output)]; }

// A plan from the peer: valid, and all of its costs can be computed.
PublicPlan checked_plan(std::span<const std::byte> bytes, const ExecOptions& exec) {
  try {
    PublicPlan plan = parse_plan(bytes);
    plan_cost(plan, exec, 1);
    return plan;
  } catch (const Error& e) {
    if (e.category() == Category::kResource) throw;
    throw protocol_error(std::string("the server's plan is not valid: ") + e.what());
  }
}

}  // namespace

Offer make_offer(Model model, const Digest& model_digest, const ExecOptions& exec, Reveal reveal,
                 const PassOptions& passes, const PassObserver& observer) {
  PublicPlan& plan = model.plan;
  const bool has_argmax = output_node(plan).op == Op::kArgMax;
  if (reveal == Reveal::kLogits && has_argmax)
    throw usage_error("the model ends in argmax: it has no logits to reveal", "serve it with --reveal label");
  if (reveal == Reveal::kLabel && !has_argmax) {
    Node node;
    node.op = Op::kArgMax;
    node.name = "label";
    node.layer = "label";
    node.inputs = {plan.output};
    const auto taken = [&] {
      return std::any_of(plan.nodes.begin(), plan.nodes.end(), [&](const Node& n) { return n.name == node.name; });
    };
    while (taken()) node.name += "'";
    node.type = infer_type(node, std::vector<TensorType>{plan.nodes[static_cast<std::size_t>(plan.output)].type},
                           plan.input_bits);
    plan.output = static_cast<int>(plan.nodes.size());
    plan.nodes.push_back(std::move(node));
    model.secrets.emplace_back();
  }
  if (is_peer(exec.framework)) {
    validate(model);  // a peer's plan stays as framework_model() made it
  } else {
    run_passes(model, exec, passes, observer);
  }
  Offer offer;
  offer.plan_bytes = serialize_plan(plan);
  offer.model = std::move(model);
  offer.model_digest = model_digest;
  offer.exec = exec;
  return offer;
}

SessionSummary serve_session(std::unique_ptr<Transport> transport, const Offer& offer, const StepObserver& observer) {
  const PublicPlan& plan = offer.model.plan;
  Prg prg = Prg::from_os();
  const Bytes params = serialize(offer.exec);
  const bool label_only = output_node(plan).op == Op::kArgMax;
  const ServerOffer hello{.plan = std::as_bytes(std::span(offer.plan_bytes)),
                          .params = params,
                          .model_digest = offer.model_digest,
                          .policy = label_only ? kRevealLabel : kRevealLabel | kRevealLogits};
  if (offer.max_batch < 1 || offer.max_batch > kMaxBatch)
    throw usage_error("the largest batch must be 1.." + std::to_string(kMaxBatch));
  check_memory(plan, offer.exec, 1, offer.max_memory_bytes);
  // No more images than the noise of homomorphic products was made for.
  const std::uint64_t he_limit = he_images(plan, offer.exec.he);
  const bool limited =
      std::any_of(plan.nodes.begin(), plan.nodes.end(), [](const Node& n) { return n.method.homomorphic; });
  const std::uint64_t max_images = !limited                ? offer.max_images
                                   : offer.max_images == 0 ? he_limit
                                                           : std::min(offer.max_images, he_limit);
  if (limited && he_limit == 0)
    throw usage_error("the session's homomorphic products are made for less than one image");
  const auto within = [&](std::uint32_t n) {
    return static_cast<std::uint32_t>(limited ? std::min<std::uint64_t>(n, he_limit) : n);
  };
  const Ready granted = affordable_limits(
      plan, offer.exec, {within(offer.max_batch), max_images, within(offer.max_prepared)}, offer.max_memory_bytes);
  const auto start = std::chrono::steady_clock::now();
  server_handshake(*transport, hello, fresh_nonce(prg));
  PartyState party(Party::kServer, std::move(transport), std::move(prg), plan, offer.exec, &offer.model, offer.threads,
                   offer.plan_bytes.size(), params.size(), start);
  try {
    party.setup(granted);
    for (std::uint64_t counter = 1;; ++counter) {
      const Request request = party.next_request(granted, counter);
      if (request.kind == Request::Kind::kGoodbye) break;
      // Prepared images were counted when they were.
      if (max_images != 0 && request.kind != Request::Kind::kPrepared && party.images() + request.batch > max_images)
        throw policy_error("the session's budget of " + std::to_string(max_images) + " images is used up");
      if (request.kind == Request::Kind::kPrepare) {
        party.prepare(request);
      } else {
        party.run_batch({}, request, observer);
      }
    }
    return party.finish();
  } catch (...) {
    party.channel().close();
    throw;
  }
}

struct ClientSession::State {
  PublicPlan plan;
  ExecOptions exec;
  Digest model_digest{};
  std::uint64_t counter = 0;
  bool failed = false;  // in a batch: what was made or sent for it must not meet another one
  Ready ready;
  std::unique_ptr<PartyState> party;

  void check(std::uint32_t batch) const;
  void check_budget(std::uint32_t batch) const;
  // After an error nothing is left to be used again: neither the connection nor what was prepared.
  template <typename F>
  auto guarded(const F& f) {
    try {
      return f();
    } catch (...) {
      failed = true;
      party->channel().close();
      party->discard_prepared();
      throw;
    }
  }
};

void ClientSession::State::check(std::uint32_t batch) const {
  if (failed) throw connection_error("this session ended with an error", "start a new session");
  if (batch < 1 || batch > ready.max_batch)
    throw usage_error("a batch of " + std::to_string(batch) + " images; the server takes 1.." +
                      std::to_string(ready.max_batch));
}

void ClientSession::State::check_budget(std::uint32_t batch) const {
  if (ready.max_images != 0 && batch > ready.max_images - party->images())
    throw policy_error("the server answers " + std::to_string(ready.max_images) + " images a session",
                       "start a new session, or let the server's --he-images or --max-images be larger");
}

ClientSession::ClientSession(std::unique_ptr<Transport> transport, const ClientOptions& options)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  Prg prg = Prg::from_os();
  const auto start = std::chrono::steady_clock::now();
  const HandshakeResult hello =
      client_handshake(*transport,
                       {.policy = options.require_logits ? kRevealLabel | kRevealLogits : kRevealLabel,
                        .pinned_model_digest = options.pinned_model},
                       fresh_nonce(prg));
  s.exec = parse_exec_options(hello.params);
  s.plan = checked_plan(hello.plan, s.exec);
  if (options.require_logits && output_node(s.plan).op == Op::kArgMax)
    throw protocol_error("the server promised logits, but its plan ends in argmax");
  s.model_digest = hello.model_digest;
  check_memory(s.plan, s.exec, std::max<std::uint32_t>(options.batch, 1), options.max_memory_bytes);
  s.party = std::make_unique<PartyState>(Party::kClient, std::move(transport), std::move(prg), s.plan, s.exec, nullptr,
                                         options.threads, hello.plan.size(), hello.params.size(), start);
  s.ready = s.party->setup();
  s.ready.max_prepared = std::min(s.ready.max_prepared, options.prepare);
  s.ready = affordable_limits(s.plan, s.exec, s.ready, options.max_memory_bytes);
}

ClientSession::~ClientSession() {
  if (state_ && state_->party) state_->party->channel().close();
}

const PublicPlan& ClientSession::plan() const { return state_->plan; }
const Digest& ClientSession::model_digest() const { return state_->model_digest; }
const ExecOptions& ClientSession::exec() const { return state_->exec; }
std::uint32_t ClientSession::max_batch() const { return state_->ready.max_batch; }

std::uint32_t ClientSession::max_prepared() const { return state_->ready.max_prepared; }
std::uint64_t ClientSession::prepared_images() const { return state_->party->executor().prepared_images(); }

void ClientSession::prepare(std::uint32_t batch) {
  State& s = *state_;
  s.check(batch);
  if (s.party->executor().prepared_images() + batch > s.ready.max_prepared)
    throw usage_error("the server and this party's memory allow " + std::to_string(s.ready.max_prepared) +
                      " prepared images at a time");
  s.check_budget(batch);
  s.guarded([&] { s.party->prepare({Request::Kind::kPrepare, batch, ++s.counter}); });
}

std::vector<std::int64_t> ClientSession::infer(std::span<const Word> images, std::uint32_t batch,
                                               const StepObserver& observer) {
  State& s = *state_;
  s.check(batch);
  if (images.size() != tensor_words(s.plan.nodes.front(), batch))
    throw usage_error("a batch of " + std::to_string(batch) + " images has " +
                      std::to_string(tensor_words(s.plan.nodes.front(), batch)) + " elements, not " +
                      std::to_string(images.size()));
  const bool prepared = s.party->executor().next_prepared() == batch;
  if (!prepared) s.check_budget(batch);
  // The counter is burnt, whatever happens next.
  const Request request{prepared ? Request::Kind::kPrepared : Request::Kind::kBatch, batch, ++s.counter};
  const Words output = s.guarded([&] { return s.party->run_batch(images, request, observer); });
  const Node& node = output_node(s.plan);
  std::vector<std::int64_t> opened(output.size());
  std::transform(output.begin(), output.end(), opened.begin(), [&](Word w) {
    return node.op == Op::kArgMax ? static_cast<std::int64_t>(w) : node.type.ring().to_signed(w);
  });
  return opened;
}

SessionSummary ClientSession::finish() {
  if (state_->failed) throw connection_error("this session ended with an error", "start a new session");
  state_->party->say_goodbye();
  return state_->party->finish();
}

void check_prepare(std::uint32_t prepare, std::uint32_t batch) {
  if (prepare != 0 && prepare < batch)
    throw usage_error(
        "material for " + std::to_string(prepare) + " images is less than a batch of " + std::to_string(batch),
        "--prepare must be 0 or at least --batch");
}

void prepare_ahead(ClientSession& session, std::uint64_t images, std::uint32_t batch) {
  if (session.prepared_images() > 0) return;
  std::uint64_t room = session.max_prepared();
  while (images > 0) {
    const std::uint64_t n = std::min<std::uint64_t>(images, batch);
    if (n > room) return;
    session.prepare(static_cast<std::uint32_t>(n));
    images -= n;
    room -= n;
  }
}

}  // namespace eqo
