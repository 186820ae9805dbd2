#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eqo/model/graph.h"
#include "eqo/model/plan_io.h"
#include "eqo/net/transport.h"
#include "eqo/passes/passes.h"
#include "eqo/planner/exec_options.h"
#include "eqo/planner/run_report.h"
#include "eqo/runtime/executor.h"

namespace eqo {

inline constexpr std::uint32_t kMaxBatch = 1 << 20;  // images

// What the server offers to every client: prepared once, shared by all sessions, not changed.
struct Offer {
  Model model;
  std::string plan_bytes;  // serialize_plan(model.plan)
  Digest model_digest{};
  ExecOptions exec;
  std::uint32_t max_batch = 64;        // 1..kMaxBatch
  std::uint64_t max_images = 0;        // a session, prepared ones included; 0: no limit
  std::uint32_t max_prepared = 0;      // images that may be prepared at a time, memory allowing
  std::uint64_t max_memory_bytes = 0;  // a session's estimate; 0: no limit. The batches granted are no larger than that
  unsigned threads = 1;
};

// With kLabel the plan ends in kArgMax, so that nobody learns the logits. Then the passes rewrite the plan, unless it
// is a peer's. Throws
// usage_error if the plan already ends in kArgMax and logits are asked for, or for passes that do not exist.
enum class Reveal { kLogits, kLabel };
Offer make_offer(Model model, const Digest& model_digest, const ExecOptions& exec, Reveal reveal,
                 const PassOptions& passes = {}, const PassObserver& observer = {});

// The counted costs and the times of one session, as one party saw them.
struct SessionSummary {
  RunReport report;                      // setup and the first batch; every later one was compared with its plan, too
  std::uint64_t later_online_bytes = 0;  // of the batches after the first
  std::uint64_t images = 0;              // answered
  std::uint64_t batches = 0;
  double online_seconds = 0;  // of all batches
  // Of all that was prepared, used or not.
  std::uint64_t prepared_batches = 0, prepared_bytes = 0;
  double prepared_seconds = 0;
};

// Called after every step of a batch with this party's share: for --verify, where one user owns both parties.
using StepObserver = SecureExecutor::Observer;

// Serves one client until its goodbye: handshake, setup, batches. Throws the error that ended the session early;
// resource_error before a byte is sent if one image needs more memory than allowed.
// The transport is closed in any case.
SessionSummary serve_session(std::unique_ptr<Transport> transport, const Offer& offer,
                             const StepObserver& observer = {});

// The client's side.
struct ClientOptions {
  unsigned threads = 1;
  std::uint64_t max_memory_bytes = 0;  // refuse a plan whose estimate for one batch is above; 0: no limit
  std::uint32_t batch = 1;             // the largest batch that will be asked for, for that estimate
  std::uint32_t prepare = 0;           // images that will be prepared at a time; fewer if the memory is too small
  std::optional<Digest> pinned_model;  // tls_error unless the server's model has this digest
  bool require_logits = false;         // policy_error if the server reveals the label alone
};

class ClientSession {
 public:
  // Handshake and setup. Throws what the handshake, the plan's validation or the limits say.
  ClientSession(std::unique_ptr<Transport> transport, const ClientOptions& options);
  ~ClientSession();

  const PublicPlan& plan() const;
  const Digest& model_digest() const;
  const ExecOptions& exec() const;
  std::uint32_t max_batch() const;  // images, as the server grants and this party's memory allows

  // Images that may be prepared and not answered at a time, as the server grants and this party's memory allows; at
  // most ClientOptions::prepare.
  std::uint32_t max_prepared() const;
  std::uint64_t prepared_images() const;

  // Makes everything for a batch of this many images that does not depend on them: homomorphic products of random
  // inputs, correlated OTs. The next infer() of this size takes the oldest material, if that is what it was made for;
  // other batches do without. It is in this process's memory alone: a session that ends or fails loses it. Counts
  // against the session's images, used or not. Errors as of infer().
  void prepare(std::uint32_t batch);

  // One batch of quantized images (model/quantize.h), one behind the other: the opened outputs, [batch][outputs], as
  // signed numbers (logits) or labels where the plan ends in kArgMax. Throws usage_error for a batch or a length that
  // does not fit and policy_error beyond the session's images, before anything is sent: the session goes on.
  // After any other error it does not: every further call throws connection_error.
  std::vector<std::int64_t> infer(std::span<const Word> images, std::uint32_t batch, const StepObserver& observer = {});

  // Says goodbye and closes. Every batch has checked that what was counted is what the plan said.
  SessionSummary finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// usage_error unless `prepare` is 0 or at least a batch.
void check_prepare(std::uint32_t prepare, std::uint32_t batch);

// If nothing is prepared: prepares for as many of `images` coming images as may be, in batches of `batch`, the last one
// perhaps smaller.
void prepare_ahead(ClientSession& session, std::uint64_t images, std::uint32_t batch);

}  // namespace eqo
