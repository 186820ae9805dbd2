#include "eqo/importer/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "eqo/core/error.h"
#include "eqo/importer/onnx_export.h"
#include "eqo/importer/test_graphs.h"
#include "eqo/importer/zoo.h"

namespace eqo {
namespace {

namespace fs = std::filesystem;
using testing::TempFolder;

std::size_t entries(const TempFolder& f) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(f.path()), fs::directory_iterator()));
}

TEST(AtomicFile, ReplacesAndLeavesNothingBehind) {
  const TempFolder folder;
  const std::string path = folder.file("a");
  write_file_atomically(path, "one");
  write_file_atomically(path, "two");
  EXPECT_EQ(testing::read_file(path), "two");
  EXPECT_EQ(entries(folder), 1U);
}

TEST(AtomicFile, FollowsASymbolicLink) {
  const TempFolder folder;
  testing::write_file(folder.file("target"), "old");
  fs::create_symlink("target", folder.file("link"));
  write_file_atomically(folder.file("link"), "new");
  EXPECT_TRUE(fs::is_symlink(folder.file("link")));
  EXPECT_EQ(testing::read_file(folder.file("target")), "new");
}

TEST(AtomicFile, WritesToADevice) {
  EXPECT_NO_THROW(write_file_atomically("/dev/null", "gone"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(AtomicFile, RefusesAMissingFolder) {
  const TempFolder folder;
  try {
    write_file_atomically(folder.file("none/a"), "x");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kResource);
  }
}

TEST(AtomicFile, KnowsBeforeWhatWouldFail) {
  const TempFolder folder;
  testing::write_file(folder.file("a"), "old");
  EXPECT_NO_THROW(check_can_write(folder.file("a")));
  EXPECT_NO_THROW(check_can_write(folder.file("new")));
  EXPECT_NO_THROW(check_can_write("/dev/null"));
  EXPECT_THROW(check_can_write(folder.file("none/a")), Error);
  EXPECT_THROW(check_can_write(folder.path()), Error);
  EXPECT_EQ(testing::read_file(folder.file("a")), "old");
  EXPECT_EQ(entries(folder), 1U);
}

TEST(AtomicFile, AFullDiskKeepsTheOldFile) {
  EXPECT_THROW(write_file_atomically("/dev/full", "x"), Error);
  const TempFolder folder;
  const std::string path = folder.file("m.onnx");
  testing::write_file(path, "old");
  // A limit on the file size stands for a full disk; it is set in a child, for it can't be taken back.
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::signal(SIGXFSZ, SIG_IGN);
    int code = 1;
    try {
      export_onnx(make_zoo("resnet20"), path);
    } catch (const Error& e) {
      code = e.category() == Category::kResource ? 0 : 2;
    }
    ::_exit(code);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(testing::read_file(path), "old");
  EXPECT_EQ(entries(folder), 1U);
}

}  // namespace
}  // namespace eqo
