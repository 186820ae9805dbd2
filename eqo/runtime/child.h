#pragma once
#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "eqo/core/secret.h"

namespace eqo {

// A child process with a pipe back to its parent, for run_local(). The body writes records through the pipe; an Error
// it throws crosses the pipe and is thrown in the parent by finish().
class Child {
 public:
  class Pipe {
   public:
    explicit Pipe(int fd) : fd_(fd) {}
    void write(std::span<const std::byte> data) const;  // throws connection_error if the parent is gone
   private:
    int fd_;
  };

  // Forks. In the child: runs `body`, then ends the process without running destructors of the parent's objects.
  explicit Child(const std::function<void(const Pipe&)>& body);
  ~Child();  // kills and reaps a child that is still there
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Reads exactly data.size() bytes of what the body wrote. Returns false if the child ended instead.
  bool read(std::span<std::byte> data);
  // Waits for the child's end. Throws the child's Error, or internal_error if it died of something else.
  void finish();

 private:
  // Frames on the pipe: a length, then bytes of the body; or kErrorMark, then category, message and hint.
  bool next_frame();
  pid_t pid_ = -1;
  int fd_ = -1;
  Bytes frame_;
  std::size_t used_ = 0;
  bool ended_ = false;
  struct Failure {
    int category = 0;
    std::string message, hint;
  };
  std::optional<Failure> failure_;
};

}  // namespace eqo
