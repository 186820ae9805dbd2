#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "eqo/model/graph.h"
#include "eqo/net/link_clock.h"
#include "eqo/passes/passes.h"
#include "eqo/quantizer/quant_pass.h"
#include "eqo/runtime/session.h"

namespace eqo::cli {

// One row of an ablation: the full system but for what is named here.
struct Variant {
  std::string group, name;
  std::set<QuantPass> quantizer{};   // passes left out
  std::set<std::string> runtime{};   // of eqo/passes
  std::optional<OtKind> ot{};        // forced
  unsigned softspoken_k = 4;         // of a forced SoftSpoken
  std::optional<unsigned> levels{};  // of a comparison's tree
};

// The full system first. Every pass alone; those that stand in for one another together; all; other OTs and trees.
std::vector<Variant> ablation_variants();

// What `eqo serve` would offer with the flags that the variant stands for.
Offer variant_offer(Model model, const Variant& variant, const ProductOptions& products,
                    const std::optional<LinkSpec>& link);

}  // namespace eqo::cli
