#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "eqo/model/graph.h"
#include "eqo/net/link_clock.h"
#include "eqo/planner/exec_options.h"

namespace eqo {

// Rewrites of a quantized network that change what it costs and not what it computes: the optimized model's twin gives
// the same outputs for every image, proven by the steps' definitions and types, never by calibration. The server runs
// them before it offers a model; its public plan is then the optimized one, so that the client has nothing to choose.
// What changes the numbers (Winograd or direct products, the rings' widths, how residual branches are aligned) is the
// quantizer's: see QuantPass in quantizer/quantizer.h.
// How convolutions are computed: all by OTs, all by homomorphic encryption, or each by what is over first (without a
// link: what takes fewer bytes).
enum class Products { kOt, kHe, kAuto };

struct ProductOptions {
  Products kind = Products::kOt;
  std::uint64_t images = 16;  // most of a session with homomorphic products
};

struct PassContext {
  const ExecOptions& exec;
  std::optional<LinkSpec> link;  // what the protocols' methods are chosen for; none: bytes, at few flights
  Products products = Products::kOt;
};

struct Pass {
  const char* name;
  const char* what;
  void (*run)(Model&, const PassContext&);
};
// In the order in which they run.
std::span<const Pass> passes();

struct PassOptions {
  std::set<std::string> disabled;
  std::optional<LinkSpec> link;
  Products products = Products::kOt;
};

// Called after each pass that is not disabled, with the model before and after it.
using PassObserver = std::function<void(const Pass&, const Model& before, const Model& after)>;

// Throws usage_error for a pass that does not exist, model_error if the model is not valid.
void run_passes(Model& model, const ExecOptions& exec, const PassOptions& options, const PassObserver& observer = {});

// One line a step: number, operator, ring, shape, inputs, method, name.
std::string describe(const PublicPlan& plan);

}  // namespace eqo
