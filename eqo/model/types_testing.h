#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/model/types.h"

// What the tests of types and of plans have in common.
namespace eqo::testing {

inline Node step(Op op) {
  Node node;
  node.op = op;
  node.name.assign(1, 's');
  return node;
}
inline TensorType tensor(Shape shape, unsigned ring, std::int64_t lo, std::int64_t hi) { return {shape, ring, lo, hi}; }
inline TensorType infer(const Node& node, const std::vector<TensorType>& in) { return infer_type(node, in); }

inline ::testing::AssertionResult refused(const std::function<void()>& call, const std::string& text) {
  try {
    call();
  } catch (const Error& e) {
    if (e.category() != Category::kModel)
      return ::testing::AssertionFailure() << "category " << category_name(e.category());
    if (std::string(e.what()).find(text) == std::string::npos) return ::testing::AssertionFailure() << e.what();
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "accepted";
}

}  // namespace eqo::testing
