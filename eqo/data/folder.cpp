// A folder per class, as image classification sets are commonly laid out.
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/data/dataset_formats.h"

namespace eqo {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxFiles = 16u << 20;

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array<std::string_view, 4> kKnown = {".png", ".jpg", ".jpeg", ".bmp"};
  return std::find(kKnown.begin(), kKnown.end(), extension) != kKnown.end();
}

// Names in a folder that `keep` accepts, sorted; hidden ones are left out.
template <typename Keep>
std::vector<fs::path> sorted_entries(const fs::path& folder, Keep keep) {
  std::error_code error;
  std::vector<fs::path> found;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    const std::string name = it->path().filename().string();
    if (!name.empty() && name.front() != '.' && keep(*it, ignored)) found.push_back(it->path());
    if (found.size() > kMaxFiles) throw resource_error(folder.string() + " holds too many files", "use a smaller set");
  }
  if (error) throw data_error("cannot read the folder " + folder.string() + ": " + error.message(), "check the path");
  std::sort(found.begin(), found.end());
  return found;
}

class Folder final : public Dataset {
 public:
  explicit Folder(const std::string& path) {
    const auto is_folder = [](const fs::directory_entry& e, std::error_code& error) { return e.is_directory(error); };
    const auto is_image = [](const fs::directory_entry& e, std::error_code& error) {
      return e.is_regular_file(error) && is_image_name(e.path());
    };
    for (const fs::path& folder : sorted_entries(path, is_folder)) {
      if (classes_ == kMaxClasses) throw resource_error(path + " holds too many folders", "use a smaller set");
      for (const fs::path& file : sorted_entries(folder, is_image)) images_.emplace_back(file.string(), classes_);
      class_names_.push_back(folder.filename().string());
      ++classes_;
    }
    if (images_.empty()) {
      throw data_error(path + " holds no folder with PNG, JPEG or BMP files", "make one folder for each class");
    }
  }

  std::size_t size() const override { return images_.size(); }
  int label(std::size_t i) const override {
    check_index(i);
    return images_[i].second;
  }
  Image image(std::size_t i) const override {
    check_index(i);
    return load_image(images_[i].first);
  }

 private:
  std::vector<std::pair<std::string, int>> images_;
};

}  // namespace

std::unique_ptr<Dataset> open_folder(const std::string& path) { return std::make_unique<Folder>(path); }

}  // namespace eqo
