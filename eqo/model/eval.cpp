#include "eqo/model/eval.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/core/thread_pool.h"
#include "eqo/model/quantize.h"

namespace eqo {
namespace {

constexpr std::size_t kScratchElements = 1 << 17;  // of a batch: stays in the cache
constexpr std::size_t kMaxBatch = 32;

std::size_t logit_count(const PublicPlan& plan) {
  const Node& out = plan.nodes[static_cast<std::size_t>(plan.output)];
  const Node& logits = out.op == Op::kArgMax ? plan.nodes[static_cast<std::size_t>(out.inputs[0])] : out;
  return static_cast<std::size_t>(logits.type.shape.size());
}

}  // namespace

EvalResult evaluate(const Twin& twin, const Dataset& data, std::size_t limit, unsigned threads,
                    const EvalProgress& progress) {
  const PublicPlan& plan = twin.plan();
  EvalResult result;
  result.count = limit == 0 ? data.size() : std::min(limit, data.size());
  if (result.count == 0) throw usage_error("the data set is empty");
  if (static_cast<std::size_t>(data.classes()) > logit_count(plan))
    throw data_error("the data set has " + std::to_string(data.classes()) + " classes, the model " +
                     std::to_string(logit_count(plan)));
  const std::size_t batch = std::clamp<std::size_t>(kScratchElements / twin.scratch_elements(), 1, kMaxBatch);

  std::mutex mutex;
  std::size_t done = 0;
  ThreadPool pool(threads);
  pool.parallel_for((result.count + batch - 1) / batch, 1, [&](std::size_t begin, std::size_t end) {
    ThreadPool one(1);
    for (std::size_t b = begin; b < end; ++b) {
      const std::size_t first = b * batch, last = std::min(first + batch, result.count);
      std::vector<Word> images;
      for (std::size_t i = first; i < last; ++i) {
        const std::vector<Word> image = quantize_image(plan, data.input(i, plan.preprocess));
        images.insert(images.end(), image.begin(), image.end());
      }
      const std::vector<Twin::Result> results = twin.run_batch(images, last - first, &one);
      const std::lock_guard lock(mutex);
      for (std::size_t i = first; i < last; ++i) {
        result.correct += results[i - first].label == data.label(i) ? 1 : 0;
        result.overflowed += results[i - first].overflowed;
      }
      done += last - first;
      if (progress) progress(done, result.count);
    }
  });
  result.accuracy = static_cast<double>(result.correct) / static_cast<double>(result.count);
  return result;
}

EvalResult evaluate(const Model& model, const Dataset& data, std::size_t limit, unsigned threads,
                    const EvalProgress& progress) {
  return evaluate(Twin(model), data, limit, threads, progress);
}

}  // namespace eqo
