#include "eqo/cli/line_reader.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "eqo/core/error.h"

namespace eqo::cli {
namespace {

constexpr std::size_t kLongest = std::size_t{64} << 10;

}  // namespace

bool LineReader::ready() {
  while (!end_ && buffer_.find('\n') == std::string::npos) {
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, 0) <= 0) return false;
    fill();
  }
  return true;
}

std::optional<std::string> LineReader::next() {
  while (true) {
    const std::size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    if (end_ || !fill()) {
      if (buffer_.empty()) return {};
      return std::exchange(buffer_, {});  // the last line needs no end
    }
  }
}

bool LineReader::fill() {
  std::array<char, 4096> chunk;
  ssize_t n = 0;
  do {
    n = ::read(fd_, chunk.data(), chunk.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) throw data_error(std::string("cannot read standard input: ").append(std::strerror(errno)));
  if (buffer_.size() + static_cast<std::size_t>(n) > kLongest) throw data_error("a line is longer than 64 KiB");
  buffer_.append(chunk.data(), static_cast<std::size_t>(n));
  end_ = n == 0;
  return !end_;
}

}  // namespace eqo::cli
