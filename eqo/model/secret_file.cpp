#include "eqo/model/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <vector>

#include "eqo/core/error.h"

namespace eqo {
namespace {

Error failure(const std::string& path, int code) {
  return resource_error("cannot write " + path + ": " + std::generic_category().message(code),
                        "check the folder, its permissions and the free space");
}

class Writer {
 public:
  explicit Writer(int fd) : fd_(fd) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    if (fd_ >= 0) ::close(fd_);
  }
  void write(std::span<const std::byte> bytes, const std::string& path) const {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw failure(path, errno);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }
  void sync_and_close(const std::string& path) {
    if (::fsync(fd_) != 0) throw failure(path, errno);
    const int fd = fd_;
    fd_ = -1;
    if (::close(fd) != 0) throw failure(path, errno);
  }

 private:
  int fd_;
};

// What a symbolic link leads to, if it exists.
std::string resolve(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real != nullptr ? real.get() : path;
}

void sync_folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;  // the data is safe, only the rename's survival of a crash is not
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

void replace_secret_file(const std::string& path, std::span<const std::byte> bytes) {
  const std::string target = resolve(path);
  struct stat info {};
  if (::stat(target.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    const int fd = ::open(target.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) throw failure(path, errno);
    Writer(fd).write(bytes, path);
    return;
  }
  std::string temporary = target + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);  // mode 0600
  if (fd < 0) throw failure(path, errno);
  Writer writer(fd);
  try {
    writer.write(bytes, path);
    writer.sync_and_close(path);
    if (::rename(temporary.c_str(), target.c_str()) != 0) throw failure(path, errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder_of(target);
}

}  // namespace eqo
