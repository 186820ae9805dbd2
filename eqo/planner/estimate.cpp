#include "eqo/planner/estimate.h"

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "eqo/crypto/hash.h"
#include "eqo/planner/step_params.h"
#include "eqo/protocols/ot_product.h"

namespace eqo {
namespace {

// What the work of a step is made of, relative to one block of the hash as measured here. The factors are rough,
// chosen by hand: for ResNet-20 W8A8 the estimate is half of what was measured with both parties on two busy cores.
constexpr double kBlocksPerCot = 24;           // extension, transpose, and the pads made of it
constexpr double kBlocksPerProductByte = 0.6;  // pads, masking, packing, adding up
constexpr double kBlocksPerMac = 0.02;         // the server's local product

double seconds_per_block() {
  constexpr std::size_t kKeys = 4096, kEach = 64;
  const Blocks keys(kKeys);
  Blocks out(kKeys * kEach);
  double best = 1;
  for (int round = 0; round < 3; ++round) {
    const auto start = std::chrono::steady_clock::now();
    hash_expand(keys, static_cast<std::uint64_t>(round), kEach, out);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::min(best, seconds / static_cast<double>(out.size()));
  }
  return best;
}

}  // namespace

void estimate_seconds(RunReport& report, const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch,
                      const Link& link) {
  const double block = seconds_per_block();
  report.setup_seconds = link_seconds(link, report.setup_bytes, report.setup_flights);
  report.online_seconds = link_seconds(link, report.online_bytes, report.online_flights);
  for (LayerRow& row : report.layers) row.seconds = link_seconds(link, row.setup_bytes + row.online_bytes, row.flights);
  constexpr std::size_t kFirstStep = 2;  // after handshake and base OTs, see planned_report()
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const Node& node = plan.nodes[i];
    LayerRow& row = report.layers[kFirstStep + i];
    const Cost setup = dry_run([&](CostMeter& m) { step_setup_protocol(m, plan, node); });
    const Cost online = dry_run([&](CostMeter& m) { step_online_protocol(m, plan, node, options, batch); });
    const double setup_work = block * kBlocksPerCot * static_cast<double>(setup.cots[0] + setup.cots[1]);
    double online_work = block * kBlocksPerCot * static_cast<double>(online.cots[0] + online.cots[1]);
    if (node.op == Op::kConv) {
      const ConvShape shape = conv_shape(plan, node);
      online_work += block * (kBlocksPerProductByte * static_cast<double>(row.online_bytes) +
                              kBlocksPerMac * static_cast<double>(shape.macs() * batch));
    }
    row.seconds += setup_work + online_work;
    report.setup_seconds += setup_work;
    report.online_seconds += online_work;
  }
}

}  // namespace eqo
