#include "eqo/planner/work_rates.h"

#include <array>
#include <chrono>
#include <exception>
#include <numeric>
#include <thread>
#include <vector>

#include "eqo/net/memory_transport.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/protocols/he_product.h"
#include "eqo/protocols/ot_product.h"
#include "eqo/protocols/requantize.h"

namespace eqo {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kCots = std::uint64_t{1} << 21;  // each way: several rounds of any extension
constexpr std::size_t kElements = std::size_t{1} << 16;
constexpr RequantizeSpec kRequantize{.from = Ring(14), .to = Ring(14), .shift = 6, .relu = true};

// A layer of ResNet-32's middle, with 2-bit weights.
ProductSpec product_spec() { return {{16, 32, 32, 256, Ring(14)}, {WeightCode{{0, 1}, {1, -1}, 0, 0}}}; }

// The same layer with nothing to gain from more than 4 bits.
ConvSpec conv_spec() {
  return {
      {{32, 16, 16}, 32, 1, {3, 3, 1, 1, 1, 1, 1, 1}, ConvDomain::kDirect}, Ring(14), {WeightCode::twos_complement(4)}};
}

class Stopwatch {
 public:
  double lap() {
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  Clock::time_point last_ = Clock::now();
};

// Both parties meet between the parts, so that a slow one's delay is not taken for the other's work.
void meet(Channel& channel) {
  std::array<std::byte, 1> byte{};
  channel.send(byte);
  channel.recv(byte);
}

// Of homomorphic products. Each side's steps take their time apart from messages: what one does is the other's wait.
void measure_he(Context& ctx, Stopwatch& watch, WorkRates& w) {
  const HeConvPlan plan = plan_he_convolution(conv_spec(), {.log_revealed = 20, .min_modulus_bits = 90});
  const HeParams& params = plan.params;
  const auto ring = make_he_ring(params);
  const HeClientKey key(ring, ctx.prg);
  const HePublicKey public_key(ring, key.public_key(ctx.prg));
  constexpr std::size_t kInputs = 8;
  const Words messages(kInputs * params.degree);
  const auto each = [](double seconds, std::size_t n) { return seconds / static_cast<double>(n); };
  meet(ctx.channel);
  watch.lap();
  const Bytes sent = key.encrypt(params, messages, ctx.prg);
  const double encrypt = each(watch.lap(), kInputs);
  const HeInputs inputs(*ring, kInputs, sent);
  w.he_input = std::max(encrypt, each(watch.lap(), kInputs));

  HeWeights weights(ring);
  WipedVector<std::int32_t> polynomial(params.degree);
  polynomial[params.degree / 2] = 1;
  std::vector<HeTerm> terms;
  watch.lap();
  for (std::uint32_t i = 0; i < kInputs; ++i) terms.push_back({i, static_cast<std::uint32_t>(weights.add(polynomial))});
  w.he_weight = each(watch.lap(), kInputs);

  std::vector<std::uint32_t> needed(params.degree / 4);
  std::iota(needed.begin(), needed.end(), 0U);
  const Words mask(needed.size());
  const auto answer = [&](std::size_t n) {
    watch.lap();
    const Bytes bytes =
        he_answer(params, public_key, inputs, weights, std::span(terms).first(n), needed, mask, ctx.prg);
    const double seconds = watch.lap();
    return std::pair(bytes, seconds);
  };
  answer(1);  // warms the buffers
  const auto [one, short_time] = answer(1);
  const auto [all, long_time] = answer(kInputs);
  w.he_term = std::max(0.0, each(long_time - short_time, kInputs - 1));
  watch.lap();
  key.decrypt(params, one, needed);
  w.he_answer = std::max(short_time, watch.lap());
}

// One party's part; the seconds of each.
WorkRates run_party(Party party, std::unique_ptr<Transport> transport, const OtOptions& options) {
  Channel channel(party, std::move(transport));
  Prg prg = Prg::from_os();
  ThreadPool threads(1);
  WorkRates w;
  Stopwatch watch;
  const auto ot = make_ot_pool(channel, prg, threads, options);
  w.base_ots = watch.lap();
  Context ctx{party, channel, *ot, prg, threads};

  meet(channel);
  watch.lap();
  OtPoolCost made(options);
  CostMeter traffic;
  made.setup(traffic);
  const std::uint64_t before = made.generated(Party::kServer) + made.generated(Party::kClient);
  made.reserve(traffic, kCots, kCots);
  ot->reserve(kCots, kCots);
  w.cot = watch.lap() / static_cast<double>(made.generated(Party::kServer) + made.generated(Party::kClient) - before);

  const ProductSpec spec = product_spec();
  const WipedVector<std::uint16_t> codes(spec.shape.count * spec.shape.rows * spec.shape.inner, 1);
  const auto product = party == Party::kServer ? make_ot_product_server(spec, codes) : make_ot_product_client(spec);
  meet(channel);
  watch.lap();
  product->setup(ctx);
  w.key = watch.lap() / static_cast<double>(ot_product_keys(spec));

  const Words v(spec.shape.count * spec.shape.inner * spec.shape.cols);
  constexpr std::uint64_t kRounds = 4;
  const Cost rows = dry_run([&](CostMeter& m) { ot_product_online_cost(m, spec, 1); });
  product->online(ctx, 1, 1, v);  // warms the buffers
  meet(channel);
  watch.lap();
  for (std::uint64_t i = 0; i < kRounds; ++i) product->online(ctx, 2 + i, 1, v);
  w.product_client = w.product_server = watch.lap() / static_cast<double>(kRounds * rows.total_bytes());

  measure_he(ctx, watch, w);

  const Words y(kElements);
  const Cost steps = dry_run([&](CostMeter& m) { requantize_cost(m, kRequantize, kElements, {}); });
  meet(channel);
  watch.lap();
  requantize(ctx, kRequantize, y, {});
  w.non_linear = watch.lap() / static_cast<double>(steps.total_bytes());

  Words sum = y;
  watch.lap();
  for (std::size_t i = 0; i < kElements; ++i) sum[i] = kRequantize.from.add(sum[i], y[i]);
  w.element = 4 * watch.lap() / static_cast<double>(kElements);  // a step makes and reads some copies
  channel.finish();
  return w;
}

}  // namespace

WorkRates measure_work_rates(const OtOptions& options) {
  auto ends = make_memory_transports();
  WorkRates client, server;
  std::exception_ptr failed;
  std::thread other([&] {
    try {
      client = run_party(Party::kClient, std::move(ends.second), options);
    } catch (...) {
      failed = std::current_exception();
    }
  });
  try {
    server = run_party(Party::kServer, std::move(ends.first), options);
  } catch (...) {
    other.join();
    throw;
  }
  other.join();
  if (failed) std::rethrow_exception(failed);
  WorkRates w;
  for (double WorkRates::*field :
       {&WorkRates::base_ots, &WorkRates::cot, &WorkRates::key, &WorkRates::product_client, &WorkRates::product_server,
        &WorkRates::he_input, &WorkRates::he_term, &WorkRates::he_answer, &WorkRates::he_weight, &WorkRates::non_linear,
        &WorkRates::element})
    w.*field = std::max(client.*field, server.*field);
  return w;
}

}  // namespace eqo
