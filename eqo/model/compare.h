#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eqo/model/graph.h"

namespace eqo {

// The values of a run, one entry a node, reduced in the node's ring, one or several images; empty where a node was not
// recorded.
using Trace = std::vector<std::vector<Word>>;

// Where two runs part.
struct Difference {
  int node = 0;
  std::string name;         // the node's
  std::size_t image = 0;    // in the batch
  std::size_t element = 0;  // in the image: c * h * w + y * w + x
  Word expected = 0, got = 0;
  // "step 'conv1/relu' (Relu), image 0, channel 1, row 2, column 3: expected 5, got 6" (signed readings)
  std::string to_string(const PublicPlan& plan) const;
};

// The first node in order, and its first element, that differ; nodes that either trace left out are skipped. Throws
// usage_error if a recorded tensor does not have its node's size, or the two have different batches.
std::optional<Difference> first_difference(const PublicPlan& plan, const Trace& expected, const Trace& got);

}  // namespace eqo
