#include "eqo/testing/two_party.h"

namespace eqo::testing {

Cost predicted(const OtOptions& options, const std::function<void(CostMeter&)>& protocol) {
  CostMeter dry;
  protocol(dry);
  const Cost need = dry.cost();
  CostMeter base;
  OtPoolCost pool(options);
  pool.setup(base);
  CostMeter all = base;
  pool.reserve(all, need.cots[0], need.cots[1]);
  protocol(all);
  Cost cost = all.cost();
  const Cost before = base.cost();
  for (std::size_t i = 0; i < 2; ++i) cost.bytes[i] -= before.bytes[i];
  cost.flights -= before.flights;
  return cost;
}

}  // namespace eqo::testing
