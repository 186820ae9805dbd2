#include "eqo/planner/he_choice.h"

#include <algorithm>
#include <bit>
#include <set>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/planner/step_params.h"
#include "eqo/protocols/direct_kernels.h"

namespace eqo {
namespace {

constexpr unsigned kMostRevealed = 40;

// Results of one image: the Winograd tiles' cropped outputs count as well.
std::uint64_t revealed_by(const PublicPlan& plan, const Node& node) {
  return static_cast<std::uint64_t>(direct_kernels(conv_spec(plan, node)).shape.out().size());
}

// Bytes of a first image, and the moduli that its layers ask for.
struct Priced {
  std::uint64_t bytes = 0;
  std::set<unsigned> moduli;
};
Priced price(const PublicPlan& plan, const HeOptions& options) {
  Priced out;
  CostMeter meter;
  std::vector<HeParams> layers;
  for (const Node& node : plan.nodes) {
    if (node.op != Op::kConv) continue;
    try {
      const HeConvPlan he = plan_he_convolution(conv_spec(plan, node), options);
      layers.push_back(he.params);
      out.moduli.insert(he.params.modulus_bits);
      he_convolution_online_cost(meter, he, 1);
    } catch (const Error& e) {
      if (e.category() != Category::kModel) throw;  // this one will not be homomorphic
    }
  }
  he_keys_setup_cost(meter, layers);
  out.bytes = meter.cost().total_bytes();
  return out;
}

}  // namespace

HeOptions choose_he(const PublicPlan& plan, std::uint64_t images) {
  std::uint64_t revealed = 1;
  for (const Node& node : plan.nodes)
    if (node.op == Op::kConv) revealed += revealed_by(plan, node);
  HeOptions best;
  const std::uint64_t most = std::uint64_t{1} << kMostRevealed;
  best.log_revealed = revealed >= most / std::max<std::uint64_t>(images, 1)
                          ? kMostRevealed
                          : static_cast<unsigned>(std::bit_width(revealed * images - 1));
  const Priced apart = price(plan, best);
  std::uint64_t least = apart.bytes;
  for (const unsigned bits : apart.moduli) {
    const HeOptions shared{best.log_revealed, bits};
    const std::uint64_t bytes = price(plan, shared).bytes;
    if (bytes >= least) continue;
    least = bytes;
    best = shared;
  }
  return best;
}

std::uint64_t he_images(const PublicPlan& plan, const HeOptions& options) {
  std::uint64_t revealed = 0;
  for (const Node& node : plan.nodes)
    if (node.method.homomorphic) revealed += revealed_by(plan, node);
  return revealed == 0 ? std::uint64_t{1} << 32 : (std::uint64_t{1} << options.log_revealed) / revealed;
}

}  // namespace eqo
