#pragma once
#include <memory>
#include <string>

#include "eqo/data/dataset.h"

namespace eqo {

// The formats behind open_dataset; `path` is what follows the colon.
inline constexpr std::size_t kMaxDatasetFileBytes = std::size_t{8} << 30;
inline constexpr int kMaxClasses = 1 << 20;

std::unique_ptr<Dataset> open_cifar(const std::string& path, bool fine100, Split split);
std::unique_ptr<Dataset> open_folder(const std::string& path);
std::unique_ptr<Dataset> open_npy(const std::string& images_path, const std::string& labels_path);

}  // namespace eqo
