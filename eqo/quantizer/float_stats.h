#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "eqo/importer/float_graph.h"
#include "eqo/quantizer/batch.h"
#include "eqo/quantizer/graph_analysis.h"
#include "eqo/quantizer/step_curve.h"

namespace eqo::quant {

// What one linear node sees and gives in the float model.
struct LayerStats {
  std::vector<double> direct;          // importance of a weight: [groups][inner], the variance of its input
  std::vector<double> winograd;        // the same in the Winograd domain: [16][C]; empty where that is impossible
  std::vector<double> channel_mean;    // of the output, bias included
  double output_energy = 0;            // variance of the output
  float output_magnitude = 0;          // largest magnitude of the output
  std::vector<std::size_t> sample_at;  // some elements of the output batch
  std::vector<float> sample;           // and their values
};

struct FloatStats {
  std::vector<std::optional<Histogram>> tensors;  // of the image and of every tensor that becomes an activation
  std::vector<std::optional<LayerStats>> layers;
};

// Runs the float model on calibration images, operator by operator, and keeps what quantization needs to know.
FloatStats collect_stats(const FloatGraph& graph, const GraphPlan& plan, const FloatBatch& images, std::uint64_t seed,
                         ThreadPool& pool, const std::function<void(std::size_t)>& after_node);

// One operator of the float model on a batch; kBatchNorm is not supported, it has been folded.
FloatBatch run_float_node(const FloatNode& node, std::vector<const FloatBatch*> inputs, ThreadPool& pool);

// The last node that reads each tensor; the output's is one past the last.
std::vector<std::size_t> last_uses(const FloatGraph& graph);

}  // namespace eqo::quant
