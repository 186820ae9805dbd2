#include "eqo/planner/run_report.h"

#include <sys/resource.h>

#include <algorithm>

#include "eqo/planner/peer_step_cost.h"
#include "eqo/planner/step_params.h"
#include "eqo/protocols/prepared_convolution.h"

namespace eqo {

RunReport planned_report(const PublicPlan& plan, const PlanCost& cost, const Cost& handshake) {
  RunReport r;
  const auto server = static_cast<std::size_t>(Party::kServer);
  const auto client = static_cast<std::size_t>(Party::kClient);
  const auto sent = [&](std::size_t p) {
    return handshake.bytes[p] + cost.setup.bytes[p] + cost.prepared.bytes[p] + cost.online.bytes[p];
  };
  r.client_bytes = sent(client);
  r.server_bytes = sent(server);
  r.setup_bytes = handshake.total_bytes() + cost.setup.total_bytes();
  r.prepared_bytes = cost.prepared.total_bytes();
  r.online_bytes = cost.online.total_bytes();
  r.setup_flights = handshake.flights + cost.setup.flights;
  r.prepared_flights = cost.prepared.flights;
  r.online_flights = cost.online.flights;
  r.setup_seconds = cost.setup_seconds;
  r.prepared_seconds = cost.prepared_seconds;
  r.online_seconds = cost.online_seconds;
  const auto session_row = [](const char* name, const PartCost& setup, const PartCost& prepared,
                              const PartCost& online) {
    return LayerRow{name,
                    "session",
                    setup.cost.total_bytes(),
                    prepared.cost.total_bytes(),
                    online.cost.total_bytes(),
                    setup.cost.flights + prepared.cost.flights + online.cost.flights,
                    setup.seconds + prepared.seconds + online.seconds};
  };
  r.layers.push_back(session_row("handshake", {handshake, 0}, {}, {}));
  r.layers.push_back(session_row("base OTs", cost.session, {}, {}));
  if (cost.he_keys.cost.total_bytes() != 0) r.layers.push_back(session_row("public keys", cost.he_keys, {}, {}));
  r.layers.push_back(session_row("correlated OTs", cost.setup_cots, cost.prepared_cots, cost.online_cots));
  for (std::size_t i = 0; i < cost.steps.size(); ++i) {
    const StepCost& s = cost.steps[i];
    r.layers.push_back({s.name, op_name(plan.nodes[i].op), s.setup.total_bytes(), s.prepared.total_bytes(),
                        s.online.total_bytes(), s.setup.flights + s.prepared.flights + s.online.flights,
                        s.setup_seconds + s.prepared_seconds + s.online_seconds});
  }
  r.layers.push_back(session_row("ready", cost.ready, {}, {}));
  r.layers.push_back(session_row("request", {}, cost.prepare_request, cost.request));
  r.layers.push_back(session_row("result", {}, {}, cost.opening));
  r.layers.push_back({.name = "goodbye", .op = "session", .setup_bytes = framed_bytes(kControlBytes)});
  return r;
}

std::string first_difference(const RunReport& planned, const RunReport& counted) {
  const auto differ = [](const std::string& what, std::uint64_t p, std::uint64_t c) {
    return what + ": planned " + std::to_string(p) + ", counted " + std::to_string(c);
  };
  if (planned.layers.size() != counted.layers.size())
    return differ("rows", planned.layers.size(), counted.layers.size());
  for (std::size_t i = 0; i < planned.layers.size(); ++i) {
    const LayerRow& p = planned.layers[i];
    const LayerRow& c = counted.layers[i];
    if (p.name != c.name) return "row " + std::to_string(i) + ": planned '" + p.name + "', counted '" + c.name + "'";
    if (p.setup_bytes != c.setup_bytes) return differ("'" + p.name + "' setup bytes", p.setup_bytes, c.setup_bytes);
    if (p.prepared_bytes != c.prepared_bytes)
      return differ("'" + p.name + "' prepared bytes", p.prepared_bytes, c.prepared_bytes);
    if (p.online_bytes != c.online_bytes)
      return differ("'" + p.name + "' online bytes", p.online_bytes, c.online_bytes);
    if (p.flights != c.flights) return differ("'" + p.name + "' flights", p.flights, c.flights);
  }
  if (planned.client_bytes != counted.client_bytes)
    return differ("client's bytes", planned.client_bytes, counted.client_bytes);
  if (planned.server_bytes != counted.server_bytes)
    return differ("server's bytes", planned.server_bytes, counted.server_bytes);
  if (planned.setup_bytes != counted.setup_bytes)
    return differ("setup bytes", planned.setup_bytes, counted.setup_bytes);
  if (planned.prepared_bytes != counted.prepared_bytes)
    return differ("prepared bytes", planned.prepared_bytes, counted.prepared_bytes);
  if (planned.online_bytes != counted.online_bytes)
    return differ("online bytes", planned.online_bytes, counted.online_bytes);
  if (planned.setup_flights != counted.setup_flights)
    return differ("setup flights", planned.setup_flights, counted.setup_flights);
  if (planned.prepared_flights != counted.prepared_flights)
    return differ("prepared flights", planned.prepared_flights, counted.prepared_flights);
  if (planned.online_flights != counted.online_flights)
    return differ("online flights", planned.online_flights, counted.online_flights);
  return {};
}

std::uint64_t estimated_memory(const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch,
                               std::uint64_t prepared) {
  constexpr std::uint64_t kBase = std::uint64_t{48} << 20;  // the program, its libraries and I/O queues
  // Messages of products are long: on a slow link they fill what may wait to be sent (SocketLimits::write_queue).
  constexpr std::uint64_t kIknpMessages = std::uint64_t{64} << 20;
  std::uint64_t keys = 0, he_weights = 0, largest_step = 0, material = 0;
  std::vector<std::size_t> last_use(plan.nodes.size(), 0);
  for (std::size_t i = 0; i < plan.nodes.size(); ++i)
    for (const int in : plan.nodes[i].inputs) last_use[static_cast<std::size_t>(in)] = i;
  std::vector<std::uint64_t> words(plan.nodes.size(), 0);
  std::uint64_t alive = 0;
  if (prepared > 0)
    for (const Node& node : plan.nodes)
      if (node.op == Op::kConv) material += prepared_bytes(conv_spec(plan, node));
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const Node& node = plan.nodes[i];
    words[i] = tensor_words(node, batch);
    alive += words[i];
    const Cost setup = dry_run([&](CostMeter& m) { step_setup_protocol(m, plan, node, options); });
    keys += 16 * (setup.cots[0] + setup.cots[1]);
    // The words of input and output, and what the protocols keep of them.
    std::uint64_t step = 0;
    if (node.method.homomorphic) {
      // Transformed weights, up to what the keys allow for all layers; ciphertexts, both halves, and answers.
      const HeConvPlan he = he_plan(plan, node, options);
      const HeWork work = he_convolution_work(he, batch);
      const std::uint64_t polynomial = he.params.primes.size() * he.params.degree * sizeof(std::uint32_t);
      he_weights = std::min(he_weights + work.weights * polynomial, kHeWeightBytes);
      step +=
          3 * work.inputs * polynomial + work.results * he_answer_bytes(he.params, he.params.degree) + 8 * 6 * words[i];
    } else if (node.op == Op::kConv) {
      const ConvShape shape = conv_shape(plan, node);
      const std::uint64_t taps = node.domain == ConvDomain::kWinograd
                                     ? 4
                                     : static_cast<std::uint64_t>(node.window.kernel_h * node.window.kernel_w);
      step += 8 * 4 * words[i] + 8 * taps * batch * static_cast<std::uint64_t>(shape.in.size());
    } else {
      step += 8 * 6 * words[i];
    }
    if (is_peer(options.framework)) {
      step += peer_step_memory(plan, node, options.framework, batch);
    } else if (node.op == Op::kConv && !keys_products(options.framework)) {
      const Cost online = dry_run([&](CostMeter& m) { step_online_protocol(m, plan, node, options, batch); });
      step += 17 * (online.cots[0] + online.cots[1]);  // keys and corrections
    }
    largest_step = std::max(largest_step, step + 8 * alive);
    for (const int in : node.inputs)
      if (last_use[static_cast<std::size_t>(in)] == i) {
        alive -= words[static_cast<std::size_t>(in)];
        words[static_cast<std::size_t>(in)] = 0;
      }
  }
  SessionPlan session(plan, options);
  session.prepare_cots(1, prepared);
  session.next(batch);
  // A round of preparing: ciphertexts as they travel and as the server multiplies them.
  if (prepared > 0) largest_step += 4 * kPrepareRoundBytes;
  return kBase + (uses_iknp(options.framework) ? kIknpMessages : 0) + keys + he_weights + session.cot_memory_bytes() +
         prepared * material + largest_step;
}

std::uint64_t peak_rss_bytes() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace eqo
