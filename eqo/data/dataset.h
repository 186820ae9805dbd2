#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "eqo/data/image.h"
#include "eqo/data/preprocess.h"

namespace eqo {

enum class Split { kTrain, kTest };

// Labelled images. Not changed after construction: image(), input() and label() may be called from several threads.
class Dataset {
 public:
  virtual ~Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  virtual std::size_t size() const = 0;
  // Label i, at least 0. i < size() everywhere, else usage_error.
  virtual int label(std::size_t i) const = 0;
  // 8-bit pixels. Throws data_error if the set holds float32 inputs or the image's file cannot be decoded.
  virtual Image image(std::size_t i) const = 0;
  // What the model sees: the preprocessed image, or the set's own float32 values, whose shape must be the model's.
  virtual std::vector<float> input(std::size_t i, const Preprocess& preprocess) const;
  // True if the set holds float32 values that are already preprocessed.
  virtual bool is_float() const { return false; }

  // One more than the largest label, or the number of class names.
  int classes() const { return classes_; }
  // Empty if the set does not name its classes.
  const std::vector<std::string>& class_names() const { return class_names_; }

 protected:
  Dataset() = default;
  void check_index(std::size_t i) const;

  int classes_ = 0;
  std::vector<std::string> class_names_;
};

// Opens a DATA argument:
//   cifar10:PATH   cifar100:PATH   the sets' binary formats. PATH is a file, several separated by commas, or a folder
//                                  with the standard files: data_batch_*.bin or train.bin for kTrain, test_batch.bin
//                                  or test.bin for kTest. CIFAR-100 gives the fine label.
//   dir:FOLDER                     a folder per class (sorted by name); PNG, JPEG and BMP, decoded when asked for
//   npy:IMAGES,LABELS              uint8 N x C x H x W, N x H x W x C (C is 1 or 3) or N x H x W, or float32 of the
//                                  same layouts, already preprocessed; labels of any integer type, one dimension
// Throws usage_error for an unknown kind; data_error for wrong lengths, labels out of range, NaN, Fortran order,
// object arrays; resource_error for files over the limit.
std::unique_ptr<Dataset> open_dataset(const std::string& spec, Split split = Split::kTest);

}  // namespace eqo
