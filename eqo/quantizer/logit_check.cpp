#include "eqo/quantizer/logit_check.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/model/quantize.h"
#include "eqo/model/twin.h"
#include "eqo/quantizer/fisher.h"
#include "eqo/quantizer/float_stats.h"

namespace eqo::quant {
namespace {

constexpr std::size_t kFloatBatch = 32, kTwinBatch = 8;
constexpr unsigned kBisections = 30;

std::vector<double> log_softmax(std::span<const double> logits, double temperature) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double v : logits) sum += std::exp((v - most) / temperature);
  std::vector<double> out;
  for (const double v : logits) out.push_back((v - most) / temperature - std::log(sum));
  return out;
}

void check_sizes(std::span<const double> reference, std::span<const double> logits, std::size_t classes) {
  if (classes == 0 || reference.size() != logits.size() || reference.empty() || reference.size() % classes != 0)
    throw internal_error("logits that can't be compared");
}

std::size_t label_of(std::span<const double> logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

std::vector<double> float_logits(const FloatGraph& graph, const FloatBatch& images, ThreadPool& pool) {
  const std::vector<std::size_t> last = last_uses(graph);
  std::vector<double> out;
  for (std::size_t first = 0; first < images.count; first += kFloatBatch) {
    std::vector<FloatBatch> values(graph.nodes.size());
    values[0] = FloatBatch(images.shape, std::min(kFloatBatch, images.count - first));
    std::copy_n(images.image(first), values[0].data.size(), values[0].data.begin());
    for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
      std::vector<const FloatBatch*> inputs;
      for (const int in : graph.nodes[i].inputs) inputs.push_back(&values[static_cast<std::size_t>(in)]);
      values[i] = run_float_node(graph.nodes[i], inputs, pool);
      for (const int in : graph.nodes[i].inputs)
        if (last[static_cast<std::size_t>(in)] == i) values[static_cast<std::size_t>(in)] = {};
    }
    const FloatBatch& logits = values[static_cast<std::size_t>(graph.output)];
    out.insert(out.end(), logits.data.begin(), logits.data.end());
  }
  return out;
}

}  // namespace

double divergence(std::span<const double> reference, std::span<const double> logits, std::size_t classes,
                  double temperature) {
  check_sizes(reference, logits, classes);
  double sum = 0;
  for (std::size_t i = 0; i < reference.size(); i += classes) {
    const std::vector<double> p = log_softmax(reference.subspan(i, classes), temperature);
    const std::vector<double> q = log_softmax(logits.subspan(i, classes), temperature);
    for (std::size_t k = 0; k < classes; ++k) sum += std::exp(p[k]) * (p[k] - q[k]);
  }
  return std::max(0.0, sum / static_cast<double>(reference.size() / classes));
}

ScaledDivergence scaled_divergence(std::span<const double> reference, std::span<const double> logits,
                                   std::size_t classes, double temperature) {
  check_sizes(reference, logits, classes);
  std::vector<double> scaled(logits.size());
  const auto scale_by = [&](double s) {
    for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] = s * logits[i];
  };
  // Convex in the scale, and this is its slope's sign: the logits' mean under their own softmax less that under the
  // reference's.
  const auto rises = [&](double s) {
    scale_by(s);
    double slope = 0;
    for (std::size_t i = 0; i < scaled.size(); i += classes) {
      const std::vector<double> p = log_softmax(reference.subspan(i, classes), temperature);
      const std::vector<double> q = log_softmax(std::span<const double>(scaled).subspan(i, classes), temperature);
      for (std::size_t k = 0; k < classes; ++k) slope += (std::exp(q[k]) - std::exp(p[k])) * logits[i + k];
    }
    return slope > 0;
  };
  double least = kLeastScale, most = 1 / kLeastScale;
  for (unsigned i = 0; i < kBisections; ++i) {
    const double middle = std::sqrt(least * most);
    (rises(middle) ? most : least) = middle;
  }
  const double scale = std::sqrt(least * most);
  scale_by(scale);
  return {divergence(reference, scaled, classes, temperature), scale};
}

LogitCheck::LogitCheck(const FloatGraph& prepared, const FloatBatch& images, ThreadPool& pool)
    : images_(images), pool_(pool), reference_(float_logits(prepared, images, pool)) {}

LogitCheck::Result LogitCheck::operator()(const Model& model) const {
  const Twin twin(model);
  const std::size_t classes = reference_.size() / images_.count;
  std::vector<double> logits(reference_.size());
  std::vector<std::uint64_t> overflowed(images_.count, 0);
  pool_.parallel_for((images_.count + kTwinBatch - 1) / kTwinBatch, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t b = begin; b < end; ++b) {
      const std::size_t first = b * kTwinBatch, last = std::min(first + kTwinBatch, images_.count);
      std::vector<Word> words;
      for (std::size_t n = first; n < last; ++n) {
        const std::vector<Word> image =
            quantize_image(model.plan, {images_.image(n), images_.image(n) + images_.stride()});
        words.insert(words.end(), image.begin(), image.end());
      }
      const std::vector<Twin::Result> results = twin.run_batch(words, last - first);
      for (std::size_t n = first; n < last; ++n) {
        overflowed[n] = results[n - first].overflowed;
        for (std::size_t k = 0; k < classes; ++k)
          logits[n * classes + k] = static_cast<double>(results[n - first].logits.at(k)) * model.plan.output_scale;
      }
    }
  });
  Result out;
  out.divergence = scaled_divergence(reference_, logits, classes, kTemperature).divergence;
  for (std::size_t n = 0; n < images_.count; ++n) {
    const std::span<const double> a(reference_), b(logits);
    const bool same = label_of(a.subspan(n * classes, classes)) == label_of(b.subspan(n * classes, classes));
    out.agreement += same ? 1.0 / static_cast<double>(images_.count) : 0;
    out.overflowed += overflowed[n];
  }
  return out;
}

}  // namespace eqo::quant
