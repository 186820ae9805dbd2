#include "eqo/quantizer/quantizer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/quantizer/budget_search.h"
#include "eqo/quantizer/calibrated_net.h"

namespace eqo {
namespace {

using namespace quant;

constexpr std::size_t kDefaultImages = 256;
constexpr double kDefaultMacs = 4e10;  // of calibration with the default number of images
constexpr double kCheckMacs = 8e10;    // of comparing one candidate
constexpr double kMaxBytes = 6e9;      // of calibration tensors, whatever the number asked for

// Work of one image, in multiply-adds of the linear layers and elements of all tensors.
struct Work {
  double macs = 0, elements = 0, widest = 0;
};

Work work_of(const FloatGraph& graph) {
  Work work;
  for (const FloatNode& node : graph.nodes) {
    const auto size = static_cast<double>(node.shape.size());
    if (is_linear(node.op))
      work.macs += size * static_cast<double>(node.weight.size()) / static_cast<double>(node.shape.c);
    work.elements += size;
    work.widest = std::max(work.widest, size);
  }
  return work;
}

std::size_t image_count(const FloatGraph& graph, const QuantizeOptions& options, std::size_t available) {
  if (available == 0) throw data_error("there are no calibration images", "give some of the training data");
  const Work work = work_of(graph);
  double count = static_cast<double>(options.calibration_images);
  if (options.calibration_images == 0)
    count = std::clamp(kDefaultMacs / std::max(work.macs, 1.0), 8.0, static_cast<double>(kDefaultImages));
  // A handful of tensors is alive at a time, as floats or 64-bit integers.
  count = std::min(count, kMaxBytes / (work.widest * 8 * 8));
  return std::min(available, std::max<std::size_t>(1, static_cast<std::size_t>(count)));
}

// Images to compare candidates on, out of those that are left.
std::size_t check_count(const FloatGraph& graph, const QuantizeOptions& options, std::size_t left) {
  if (!options.budget) return 0;
  const double affordable = kCheckMacs / std::max(work_of(graph).macs, 1.0);
  return std::min({left, options.check_images, static_cast<std::size_t>(std::max(affordable, 8.0))});
}

class Progress {
 public:
  // `rounds`: how often the network is run.
  Progress(const FloatGraph& graph, double rounds, const std::function<void(double)>& report) : report_(report) {
    for (const FloatNode& node : graph.nodes) {
      const auto size = static_cast<double>(node.shape.size());
      const double macs =
          is_linear(node.op) ? size * static_cast<double>(node.weight.size()) / static_cast<double>(node.shape.c) : 0;
      weight_.push_back(size + macs);
    }
    total_ = rounds * std::accumulate(weight_.begin(), weight_.end(), 0.0);
  }
  void operator()(std::size_t node) {
    done_ += weight_[node];
    if (report_) report_(std::min(1.0, done_ / total_));
  }

 private:
  const std::function<void(double)>& report_;
  std::vector<double> weight_;
  double total_ = 0, done_ = 0;
};

// Without the Winograd pass nothing may ask for that domain.
void leave_out_winograd(QuantizeOptions& options) {
  if (options.disabled.count(QuantPass::kWinograd) == 0) return;
  bool asked = options.conv == ConvChoice::kWinograd;
  for (const auto& [name, layer] : options.layers) asked = asked || layer.domain == ConvDomain::kWinograd;
  if (asked) throw usage_error("Winograd's algorithm is asked for and its pass is disabled", "leave out one of them");
  options.conv = ConvChoice::kDirect;
}

// Layers that nothing else is said about, and whose products will be homomorphic, become direct ones.
void prefer_direct(CalibratedNet& net, QuantizeOptions& options) {
  constexpr std::size_t kImages = 8;
  if (options.products.kind == Products::kOt || options.conv != ConvChoice::kAuto) return;
  QuantizeOptions direct = options;
  direct.conv = ConvChoice::kDirect;
  for (const auto& [layer, product] : session_cost(net.draft(direct, kImages), {}, options.products).products)
    if (product.homomorphic && !options.layers[layer].domain) options.layers[layer].domain = ConvDomain::kDirect;
}

// What the products of the finished model are planned to be.
void describe_products(const Model& model, const ProductOptions& products, QuantizeReport& report) {
  if (products.kind == Products::kOt) return;
  const SessionCost cost = session_cost(model, {}, products);
  report.total_bytes = 0;
  for (QuantizeReport::Layer& layer : report.layers) {
    const SessionCost::Product& product = cost.products.at(layer.name);
    layer.bytes = product.bytes;
    layer.homomorphic = product.homomorphic;
    report.total_bytes += product.bytes;
  }
}

// `check`: images to compare candidates on; used with a budget only.
Model quantize_images(const FloatGraph& prepared, const FloatBatch& images, const FloatBatch& check,
                      QuantizeOptions options, QuantizeReport* report) {
  leave_out_winograd(options);
  for (const FloatBatch* batch : {&images, &check})
    for (const float v : batch->data)
      if (!std::isfinite(v)) throw data_error("a calibration image has a value that is not finite");
  ThreadPool pool(options.threads);
  Progress progress(prepared, options.budget ? 2 + options.search_networks : 2, options.progress);
  CalibratedNet net(prepared, images, options.seed, pool, [&](std::size_t i) { progress(i); });
  QuantizeReport unasked;
  QuantizeReport& told = report == nullptr ? unasked : *report;
  if (!options.budget) prefer_direct(net, options);
  Model model = options.budget ? quantize_within_budget(net, check.count > 0 ? check : images, options, told)
                               : net.tune(options, &told);
  describe_products(model, options.products, told);
  return model;
}

}  // namespace

Model quantize(const FloatGraph& graph, const Dataset& calibration, const QuantizeOptions& options,
               QuantizeReport* report) {
  const FloatGraph prepared = prepare_graph(graph, options.disabled.count(QuantPass::kPoolOrder) == 0);
  if (options.preprocess.shape != prepared.input_shape())
    throw usage_error("pictures become " + options.preprocess.shape.to_string() + ", the network takes " +
                      prepared.input_shape().to_string());
  options.preprocess.check();
  // A seeded choice: data sets are often sorted by class.
  std::vector<std::size_t> order(calibration.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 random(options.seed);
  const std::size_t count = image_count(prepared, options, order.size());
  const std::size_t checks = check_count(prepared, options, order.size() - count);
  for (std::size_t i = 0; i < count + checks; ++i) std::swap(order[i], order[i + random() % (order.size() - i)]);
  FloatBatch images(prepared.input_shape(), count), check(prepared.input_shape(), checks);
  for (std::size_t i = 0; i < count + checks; ++i) {
    const std::vector<float> x = calibration.input(order[i], options.preprocess);
    if (x.size() != images.stride())
      throw data_error("calibration image " + std::to_string(order[i]) + " has a wrong shape");
    std::copy(x.begin(), x.end(), i < count ? images.image(i) : check.image(i - count));
  }
  return quantize_images(prepared, images, check, options, report);
}

Model quantize(const FloatGraph& graph, const std::vector<float>& images, std::size_t count,
               const QuantizeOptions& options, QuantizeReport* report) {
  const FloatGraph prepared = prepare_graph(graph, options.disabled.count(QuantPass::kPoolOrder) == 0);
  if (images.size() != static_cast<std::size_t>(prepared.input_shape().size()) * count)
    throw data_error("calibration images of a wrong size");
  FloatBatch batch(prepared.input_shape(), image_count(prepared, options, count));
  std::copy_n(images.begin(), batch.data.size(), batch.data.begin());
  FloatBatch check(prepared.input_shape(), check_count(prepared, options, count - batch.count));
  std::copy_n(images.begin() + static_cast<std::ptrdiff_t>(batch.data.size()), check.data.size(), check.data.begin());
  return quantize_images(prepared, batch, check, options, report);
}

}  // namespace eqo
