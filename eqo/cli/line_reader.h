#pragma once
#include <optional>
#include <string>

namespace eqo::cli {

// Lines of a file descriptor, with a look at whether one is there without waiting for it. Does not own the descriptor.
class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}
  // True if next() will not wait: a whole line is there, or the end.
  bool ready();
  // The next line without its end; none at the end of the file. Throws data_error if it cannot be read or is longer
  // than 64 KiB.
  std::optional<std::string> next();

 private:
  bool fill();  // reads what is there or waits for some; false at the end
  int fd_;
  bool end_ = false;
  std::string buffer_;
};

}  // namespace eqo::cli
