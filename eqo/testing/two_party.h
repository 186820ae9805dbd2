#pragma once
#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <utility>

#include "eqo/net/memory_transport.h"
#include "eqo/ot/context.h"

namespace eqo::testing {

// Runs server(channel) and client(channel) on two threads over an in-memory pair and returns both results. If one
// throws, its channel is closed so that the other wakes up; the error then names both parties' messages.
template <typename F, typename G>
auto run_two_channels(F server, G client) {
  auto [a, b] = make_memory_transports();
  Channel cs(Party::kServer, std::move(a)), cc(Party::kClient, std::move(b));
  auto guarded = [](Channel& ch, auto& f) {
    try {
      return f(ch);
    } catch (...) {
      ch.close();
      throw;
    }
  };
  auto fs = std::async(std::launch::async, [&] { return guarded(cs, server); });
  auto fc = std::async(std::launch::async, [&] { return guarded(cc, client); });
  std::string errors;
  auto take = [&](auto& f, const char* who) {
    try {
      return f.get();
    } catch (const std::exception& e) {
      errors += std::string(who) + ": " + e.what() + "\n";
      return decltype(f.get()){};
    }
  };
  auto rs = take(fs, "server");
  auto rc = take(fc, "client");
  if (!errors.empty()) throw std::runtime_error(errors);
  return std::pair(std::move(rs), std::move(rc));
}

// What a party's function returned, and what it cost from the first reserve() to the end (base OTs left out).
template <typename R>
struct Measured {
  R result{};
  Traffic traffic{};
  std::vector<Message> trace;
};

// The cost of `protocol` when its COTs are reserved in one step just before it: what run_protocol measures.
Cost predicted(const OtOptions& options, const std::function<void(CostMeter&)>& protocol);

// Two parties with OT pools. Before each function runs, exactly the COTs that `protocol_cost` names are reserved; after
// it, none may be left. Traffic is measured without the base OTs.
template <typename F, typename G>
auto run_protocol(const std::function<void(CostMeter&)>& protocol_cost, F server, G client, unsigned threads = 1,
                  OtOptions options = {}) {
  CostMeter dry;
  protocol_cost(dry);
  const Cost need = dry.cost();
  auto party = [&](auto& f) {
    return [&, threads](Channel& ch) {
      Prg prg = Prg::from_os();
      ThreadPool pool(threads);
      auto ot = make_ot_pool(ch, prg, pool, options);
      const Traffic before = ch.traffic();
      ch.record_trace();
      const auto mine = static_cast<std::size_t>(ch.party());
      ot->reserve(need.cots[mine], need.cots[1 - mine]);
      Context ctx{ch.party(), ch, *ot, prg, pool};
      using R = decltype(f(ctx));
      Measured<R> m;
      m.result = f(ctx);
      if (ot->sender_left() != 0 || ot->receiver_left() != 0)
        throw std::runtime_error("the cost function names more COTs than the protocol takes");
      m.traffic = ch.traffic();
      m.traffic.sent_bytes -= before.sent_bytes;
      m.traffic.received_bytes -= before.received_bytes;
      m.traffic.flights -= before.flights;
      m.trace = ch.trace();
      return m;
    };
  };
  return run_two_channels(party(server), party(client));
}

// True if what both endpoints measured is exactly the prediction.
template <typename M, typename N>
bool traffic_is(const M& server, const N& client, const Cost& cost) {
  return server.traffic.sent_bytes == cost.bytes[0] && server.traffic.received_bytes == cost.bytes[1] &&
         client.traffic.sent_bytes == cost.bytes[1] && client.traffic.received_bytes == cost.bytes[0] &&
         server.traffic.flights == cost.flights && client.traffic.flights == cost.flights;
}

}  // namespace eqo::testing
