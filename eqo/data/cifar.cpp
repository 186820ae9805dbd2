// CIFAR-10 and CIFAR-100, binary version: records of 1 (label) or 2 (coarse, fine) bytes and 3 planes of 32 x 32
// pixels, no header. https://www.cs.toronto.edu/~kriz/cifar.html
#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/data/dataset_formats.h"
#include "eqo/data/file.h"

namespace eqo {
namespace {

namespace fs = std::filesystem;
constexpr Shape kShape{3, 32, 32};
constexpr std::size_t kPixels = 3 * 32 * 32;

std::vector<std::string> files_of(const std::string& path, bool fine100, Split split) {
  std::error_code error;
  std::vector<std::string> files;
  if (!fs::is_directory(path, error)) {
    for (std::size_t begin = 0; begin <= path.size();) {
      const std::size_t comma = std::min(path.find(',', begin), path.size());
      files.push_back(path.substr(begin, comma - begin));
      begin = comma + 1;
    }
    return files;
  }
  const auto add = [&](const char* name) {
    const fs::path file = fs::path(path) / name;
    if (fs::exists(file, error)) files.push_back(file.string());
  };
  if (fine100) {
    add(split == Split::kTrain ? "train.bin" : "test.bin");
  } else if (split == Split::kTrain) {
    for (const char* name :
         {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"}) {
      add(name);
    }
  } else {
    add("test_batch.bin");
  }
  if (files.empty()) {
    throw data_error(path + " holds none of the standard files of " + (fine100 ? "CIFAR-100" : "CIFAR-10"),
                     "name the .bin file itself");
  }
  return files;
}

// The names file that the binary version ships beside the data; nothing if it is absent or not as expected.
std::vector<std::string> names_beside(const std::string& data_file, const char* name, std::size_t count) {
  const fs::path path = fs::path(data_file).parent_path() / name;
  std::error_code error;
  if (!fs::is_regular_file(path, error) || fs::file_size(path, error) > 65536) return {};
  std::vector<std::string> names(1);
  for (const std::uint8_t byte : read_file(path.string(), 65536)) {
    if (byte == '\n') {
      names.emplace_back();
    } else if (byte != '\r') {
      names.back() += static_cast<char>(byte);
    }
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names.size() == count ? names : std::vector<std::string>{};
}

class Cifar final : public Dataset {
 public:
  Cifar(const std::vector<std::string>& files, bool fine100) : prefix_(fine100 ? 2 : 1) {
    classes_ = fine100 ? 100 : 10;
    for (const std::string& file : files) append(file);
    if (fine100) {
      class_names_ = names_beside(files.front(), "fine_label_names.txt", 100);
    } else {
      class_names_ = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
    }
  }

  std::size_t size() const override { return records_.size() / record(); }
  int label(std::size_t i) const override {
    check_index(i);
    return records_[i * record() + prefix_ - 1];
  }
  Image image(std::size_t i) const override {
    check_index(i);
    const auto begin = records_.begin() + static_cast<std::ptrdiff_t>(i * record() + prefix_);
    return {kShape, {begin, begin + static_cast<std::ptrdiff_t>(kPixels)}};
  }

 private:
  std::size_t record() const { return prefix_ + kPixels; }

  void append(const std::string& file) {
    const std::vector<std::uint8_t> content = read_file(file, kMaxDatasetFileBytes);
    if (content.empty() || content.size() % record() != 0) {
      throw data_error(file + " has " + std::to_string(content.size()) + " bytes, not a multiple of the record's " +
                           std::to_string(record()),
                       "check that it is the binary version and complete");
    }
    for (std::size_t at = 0; at < content.size(); at += record()) {
      if (content[at + prefix_ - 1] >= classes_) {
        throw data_error(file + ": record " + std::to_string(at / record()) + " has label " +
                             std::to_string(content[at + prefix_ - 1]) + ", there are " + std::to_string(classes_),
                         "check that it is the right kind of CIFAR file");
      }
    }
    records_.insert(records_.end(), content.begin(), content.end());
  }

  std::size_t prefix_;
  std::vector<std::uint8_t> records_;
};

}  // namespace

std::unique_ptr<Dataset> open_cifar(const std::string& path, bool fine100, Split split) {
  return std::make_unique<Cifar>(files_of(path, fine100, split), fine100);
}

}  // namespace eqo
