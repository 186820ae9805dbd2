#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "eqo/model/graph.h"
#include "eqo/quantizer/batch.h"

namespace eqo::quant {

// How wide accumulators are: see 'accumulator' in quantize.h.
enum class RangeRule : std::uint8_t { kCalibration, kWeights, kShapes };

// One integer step whose ring is not chosen yet. `node.inputs` are earlier draft nodes, type.ring_bits is 0.
struct DraftNode {
  Node node;
  NodeSecrets secrets;
  // Anchored nodes belong to a region: all nodes of it share one ring, values from outside are converted to it on the
  // way in. Floating nodes (-1) are local steps on activations, made in whatever ring the reader asks for.
  int region = -1;
  std::int64_t lo = 0, hi = 0;  // of the values: seen on calibration data, or certain (RangeRule)
  bool proven_non_negative = false;
  bool beyond_inputs = false;  // the region must be a bit wider than what comes in, shifts included
  bool keep_proof = false;     // the region must be so wide that conversions into it keep a proven sign
};

// A step's output on the calibration images.
struct Tensor {
  int id = -1;
  std::shared_ptr<const IntBatch> values;
  double scale = 0;         // real value of one unit
  bool activation = false;  // may be converted to any ring that holds it; else it stays in its region
  bool coarse = false;      // sums of activations: hardly wider than one
  const Shape& shape() const { return values->shape; }
};

// Builds the integer network step by step and computes each step on the calibration images in exact arithmetic, so that
// the ranges of all values are known before rings are chosen (rings change nothing but what overflows).
class Draft {
 public:
  Draft(RangeRule rule, ThreadPool& pool) : rule_(rule), pool_(pool) {}

  struct Term {
    Tensor x;
    unsigned shift = 0;
    int sign = 1;
  };
  // Where a step takes place.
  enum class Place : std::uint8_t {
    kNewRegion,  // in a ring of its own; inputs are converted
    kShared,     // in its inputs' ring
    kFloating    // in the reader's ring
  };

  Tensor input(IntBatch image, double scale, unsigned bits);
  // `shell` holds name, window, groups, domain, codes and the number of filters; `weights` are the values of
  // secrets.weights in units of their step. The bias is what bias_of makes of the products' sums.
  using BiasRule = std::function<std::vector<std::int64_t>(const IntBatch& sums)>;
  Tensor conv(const Tensor& x, Node shell, NodeSecrets secrets, std::span<const std::int64_t> weights,
              const BiasRule& bias_of, double scale);
  Tensor add(const std::vector<Term>& terms, const std::string& layer);
  // a - b where b is what a exceeds `cap` by, so that the result is at most cap; in the same ring.
  Tensor difference(const Tensor& a, const Tensor& b, std::int64_t cap);
  Tensor add_constant(const Tensor& x, std::int64_t constant);
  Tensor relu(const Tensor& x);
  Tensor truncate_reduce(const Tensor& x, unsigned shift);
  Tensor max_pool(const Tensor& x, const Window& window);
  Tensor sum_pool(const Tensor& x, const Window& window);
  Tensor concat(const std::vector<Term>& terms);
  Tensor pad(const Tensor& x, const std::array<std::int64_t, 3>& before, const std::array<std::int64_t, 3>& after);
  Tensor slice(const Tensor& x, const std::array<std::int64_t, 3>& start, const std::array<std::int64_t, 3>& step,
               const Shape& shape);
  Tensor reshape(const Tensor& x, const Shape& shape);

  // Adds constants to a convolution's bias where that gives the same sum, and drops the steps that are then unused.
  void fold_constants(int output);

  std::vector<DraftNode>& nodes() { return nodes_; }
  const std::vector<DraftNode>& nodes() const { return nodes_; }
  const DraftNode& node(const Tensor& t) const { return nodes_[static_cast<std::size_t>(t.id)]; }
  DraftNode& node(const Tensor& t) { return nodes_[static_cast<std::size_t>(t.id)]; }
  // The representative of a node's region.
  int region(int id) const;
  RangeRule rule() const { return rule_; }
  ThreadPool& pool() const { return pool_; }

 private:
  struct Range {
    std::int64_t lo, hi;
  };
  Tensor append(Node node, std::vector<Tensor> inputs, Place place, IntBatch values, Range certain, double scale);
  Range range_of(const Tensor& t) const { return {node(t).lo, node(t).hi}; }
  Place place_for(const Tensor& x) const;  // of a step that may be in its input's ring
  static bool all_activations(const std::vector<Term>& terms);

  RangeRule rule_;
  ThreadPool& pool_;
  std::vector<DraftNode> nodes_;
  std::vector<int> regions_;  // union-find over region numbers
};

}  // namespace eqo::quant
