#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "eqo/data/dataset.h"
#include "eqo/importer/float_graph.h"
#include "eqo/train/epoch_loop.h"
#include "eqo/train/sampler.h"

namespace eqo {

struct TrainOptions {
  int epochs = 30;
  int batch = 128;
  double learning_rate = 0.2;  // the peak: linear warm-up to it, then half a cosine down to zero
  double warmup_epochs = 2;
  double momentum = 0.9;
  bool nesterov = true;
  double weight_decay = 5e-4;  // not of biases and batch norm
  double label_smoothing = 0;
  std::uint64_t seed = 1;  // of order and augmentation; the initial weights are the graph's
  Augmentation augmentation;
  std::array<double, 3> mean{0.485, 0.456, 0.406};
  std::array<double, 3> std{0.229, 0.224, 0.225};
  int threads = 1;         // the result depends on it: batch norm sees each thread's part of the batch
  bool bfloat16 = false;   // faster on processors with bfloat16 instructions, much slower on others
  int test_every = 1;      // epochs between evaluations on the test set; the last epoch always is
  std::string checkpoint;  // written after every epoch; empty: none
  bool resume = true;      // continue from the checkpoint if the file exists
};

struct TrainProgress : EpochProgress {
  double learning_rate = 0;
  double test_accuracy = -1;  // set where epoch_done and the test set was evaluated
};

struct TrainResult {
  int epochs_done = 0;
  int resumed_from = 0;  // epochs that the checkpoint already had
  double loss = 0;       // of the last epoch
  double train_accuracy = 0;
  double test_accuracy = -1;  // -1 without a test set
};

// Whether this processor has bfloat16 dot products.
bool processor_has_bfloat16();

// Trains the graph in place by stochastic gradient descent on the cross entropy, starting from the weights it holds.
// kBatchNorm nodes are trained and stay in the graph (fold_batch_norm() removes them afterwards).
//   train, test: `test` may be null. Images are brought to the graph's input shape and normalized by mean and std.
// Deterministic for the same graph, data, options (threads included) and processor. `report` is called a few times a
// second and at every epoch's end, after the checkpoint was written; an exception it throws stops the run, which can be
// continued from the checkpoint with exactly the result of an uninterrupted one. The graph is changed only on success.
// Cost: forward and backward pass of every image each epoch; the whole data set in memory as 8-bit pixels.
// Sets process-wide: libtorch's own threads off, glibc's malloc thresholds (large tensors stay on the heap).
// Throws usage_error (options, a checkpoint of another run), model_error, data_error (labels, images, a damaged
// checkpoint, a loss that is no longer a number), resource_error.
TrainResult train(FloatGraph& graph, const Dataset& train, const Dataset* test, const TrainOptions& options,
                  const std::function<void(const TrainProgress&)>& report = {});

}  // namespace eqo
