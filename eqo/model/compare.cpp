#include "eqo/model/compare.h"

#include <algorithm>

#include "eqo/core/error.h"

namespace eqo {

std::string Difference::to_string(const PublicPlan& plan) const {
  const Node& n = plan.nodes.at(static_cast<std::size_t>(node));
  const auto w = static_cast<std::size_t>(n.type.shape.w), plane = static_cast<std::size_t>(n.type.shape.h) * w;
  const auto number = [&](Word x) {
    return n.op == Op::kArgMax ? std::to_string(x) : std::to_string(n.type.ring().to_signed(x));
  };
  return "step '" + name + "' (" + op_name(n.op) + "), image " + std::to_string(image) + ", channel " +
         std::to_string(element / plane) + ", row " + std::to_string(element % plane / w) + ", column " +
         std::to_string(element % w) + ": expected " + number(expected) + ", got " + number(got);
}

std::optional<Difference> first_difference(const PublicPlan& plan, const Trace& expected, const Trace& got) {
  if (expected.size() != plan.nodes.size() || got.size() != plan.nodes.size())
    throw usage_error("a trace has one entry a step");
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const std::vector<Word>&a = expected[i], &b = got[i];
    if (a.empty() || b.empty()) continue;
    const auto size = static_cast<std::size_t>(plan.nodes[i].type.shape.size());
    if (a.size() != b.size() || a.size() % size != 0)
      throw usage_error("step '" + plan.nodes[i].name + "': the traces have " + std::to_string(a.size()) + " and " +
                        std::to_string(b.size()) + " values, must be a multiple of " + std::to_string(size));
    const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin());
    if (x == a.end()) continue;
    const auto at = static_cast<std::size_t>(x - a.begin());
    return Difference{static_cast<int>(i), plan.nodes[i].name, at / size, at % size, *x, *y};
  }
  return std::nullopt;
}

}  // namespace eqo
