#include "eqo/cli/bench_variants.h"

#include <fmt/format.h>

#include <utility>

#include "eqo/model/model_io.h"
#include "eqo/passes/passes.h"
#include "eqo/planner/he_choice.h"
#include "eqo/planner/ot_choice.h"

namespace eqo::cli {

std::vector<Variant> ablation_variants() {
  std::vector<Variant> list{{"full", "full"}};
  Variant none{"all", "all passes"};
  for (const std::string& name : quant_pass_names()) {
    list.push_back({"quantizer", name, {quant_pass(name)}});
    none.quantizer.insert(quant_pass(name));
  }
  for (const Pass& pass : passes()) {
    list.push_back({"run-time", pass.name, {}, {pass.name}});
    none.runtime.insert(pass.name);
  }
  list.push_back({"together", "share-extend, both", {QuantPass::kShareExtend}, {"share-extend"}});
  list.push_back({"together", "fuse, intervals", {}, {"fuse", "intervals"}});
  list.push_back(none);
  list.push_back({"OT", "silent", {}, {}, OtKind::kSilent});
  list.push_back({"OT", "softspoken(4)", {}, {}, OtKind::kSoftSpoken, 4});
  list.push_back({"OT", "IKNP", {}, {}, OtKind::kSoftSpoken, 1});
  for (const unsigned levels : {2U, 3U, 4U})
    list.push_back({"tree levels", fmt::format("{} levels", levels), {}, {}, {}, 4, levels});
  return list;
}

Offer variant_offer(Model model, const Variant& variant, const ProductOptions& products,
                    const std::optional<LinkSpec>& link) {
  ExecOptions exec;
  exec.ot.kind = variant.ot.value_or(OtKind::kSilent);
  exec.ot.softspoken_k = variant.softspoken_k;
  if (variant.levels) exec.compare.levels = *variant.levels;
  if (products.kind != Products::kOt) exec.he = choose_he(model.plan, products.images);
  const Digest digest = model_digest(model);
  Offer offer = make_offer(std::move(model), digest, exec, Reveal::kLogits, {variant.runtime, link, products.kind});
  offer.exec.ot = choose_ot(offer.model.plan, offer.exec, link, variant.ot);
  return offer;
}

}  // namespace eqo::cli
