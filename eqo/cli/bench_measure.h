#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eqo/cli/bench_variants.h"
#include "eqo/core/secret.h"
#include "eqo/data/dataset.h"
#include "eqo/importer/float_graph.h"
#include "eqo/net/simulated_link.h"
#include "eqo/passes/passes.h"
#include "eqo/planner/run_report.h"
#include "eqo/planner/work_rates.h"
#include "eqo/quantizer/quantizer.h"

namespace eqo::cli {

// Every piece of work below is done in a process of its own, so that the memory of one variant's parties does not
// count what the work before it has left behind.

// Float images of one shape, one behind the other: what networks are calibrated on and asked.
struct BenchImages {
  std::vector<float> calibration;
  std::size_t count = 0;
  std::vector<float> question;  // one more
};
inline constexpr std::size_t kBenchImages = 8;
// Seeded random ones over the range of normalized pixels, or the first of a data set; count 0: kBenchImages.
BenchImages random_images(const Shape& shape, std::size_t count, std::uint64_t seed);
BenchImages images_of(const Dataset& data, std::size_t count, const Preprocess& preprocess);

// serialize_model() of the network, quantized. Wiped by its type.
Bytes quantized_bytes(const FloatGraph& graph, const BenchImages& images, const QuantizeOptions& options);

// How fast this machine is with each OT extension of the variants.
struct BenchRates {
  WorkRates silent, softspoken, iknp;
};
BenchRates bench_rates();

// A session with one image as it is planned: exact bytes and flights, estimated seconds and memory.
RunReport planned_run(const Offer& offer, const BenchRates& rates, const std::optional<LinkSpec>& network);

struct MeasureOptions {
  std::optional<LinkSpec> network;
  unsigned runs = 3;  // timed ones; 0: only the plan
  unsigned threads = 1;
  ProductOptions products;
};

struct RunSeconds {
  double setup = 0, online = 0;
};

struct Measurement {
  std::uint64_t setup_bytes = 0, online_bytes = 0, setup_flights = 0, online_flights = 0;  // exact, of a first image
  RunSeconds planned;                                                                      // an estimate
  std::vector<RunSeconds> runs;
  RunSeconds median;                 // of each column of `runs`
  std::uint64_t peak_rss_bytes = 0;  // the larger party's, counted; without runs an estimate
  std::string difference;            // from the twin, in words; empty: none, or no run
  std::string program;               // what is executed, in words: equal for two variants with equal costs
  bool verified() const { return !runs.empty() && difference.empty(); }
};

// The plan and, with runs, one run in which every step is compared with the twin, then the timed ones whose outputs
// must be the same (comparing steps would be in the times). Throws what a party threw.
Measurement measure(const Bytes& model, const Variant& variant, const std::vector<float>& question,
                    const BenchRates& rates, const MeasureOptions& options);

}  // namespace eqo::cli
