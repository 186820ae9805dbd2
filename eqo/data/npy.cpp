// Images and labels in two .npy files.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/data/dataset_formats.h"
#include "eqo/data/file.h"
#include "eqo/data/npy_header.h"

namespace eqo {
namespace {

template <typename T>
T element(const std::vector<std::uint8_t>& file, std::size_t offset, std::size_t i) {
  T value;
  std::memcpy(&value, file.data() + offset + i * sizeof(T), sizeof(T));
  return value;
}

// Every integer type, as a value that cannot wrap into the range of labels: -1 if it is outside of it.
std::int64_t integer(const std::vector<std::uint8_t>& file, const NpyHeader& h, std::size_t i) {
  const std::size_t at = h.data_offset;
  switch (h.type) {
    case NpyType::kInt8:
      return element<std::int8_t>(file, at, i);
    case NpyType::kUInt8:
      return element<std::uint8_t>(file, at, i);
    case NpyType::kInt16:
      return element<std::int16_t>(file, at, i);
    case NpyType::kUInt16:
      return element<std::uint16_t>(file, at, i);
    case NpyType::kInt32:
      return element<std::int32_t>(file, at, i);
    case NpyType::kUInt32:
      return element<std::uint32_t>(file, at, i);
    case NpyType::kInt64:
      return element<std::int64_t>(file, at, i);
    case NpyType::kUInt64: {
      const auto value = element<std::uint64_t>(file, at, i);
      return value < kMaxClasses ? static_cast<std::int64_t>(value) : -1;
    }
    case NpyType::kFloat32:
      return -1;
  }
  return -1;
}

std::vector<int> read_labels(const std::string& path) {
  const std::vector<std::uint8_t> file = read_file(path, kMaxDatasetFileBytes);
  const NpyHeader header = parse_npy_header(file, path);
  if (header.shape.size() != 1 || header.type == NpyType::kFloat32) {
    throw data_error(path + ": labels are one dimension of integers", "save labels of shape (N,) and an integer type");
  }
  std::vector<int> labels(header.count);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::int64_t value = integer(file, header, i);
    if (value < 0 || value >= kMaxClasses) {
      throw data_error(path + ": label " + std::to_string(i) + " is out of range", "labels begin at 0");
    }
    labels[i] = static_cast<int>(value);
  }
  return labels;
}

class Npy final : public Dataset {
 public:
  Npy(const std::string& images_path, const std::string& labels_path)
      : file_(read_file(images_path, kMaxDatasetFileBytes)),
        header_(parse_npy_header(file_, images_path)),
        labels_(read_labels(labels_path)) {
    if (header_.type != NpyType::kUInt8 && header_.type != NpyType::kFloat32) {
      throw data_error(images_path + ": images are uint8 or float32", "convert them before saving");
    }
    set_shape(images_path);
    if (header_.shape[0] != labels_.size()) {
      throw data_error(images_path + " holds " + std::to_string(header_.shape[0]) + " images, " + labels_path + " " +
                           std::to_string(labels_.size()) + " labels",
                       "save one label for each image");
    }
    if (is_float()) {
      for (std::size_t i = 0; i < header_.count; ++i) {
        if (!std::isfinite(element<float>(file_, header_.data_offset, i))) {
          const std::size_t image = i / static_cast<std::size_t>(shape_.size());
          throw data_error(images_path + ": image " + std::to_string(image) + " holds a NaN or an infinity",
                           "check how the images were preprocessed");
        }
      }
    }
    classes_ = 1 + *std::max_element(labels_.begin(), labels_.end());
  }

  std::size_t size() const override { return labels_.size(); }
  bool is_float() const override { return header_.type == NpyType::kFloat32; }
  int label(std::size_t i) const override {
    check_index(i);
    return labels_[i];
  }
  Image image(std::size_t i) const override {
    check_index(i);
    if (is_float()) throw data_error("the data set holds float32 values, not pixels", "save uint8 images");
    return {shape_, planes<std::uint8_t>(i)};
  }
  std::vector<float> input(std::size_t i, const Preprocess& preprocess) const override {
    check_index(i);
    if (!is_float()) return Dataset::input(i, preprocess);
    if (shape_ != preprocess.shape) {
      throw data_error("float32 images of " + shape_.to_string() + ", the model takes " + preprocess.shape.to_string(),
                       "save them in the model's shape");
    }
    return planes<float>(i);
  }

 private:
  void set_shape(const std::string& path) {
    const std::vector<std::size_t>& d = header_.shape;
    const auto small = [](std::size_t v) { return static_cast<std::int64_t>(v); };
    const auto is_channels = [](std::size_t v) { return v == 1 || v == 3; };
    if (d.size() == 3) {
      shape_ = {1, small(d[1]), small(d[2])};
    } else if (d.size() == 4 && is_channels(d[1])) {
      shape_ = {small(d[1]), small(d[2]), small(d[3])};
    } else if (d.size() == 4 && is_channels(d[3])) {
      shape_ = {small(d[3]), small(d[1]), small(d[2])};
      channels_last_ = true;
    } else if (d.size() == 4 && is_float() && d[1] >= 1 && d[1] <= kMaxInputChannels) {
      shape_ = {small(d[1]), small(d[2]), small(d[3])};
    } else {
      throw data_error(path + ": the array is not N x C x H x W, N x H x W x C or N x H x W with 1 or 3 channels",
                       "transpose it before saving");
    }
    if (shape_.h > kMaxImageSide || shape_.w > kMaxImageSide || shape_.h * shape_.w > kMaxImagePixels) {
      throw data_error(path + ": images of " + shape_.to_string() + " are over the limit", "scale them down");
    }
  }

  template <typename T>
  std::vector<T> planes(std::size_t i) const {
    const auto n = static_cast<std::size_t>(shape_.size()), c = static_cast<std::size_t>(shape_.c), plane = n / c;
    std::vector<T> raw(n);
    std::memcpy(raw.data(), file_.data() + header_.data_offset + i * n * sizeof(T), n * sizeof(T));
    if (!channels_last_) return raw;
    std::vector<T> out(n);
    for (std::size_t p = 0; p < plane; ++p) {
      for (std::size_t k = 0; k < c; ++k) out[k * plane + p] = raw[p * c + k];
    }
    return out;
  }

  std::vector<std::uint8_t> file_;
  NpyHeader header_;
  std::vector<int> labels_;
  Shape shape_;
  bool channels_last_ = false;
};

}  // namespace

std::unique_ptr<Dataset> open_npy(const std::string& images_path, const std::string& labels_path) {
  return std::make_unique<Npy>(images_path, labels_path);
}

}  // namespace eqo
