#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eqo/model/compare.h"
#include "eqo/model/graph.h"

namespace eqo::testing {

// The meaning of graph.h written down once more, as slowly and plainly as possible: loops over 128-bit integers and
// nothing shared with the twin or the kernels but the plan and WeightCode::value(). The oracle of the twin's tests.
struct NaiveResult {
  Trace trace;  // one image
  std::uint64_t overflowed = 0;
  // False if a value between linear steps may reach 2^60: there the twin may read (and count) earlier than this does.
  bool counts_comparable = true;
};

NaiveResult naive_run(const Model& model, std::span<const Word> image);

}  // namespace eqo::testing
