#include "eqo/importer/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <random>
#include <system_error>

#include "eqo/core/error.h"

namespace eqo {
namespace {

Error failure(const std::string& what, const std::string& path, int code) {
  const std::string reason = std::generic_category().message(code);
  return resource_error(what + " '" + path + "': " + reason, "check the folder, its permissions and the free space");
}

// An open descriptor; with a name to remove unless release() was called.
class File {
 public:
  File(std::string path, int flags, bool temporary) : path_(std::move(path)), temporary_(temporary) {
    fd_ = ::open(path_.c_str(), flags | O_WRONLY | O_CLOEXEC, 0666);
    if (fd_ < 0) throw failure("can't write", path_, errno);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
    if (temporary_) ::unlink(path_.c_str());
  }
  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw failure("can't write", path_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void close(bool sync) {
    if (sync && ::fsync(fd_) != 0) throw failure("can't write", path_, errno);
    const int fd = fd_;
    fd_ = -1;
    if (::close(fd) != 0) throw failure("can't write", path_, errno);
  }
  void release() { temporary_ = false; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool temporary_;
  int fd_ = -1;
};

namespace fs = std::filesystem;

// Something that exists and isn't a regular file: a pipe, /dev/null, a folder.
bool written_directly(const std::string& path) {
  std::error_code ec;
  const fs::file_status status = fs::status(path, ec);
  return fs::exists(status) && !fs::is_regular_file(status);
}

// Where the bytes end up: a link's end.
std::string target_of(const std::string& path) {
  std::error_code ec;
  if (!fs::is_symlink(fs::symlink_status(path, ec))) return path;
  const fs::path real = fs::weakly_canonical(path, ec);
  return ec ? path : real.string();
}

std::string temporary_name(const std::string& target) {
  return target + ".tmp" + std::to_string(std::random_device{}()) + std::to_string(std::random_device{}());
}

}  // namespace

void check_can_write(const std::string& path) {
  std::error_code ec;
  if (fs::is_directory(path, ec)) throw failure("can't write", path, EISDIR);
  if (!written_directly(path)) File(temporary_name(target_of(path)), O_CREAT | O_EXCL, true).close(false);
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  if (written_directly(path)) {
    File file(path, 0, false);
    file.write(bytes);
    file.close(false);
    return;
  }
  const std::string target = target_of(path);
  File file(temporary_name(target), O_CREAT | O_EXCL, true);
  file.write(bytes);
  file.close(true);
  if (::rename(file.path().c_str(), target.c_str()) != 0) throw failure("can't write", target, errno);
  file.release();
  // The rename itself must survive a crash too; a folder that can't be opened is no reason to fail now.
  const std::string folder = fs::path(target).parent_path().string();
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
}

}  // namespace eqo
