#include "eqo/data/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "eqo/core/error.h"

namespace eqo {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string reason(int error) { return std::generic_category().message(error); }

}  // namespace

std::vector<std::uint8_t> read_file(const std::string& path, std::size_t max_bytes) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) throw data_error("cannot open " + path + ": " + reason(errno), "check the path");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw data_error("cannot read " + path + ": " + reason(errno));
  if (!S_ISREG(info.st_mode)) throw data_error(path + " is not a regular file", "give the path of a file");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size > max_bytes) {
    throw resource_error(path + " has " + std::to_string(size) + " bytes, the limit is " + std::to_string(max_bytes),
                         "use a smaller file");
  }
  std::vector<std::uint8_t> content(static_cast<std::size_t>(size));
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::read(file.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw data_error("cannot read " + path + ": " + reason(errno));
    if (n == 0) throw data_error(path + " became shorter while it was read", "try again");
    done += static_cast<std::size_t>(n);
  }
  return content;
}

}  // namespace eqo
