#include "eqo/cli/train_plugin.h"

#include <dlfcn.h>

#include <filesystem>
#include <string>

#include "eqo/core/error.h"

namespace eqo::cli {

void* train_plugin_symbol(const char* symbol) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  std::string why = "not installed";
  for (const auto& folder : {self.parent_path(), self.parent_path().parent_path() / "lib" / "eqo"}) {
    const std::filesystem::path file = folder / kTrainPluginFile;
    if (!std::filesystem::exists(file)) continue;
    if (void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL))
      if (void* found = ::dlsym(handle, symbol)) return found;
    if (const char* error = ::dlerror()) why = error;
  }
  throw usage_error("this installation has no training part (" + why + ")",
                    "build with -DEQO_TRAIN=ON, see the README");
}

}  // namespace eqo::cli
