#pragma once
#include <cstdint>
#include <functional>

#include "eqo/importer/float_graph.h"
#include "eqo/quantizer/batch.h"
#include "eqo/quantizer/float_stats.h"
#include "eqo/quantizer/graph_analysis.h"
#include "eqo/quantizer/layer_choice.h"
#include "eqo/quantizer/quantizer.h"

namespace eqo::quant {

// A float network and what its calibration images say about it: measured once, quantized as often as one likes.
class CalibratedNet {
 public:
  // `prepared` (prepare_graph), `images` and `pool` must outlive it. `after_node` is called as the work goes on.
  CalibratedNet(const FloatGraph& prepared, const FloatBatch& images, std::uint64_t seed, ThreadPool& pool,
                std::function<void(std::size_t)> after_node);

  // options.budget and options.tuner are not looked at.
  Model quantize(const QuantizeOptions& options, QuantizeReport* report = nullptr);
  // The same, and then what options.tuner makes of it, if there is one.
  Model tune(const QuantizeOptions& options, QuantizeReport* report = nullptr);
  // Quickly: on the first `count` images, weights rounded to the nearest. Nearly the same rings, none too wide.
  Model draft(const QuantizeOptions& options, std::size_t count);

  // Error curve of a linear node's `weights`; not from two threads for the same node at once.
  const StepCurve& curve(std::size_t node, ConvDomain domain, unsigned bits, CodeRules codes,
                         const LinearWeights& weights);

  const FloatGraph& graph() const { return graph_; }
  const FloatBatch& images() const { return images_; }
  const FloatStats& stats() const { return stats_; }
  const GraphPlan& plan() const { return plan_; }  // of 8 bits everywhere
  ThreadPool& pool() const { return pool_; }

 private:
  Model build(const QuantizeOptions& options, const FloatBatch& images, bool draft_only, const Tuner* tuner,
              QuantizeReport* report);

  const FloatGraph& graph_;
  const FloatBatch& images_;
  ThreadPool& pool_;
  std::function<void(std::size_t)> after_node_;
  GraphPlan plan_;
  FloatStats stats_;
  CurveCache curves_;
};

}  // namespace eqo::quant
