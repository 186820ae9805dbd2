#include "eqo/cli/bench_measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "eqo/cli/bench_process.h"
#include "eqo/core/error.h"
#include "eqo/model/model_io.h"
#include "eqo/model/quantize.h"
#include "eqo/net/handshake.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/planner/run_report.h"
#include "eqo/runtime/local.h"

namespace eqo::cli {
namespace {

const WorkRates& rates_of(const BenchRates& rates, const OtOptions& ot) {
  if (ot.kind == OtKind::kSilent) return rates.silent;
  return ot.softspoken_k == 1 ? rates.iknp : rates.softspoken;
}

nlohmann::json planned(const Offer& offer, const BenchRates& rates, const std::optional<LinkSpec>& network) {
  const PublicPlan& plan = offer.model.plan;
  const RunReport report = planned_run(offer, rates, network);
  const Bytes exec = serialize(offer.exec);
  std::string program = describe(plan);
  for (const std::byte b : exec) program += fmt::format(" {}", std::to_integer<int>(b));
  return {{"setup_bytes", report.setup_bytes},     {"online_bytes", report.online_bytes},
          {"setup_flights", report.setup_flights}, {"online_flights", report.online_flights},
          {"setup_seconds", report.setup_seconds}, {"online_seconds", report.online_seconds},
          {"memory", report.peak_rss_bytes},       {"program", program}};
}

// The runs, into `result`.
void run(const Offer& offer, const std::vector<float>& question, const MeasureOptions& options,
         nlohmann::json& result) {
  const std::vector<Word> image = quantize_image(offer.model.plan, question);
  LocalOptions local;
  local.threads = options.threads;
  local.verify = true;
  const LocalResult checked = run_local(offer, image, 1, local);
  std::string difference;
  if (checked.difference) difference = checked.difference->to_string(offer.model.plan);
  if (difference.empty() && !checked.verified.at(0)) difference = "the opened result";
  local.verify = false;
  local.network = options.network;
  std::uint64_t memory = 0;
  for (unsigned i = 0; i < options.runs; ++i) {
    const LocalResult timed = run_local(offer, image, 1, local);
    const RunReport& client = timed.client.report;
    if (difference.empty() && timed.outputs != checked.outputs) difference = "the opened result of a timed run";
    if (difference.empty() &&
        (client.setup_bytes != result["setup_bytes"] || client.online_bytes != result["online_bytes"] ||
         client.setup_flights != result["setup_flights"] || client.online_flights != result["online_flights"]))
      difference = "bytes or flights of a timed run, from the plan";
    memory = std::max({memory, client.peak_rss_bytes, timed.server.report.peak_rss_bytes});
    result["runs"].push_back({client.setup_seconds, client.online_seconds});
  }
  result["memory"] = memory;
  result["difference"] = difference;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n == 0 ? 0 : (values[(n - 1) / 2] + values[n / 2]) / 2;
}

}  // namespace

RunReport planned_run(const Offer& offer, const BenchRates& rates, const std::optional<LinkSpec>& network) {
  const PublicPlan& plan = offer.model.plan;
  const auto by_party = handshake_bytes(offer.plan_bytes.size(), kExecOptionsBytes);
  const Cost handshake{{by_party[0], by_party[1]}, kHandshakeFlights, {}};
  const LinkSpec link = network.value_or(LinkSpec{});
  SessionPlan session(plan, offer.exec, {false, &link, &rates_of(rates, offer.exec.ot)});
  RunReport report = planned_report(plan, session.next(1), handshake);
  report.setup_seconds += link.round_trip_seconds / 2 * static_cast<double>(handshake.flights);
  report.peak_rss_bytes = estimated_memory(plan, offer.exec, 1);
  return report;
}

BenchImages random_images(const Shape& shape, std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);  // its sequence is the standard's: the same images everywhere
  const auto fill = [&](std::vector<float>& values, std::size_t n) {
    values.resize(n);
    for (float& v : values) v = static_cast<float>(static_cast<double>(random() >> 11) * 0x1p-53 * 4.7 - 2.1);
  };
  BenchImages images;
  images.count = count == 0 ? kBenchImages : count;
  const auto size = static_cast<std::size_t>(shape.size());
  fill(images.calibration, images.count * size);
  fill(images.question, size);
  return images;
}

BenchImages images_of(const Dataset& data, std::size_t count, const Preprocess& preprocess) {
  BenchImages images;
  images.count = std::min(count == 0 ? kBenchImages : count, data.size());
  if (images.count == 0) throw data_error("there are no calibration images");
  for (std::size_t i = 0; i < images.count; ++i) {
    const std::vector<float> x = data.input(i, preprocess);
    images.calibration.insert(images.calibration.end(), x.begin(), x.end());
  }
  images.question = data.input(0, preprocess);
  return images;
}

Bytes quantized_bytes(const FloatGraph& graph, const BenchImages& images, const QuantizeOptions& options) {
  return in_child<Bytes>([&] { return serialize_model(quantize(graph, images.calibration, images.count, options)); });
}

BenchRates bench_rates() {
  const std::string bytes = in_child<std::string>([] {
    const BenchRates rates{measure_work_rates({OtKind::kSilent}), measure_work_rates({OtKind::kSoftSpoken, 4}),
                           measure_work_rates({OtKind::kSoftSpoken, 1})};
    std::string out(sizeof(rates), '\0');
    std::copy_n(reinterpret_cast<const char*>(&rates), sizeof(rates), out.data());
    return out;
  });
  BenchRates rates;
  if (bytes.size() != sizeof(rates)) throw internal_error("the rates have another size");
  std::copy_n(bytes.data(), sizeof(rates), reinterpret_cast<char*>(&rates));
  return rates;
}

Measurement measure(const Bytes& model, const Variant& variant, const std::vector<float>& question,
                    const BenchRates& rates, const MeasureOptions& options) {
  const auto text = in_child<std::string>([&] {
    const Offer offer = variant_offer(parse_model(model), variant, options.products, options.network);
    nlohmann::json result = planned(offer, rates, options.network);
    if (options.runs > 0) run(offer, question, options, result);
    return result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  });
  const nlohmann::json r = nlohmann::json::parse(text);
  Measurement m;
  m.setup_bytes = r["setup_bytes"];
  m.online_bytes = r["online_bytes"];
  m.setup_flights = r["setup_flights"];
  m.online_flights = r["online_flights"];
  m.planned = {r["setup_seconds"], r["online_seconds"]};
  m.peak_rss_bytes = r["memory"];
  m.program = r["program"];
  m.difference = r.value("difference", "");
  std::vector<double> setup, online;
  for (const auto& seconds : r.value("runs", nlohmann::json::array())) {
    m.runs.push_back({seconds.at(0), seconds.at(1)});
    setup.push_back(m.runs.back().setup);
    online.push_back(m.runs.back().online);
  }
  m.median = {median(setup), median(online)};
  return m;
}

}  // namespace eqo::cli
