#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "eqo/model/graph.h"
#include "eqo/net/link_clock.h"
#include "eqo/passes/passes.h"

namespace eqo {

// What a session with one image may cost, its setup included: the sum of what `eqo plan` counts as setup and online.
struct Budget {
  enum class Unit : std::uint8_t {
    kBytes,
    kRatio,   // of the bytes of the network with 8 bits everywhere
    kSeconds  // on `link`: bytes / rate + flights * half a round trip, without computation
  };
  Unit unit = Unit::kBytes;
  double amount = 0;
  LinkSpec link;
};

// What a layer's sensitivity is the expected rise of, to second order.
enum class SensitivityMeasure : std::uint8_t {
  kLogits,  // half the squared error of the logits
  kFisher,  // the loss: cross entropy in nats, with labels drawn from what the network predicts
  kHessian  // the same for activations; of weights, the Hessian's mean diagonal times the squared error (HAWQ-V2)
};

// "80MB" (kB, MB, GB, MiB), "0.4x", "2s@wan" or "500ms@100M,20ms". Throws usage_error.
Budget parse_budget(const std::string& text);

// How a budget was spent. Costs are bytes, or seconds if that is what the budget was given in.
struct BudgetReport {
  bool seconds = false;
  double budget = 0;
  double spent = 0;
  SensitivityMeasure measure = SensitivityMeasure::kFisher;
  double sensitivity = 0;        // of all layers
  double divergence = 0;         // from the float model's logits, see LogitCheck; before fine-tuning
  std::size_t check_images = 0;  // that it was measured on
  double search_seconds = 0;     // that the search took
  std::uint64_t setup_bytes = 0, online_bytes = 0, flights = 0;

  struct Option {
    unsigned weights_bits = 0, activation_bits = 0;
    ConvDomain conv = ConvDomain::kDirect;
    double sensitivity = 0;                         // see SensitivityMeasure
    double weights_part = 0, activations_part = 0;  // that sum up to it
    double cost = 0;                                // of all steps of the layer
  };

  // A network that was made on the way, in order.
  struct Candidate {
    std::string origin;
    double cost = 0, sensitivity = 0;
    std::optional<double> divergence, agreement;  // with the float model; none where it is above the budget
  };
  std::vector<Candidate> candidates;
  std::size_t winner = 0;  // of them
  struct Layer {
    std::string name;
    Option chosen;
    std::optional<Option> cheaper, dearer;  // the nearest efficient ones
    std::vector<Option> options;            // all of them
  };
  std::vector<Layer> layers;
};

namespace quant {

struct SessionCost {
  double total = 0;
  std::map<std::string, double> layers;  // by the steps' layer
  std::uint64_t setup_bytes = 0, online_bytes = 0, flights = 0;
  struct Product {
    std::uint64_t bytes = 0;  // online, of the convolution alone
    bool homomorphic = false;
  };
  std::map<std::string, Product> products;  // by their layer
};
// The planner's exact cost of a session with one image, after the passes that a server runs, with protocols and OTs
// chosen for the budget's link.
SessionCost session_cost(const Model& model, const Budget& budget, const ProductOptions& products = {});

}  // namespace quant

}  // namespace eqo
