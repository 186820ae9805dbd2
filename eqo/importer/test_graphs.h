#pragma once
// Helpers of this layer's tests.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "eqo/importer/float_graph.h"

namespace eqo::testing {

// A folder of its own that is gone with the object.
class TempFolder {
 public:
  TempFolder() {
    // In memory where that exists: these tests write thousands of files.
    std::error_code none;
    const std::filesystem::path memory = "/dev/shm";
    const bool fast = std::filesystem::is_directory(memory, none);
    std::string pattern = ((fast ? memory : std::filesystem::temp_directory_path()) / "eqo-importer-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::filesystem::filesystem_error("mkdtemp", std::error_code());
    path_ = pattern;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Every field of both nodes is the same.
inline bool same_node(const FloatNode& a, const FloatNode& b) {
  return a.op == b.op && a.name == b.name && a.inputs == b.inputs && a.shape == b.shape && a.window == b.window &&
         a.groups == b.groups && a.count_include_pad == b.count_include_pad && a.weight == b.weight &&
         a.bias == b.bias && a.scale == b.scale && a.shift == b.shift && a.mean == b.mean && a.variance == b.variance &&
         a.epsilon == b.epsilon && a.clip_lo == b.clip_lo && a.clip_hi == b.clip_hi && a.pad_before == b.pad_before &&
         a.pad_after == b.pad_after && a.start == b.start && a.step == b.step;
}

}  // namespace eqo::testing
