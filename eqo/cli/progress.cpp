#include "eqo/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace eqo::cli {

Progress::Progress(std::string what, bool enabled)
    : what_(std::move(what)), enabled_(enabled && ::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void Progress::update(std::uint64_t done, std::uint64_t total, const std::string& note) {
  if (!enabled_) return;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (now - start_ < std::chrono::seconds(2) || now - last_ < std::chrono::milliseconds(200)) return;
  last_ = now;
  shown_ = true;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  std::string line = fmt::format("\r\033[K{} {}/{}", what_, done, total);
  if (done > 0 && total >= done) {
    const auto left = static_cast<long>(elapsed / static_cast<double>(done) * static_cast<double>(total - done));
    line += fmt::format(", {}:{:02} left", left / 60, left % 60);
  }
  if (!note.empty()) line += ", " + note;
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace eqo::cli
