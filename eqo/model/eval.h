#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

#include "eqo/data/dataset.h"
#include "eqo/model/twin.h"

namespace eqo {

struct EvalResult {
  double accuracy = 0;  // 0..1
  std::size_t count = 0, correct = 0;
  std::uint64_t overflowed = 0;  // see Twin; 0 unless a ring is too narrow
};

// Called after every few images, never from two threads at once.
using EvalProgress = std::function<void(std::size_t done, std::size_t total)>;

// The twin's accuracy on the first `limit` images of a data set (0: all), on `threads` threads. The result does not
// depend on the number of threads. Throws usage_error for 0 threads or an empty set, data_error if the set's images or
// number of classes do not fit the model.
EvalResult evaluate(const Twin& twin, const Dataset& data, std::size_t limit, unsigned threads,
                    const EvalProgress& progress = {});
EvalResult evaluate(const Model& model, const Dataset& data, std::size_t limit, unsigned threads,
                    const EvalProgress& progress = {});

}  // namespace eqo
