#include "eqo/cli/line_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "eqo/core/error.h"

namespace eqo::cli {
namespace {

// The two ends of a pipe.
struct Pipe {
  Pipe() { EXPECT_EQ(::pipe(ends.data()), 0); }
  ~Pipe() {
    ::close(ends[0]);
    close_writer();
  }
  void write(const std::string& text) const {
    EXPECT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void close_writer() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
  std::array<int, 2> ends{-1, -1};
};

TEST(LineReader, IsReadyForWholeLinesAndTheEnd) {
  Pipe pipe;
  LineReader lines(pipe.ends[0]);
  EXPECT_FALSE(lines.ready());
  pipe.write("a.p");
  EXPECT_FALSE(lines.ready());
  pipe.write("ng\nb.png\n\nc");
  EXPECT_TRUE(lines.ready());
  EXPECT_EQ(lines.next(), "a.png");
  EXPECT_TRUE(lines.ready());
  EXPECT_EQ(lines.next(), "b.png");
  EXPECT_EQ(lines.next(), "");
  EXPECT_FALSE(lines.ready());
  pipe.close_writer();
  EXPECT_TRUE(lines.ready());
  EXPECT_EQ(lines.next(), "c");
  EXPECT_TRUE(lines.ready());
  EXPECT_EQ(lines.next(), std::nullopt);
  EXPECT_EQ(lines.next(), std::nullopt);
}

TEST(LineReader, ErrorsAreDataErrors) {
  Pipe pipe;
  pipe.write(std::string(60000, 'x'));
  LineReader lines(pipe.ends[0]);
  EXPECT_FALSE(lines.ready());
  pipe.write(std::string(5600, 'x'));
  EXPECT_THROW(lines.next(), Error);
  EXPECT_THROW(LineReader(-1).next(), Error);
}

}  // namespace
}  // namespace eqo::cli
