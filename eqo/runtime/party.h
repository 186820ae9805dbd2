#pragma once
#include <chrono>
#include <deque>
#include <memory>
#include <span>

#include "eqo/core/thread_pool.h"
#include "eqo/crypto/prg.h"
#include "eqo/net/channel.h"
#include "eqo/runtime/control.h"
#include "eqo/runtime/executor.h"
#include "eqo/runtime/session.h"

namespace eqo {

// What both roles of a session have in common after the handshake: channel, OTs, executor and the books.
class PartyState {
 public:
  PartyState(Party party, std::unique_ptr<Transport> transport, Prg prg, const PublicPlan& plan,
             const ExecOptions& exec, const Model* model, unsigned threads, std::uint64_t plan_bytes,
             std::uint64_t params_bytes, std::chrono::steady_clock::time_point start);

  Channel& channel() { return channel_; }
  // Answered or prepared, used or not: what the session's budgets are about.
  std::uint64_t images() const { return images_ + unused_; }
  const SecureExecutor& executor() const { return *executor_; }

  // The products' keys, and the server's `ready`, which the client gets back from here.
  Ready setup(const Ready& granted = {});
  // Server: the next request (see receive_request); protocol_error also for preparing more images at a time than
  // max_prepared, and for a prepared batch that is not the next one.
  Request next_request(const Ready& granted, std::uint64_t counter);
  // Client: sends the request. Both: make the material. Errors as in run_batch().
  void prepare(const Request& request);
  // Client: sends the request. Both: the steps, then the server's share goes to the client, who returns the opened
  // output; the server returns nothing. Throws internal_error if a byte differs from the plan, protocol_error if a
  // flight does.
  Words run_batch(std::span<const Word> images, const Request& request, const StepObserver& observer);
  void say_goodbye();  // client
  void discard_prepared() { executor_->discard_prepared(); }
  // Flushes and closes.
  SessionSummary finish();

 private:
  void send_request(const Request& request);
  RunReport counted() const;
  void check_against_plan();

  Party party_;
  Channel channel_;
  Prg prg_;
  ThreadPool threads_;
  const PublicPlan& plan_;
  const ExecOptions& exec_;
  SessionPlan session_;
  Cost handshake_;
  std::unique_ptr<OtPool> ot_;
  std::unique_ptr<Context> ctx_;
  std::unique_ptr<SecureExecutor> executor_;
  std::chrono::steady_clock::time_point start_;
  double setup_seconds_ = 0, batch_seconds_ = 0, online_seconds_ = 0;
  double base_seconds_ = 0;
  Traffic after_base_, after_keys_, after_setup_, before_batch_, after_request_, after_steps_, after_batch_;
  // Of what is prepared and not used, the oldest first: its request, and all of it.
  struct Prepared {
    std::uint64_t images = 0;
    Traffic request, all;
    double seconds = 0;
  };
  std::deque<Prepared> prepared_;
  Prepared material_;  // of the last batch
  std::uint64_t images_ = 0, batches_ = 0, unused_ = 0;
  RunReport planned_, report_;  // of the last batch
  RunReport first_;             // of the first one
  std::uint64_t later_bytes_ = 0, prepared_batches_ = 0, prepared_bytes_ = 0;
  double prepared_seconds_ = 0;
};

}  // namespace eqo
