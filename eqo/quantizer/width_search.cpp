#include "eqo/quantizer/width_search.h"

#include <coin/Cbc_C_Interface.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "eqo/core/error.h"

namespace eqo::quant {
namespace {

// Of the sum of losses: what the solver may leave on the table, and of the budget: rounding of the sums.
constexpr double kGap = 1e-9, kRounding = 1e-9;
constexpr double kScale = 1e3;  // of the program's losses: far above the solver's tolerances

struct CbcDelete {
  void operator()(Cbc_Model* model) const { Cbc_deleteModel(model); }
};

}  // namespace

std::vector<std::size_t> efficient_options(std::span<const WidthOption> options) {
  std::vector<std::size_t> order(options.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (options[a].cost != options[b].cost) return options[a].cost < options[b].cost;
    return options[a].loss < options[b].loss;
  });
  std::vector<std::size_t> out;
  for (const std::size_t i : order)
    if (out.empty() || options[i].loss < options[out.back()].loss) out.push_back(i);
  return out;
}

std::optional<std::vector<std::size_t>> choose_options(std::span<const std::vector<WidthOption>> layers,
                                                       double budget) {
  if (!std::isfinite(budget)) throw usage_error("a budget that is not a number");
  std::vector<std::size_t> layer_of, option_of;  // of a column
  std::vector<CoinBigIndex> starts{0};
  std::vector<int> rows;
  std::vector<double> values, costs, losses;
  double least = 0, worst = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (layers[l].empty()) throw usage_error("a layer without a width to choose");
    for (const WidthOption& o : layers[l])
      if (!std::isfinite(o.cost) || !std::isfinite(o.loss) || o.cost < 0)
        throw usage_error("a cost or a sensitivity that is not a number");
    const std::vector<std::size_t> kept = efficient_options(layers[l]);
    least += layers[l][kept.front()].cost;
    worst += std::abs(layers[l][kept.front()].loss);
    for (const std::size_t o : kept) {
      layer_of.push_back(l);
      option_of.push_back(o);
      costs.push_back(layers[l][o].cost);
      losses.push_back(layers[l][o].loss);
    }
  }
  const double room = budget * (1 + kRounding);
  if (least > room) return std::nullopt;
  // Row 0: the budget as 1. Row 1 + l: one option of layer l. Both sides in numbers near 1.
  const double unit = std::max(budget, 1e-300), scale = worst > 0 ? worst : 1;
  for (std::size_t c = 0; c < costs.size(); ++c) {
    rows.push_back(0);
    values.push_back(costs[c] / unit);
    rows.push_back(static_cast<int>(layer_of[c]) + 1);
    values.push_back(1);
    starts.push_back(static_cast<CoinBigIndex>(rows.size()));
    losses[c] *= kScale / scale;
  }
  const std::vector<double> lower(costs.size(), 0.0), upper(costs.size(), 1.0);
  std::vector<double> row_lower(layers.size() + 1, 1.0), row_upper(layers.size() + 1, 1.0);
  row_lower[0] = 0;
  const std::unique_ptr<Cbc_Model, CbcDelete> model(Cbc_newModel());
  Cbc_setLogLevel(model.get(), 0);
  Cbc_loadProblem(model.get(), static_cast<int>(costs.size()), static_cast<int>(layers.size()) + 1, starts.data(),
                  rows.data(), values.data(), lower.data(), upper.data(), losses.data(), row_lower.data(),
                  row_upper.data());
  for (std::size_t c = 0; c < costs.size(); ++c) Cbc_setInteger(model.get(), static_cast<int>(c));
  // Its preprocessing has been seen to cut off the optimum of small instances; the program is small as it is.
  Cbc_setParameter(model.get(), "preprocess", "off");
  Cbc_setParameter(model.get(), "increment", "1e-9");
  Cbc_setAllowableGap(model.get(), kGap);
  Cbc_solve(model.get());
  if (Cbc_isProvenInfeasible(model.get()) != 0) return std::nullopt;
  const double* x = Cbc_getColSolution(model.get());
  if (Cbc_isProvenOptimal(model.get()) == 0 || x == nullptr) throw internal_error("the integer program has no optimum");
  std::vector<std::size_t> chosen(layers.size(), 0);
  std::vector<double> share(layers.size(), 0.0);
  for (std::size_t c = 0; c < costs.size(); ++c)
    if (x[c] > share[layer_of[c]]) {
      share[layer_of[c]] = x[c];
      chosen[layer_of[c]] = option_of[c];
    }
  return chosen;
}

}  // namespace eqo::quant
