#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "eqo/data/dataset.h"
#include "eqo/data/preprocess.h"
#include "eqo/quantizer/tuning.h"
#include "eqo/train/epoch_loop.h"
#include "eqo/train/sampler.h"

namespace eqo {

struct FineTuneOptions {
  int epochs = 20;
  int batch = 32;
  double learning_rate = 0.01;  // of weights, relative to their tap's, and of biases (QuantNet::step): the peak of one
                                // cycle, which rises linearly and falls along half a cosine to zero
  double scale_rate = 3e-4;     // of the scales' logarithms, likewise
  double warmup = 0.1;          // share of all steps in which the rate rises
  double temperature = 4;       // of the distillation from the float network
  double distillation = 0.7;    // its share of the loss; the rest is the labels' cross entropy
  double range_penalty = 1;     // of values outside the range of calibration
  int gradual = 0;              // the width of weights falls to its own from this many bits above, in equal steps
  double gradual_share = 0.3;   // of all steps
  std::uint64_t seed = 1;       // of order and augmentation
  Augmentation augmentation;
  int threads = 1;         // the result depends on it: gradients are added up in another order
  int test_every = 1;      // epochs between evaluations of the exported model; the last epoch always is
  std::string checkpoint;  // written after every epoch; empty: none
  bool resume = true;      // continue from the checkpoint if the file exists
  std::string start;       // a checkpoint of another run on the same problem: what it learned is the start of this one
};

// What the integer twin of the exported model does on the test set.
struct TwinVerdict {
  double accuracy = 0;
  std::size_t count = 0;
  std::size_t differing = 0;     // images for which it gives another label than the network that was trained
  std::uint64_t overflowed = 0;  // see Twin
};
// `labels` are the trained network's, one an image of the test set.
using TwinCheck = std::function<TwinVerdict(const quant::Tuned&, std::span<const int> labels)>;

struct FineTuneProgress : EpochProgress {
  std::optional<TwinVerdict> test;  // set where epoch_done and the test set was evaluated
};

struct FineTuneResult {
  int epochs_done = 0;
  int resumed_from = 0;  // epochs that the checkpoint already had
  double loss = 0;       // of the last epoch
  double train_accuracy = 0;
  std::optional<TwinVerdict> test;
  quant::Tuned tuned;
};

// Quantization-aware fine-tuning of a quantized network: see quant_net.h for what is trained and how. The exported
// model computes exactly what was trained.
//   train, test: images are preprocessed by `preprocess`; `test` may be null, else `check` judges it.
// Deterministic for the same problem, data, options (threads included) and processor. `report` is called a few times a
// second and at every epoch's end, after the checkpoint was written; an exception it throws stops the run, which can be
// continued from the checkpoint with exactly the result of an uninterrupted one.
// Throws usage_error (options, a checkpoint of another run), model_error, data_error (labels, images, a damaged
// checkpoint, a loss that is no longer a number), resource_error.
FineTuneResult fine_tune(const quant::TuneProblem& problem, const Preprocess& preprocess, const Dataset& train,
                         const Dataset* test, const FineTuneOptions& options, const TwinCheck& check = {},
                         const std::function<void(const FineTuneProgress&)>& report = {});

}  // namespace eqo
