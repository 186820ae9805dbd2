#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "eqo/net/handshake.h"
#include "eqo/runtime/control.h"
#include "eqo/runtime/runtime_testing.h"
#include "eqo/runtime/session.h"

// What tests of sessions share.
namespace eqo::testing {

inline Cost handshake_of(const Offer& offer) {
  const auto bytes = handshake_bytes(offer.plan_bytes.size(), kExecOptionsBytes);
  Cost handshake;
  handshake.bytes = {bytes[0], bytes[1]};
  handshake.flights = kHandshakeFlights;
  return handshake;
}

inline RunReport planned(const Offer& offer, std::uint64_t batch) {
  return planned_report(offer.model.plan, plan_cost(offer.model.plan, offer.exec, batch), handshake_of(offer));
}

// Handshake and setup as a client does them; then `f` has the bare channel.
template <typename F>
End<SessionSummary> server_against(const Offer& offer, F f) {
  const auto [server, client] = run_session(make_memory_transports(), offer, [&](std::unique_ptr<Transport> t) {
    Prg prg = Prg::from_os();
    client_handshake(*t, {}, {});
    Channel channel(Party::kClient, std::move(t));
    ThreadPool threads(1);
    const auto ot = make_ot_pool(channel, prg, threads, offer.exec.ot);
    Context ctx{Party::kClient, channel, *ot, prg, threads};
    SecureExecutor executor(ctx, offer.model.plan, offer.exec, nullptr);
    executor.setup();
    receive_ready(channel);
    f(channel, executor);
    return true;
  });
  EXPECT_TRUE(bool(client)) << client.text();
  return server;
}

}  // namespace eqo::testing
