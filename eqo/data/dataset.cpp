#include "eqo/data/dataset.h"

#include "eqo/core/error.h"
#include "eqo/data/dataset_formats.h"

namespace eqo {

void Dataset::check_index(std::size_t i) const {
  if (i >= size()) {
    throw usage_error("image " + std::to_string(i) + " of a data set of " + std::to_string(size()),
                      "indices begin at 0");
  }
}

std::vector<float> Dataset::input(std::size_t i, const Preprocess& preprocess) const {
  return preprocess.apply(image(i));
}

std::unique_ptr<Dataset> open_dataset(const std::string& spec, Split split) {
  const char* hint = "DATA is cifar10:PATH, cifar100:PATH, dir:FOLDER or npy:IMAGES,LABELS";
  const std::size_t colon = spec.find(':');
  if (colon == std::string::npos || colon + 1 == spec.size())
    throw usage_error("unknown data set '" + spec + "'", hint);
  const std::string kind = spec.substr(0, colon), path = spec.substr(colon + 1);
  if (kind == "cifar10") return open_cifar(path, false, split);
  if (kind == "cifar100") return open_cifar(path, true, split);
  if (kind == "dir") return open_folder(path);
  if (kind == "npy") {
    const std::size_t comma = path.rfind(',');
    if (comma == std::string::npos) throw usage_error("'" + spec + "' names no label file", hint);
    return open_npy(path.substr(0, comma), path.substr(comma + 1));
  }
  throw usage_error("unknown kind of data set '" + kind + "'", hint);
}

}  // namespace eqo
