#include "eqo/train/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "eqo/core/error.h"
#include "eqo/data/file.h"

namespace eqo {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kRun = 42, kSubject = 43;

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() : folder_(fs::temp_directory_path() / ("eqo_checkpoint_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~CheckpointTest() override { fs::remove_all(folder_); }
  std::string path() const { return (folder_ / "run.ckpt").string(); }
  void overwrite(const std::vector<std::uint8_t>& bytes) const {
    std::ofstream(path(), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  Category load_category(std::uint64_t run = kRun, std::size_t size = 3, int epochs = 10) const {
    try {
      load_checkpoint(path(), run, size, epochs);
    } catch (const Error& e) {
      return e.category();
    }
    return Category::kInternal;
  }

  fs::path folder_;
  const Checkpoint good_{kRun, kSubject, 7, {1.5F, -0.0F, 3e-30F}};
};

TEST_F(CheckpointTest, ReadsWhatItWrote) {
  save_checkpoint(path(), good_);
  const Checkpoint back = load_checkpoint(path(), kRun, 3, 7);
  EXPECT_EQ(back.run, kRun);
  EXPECT_EQ(back.epochs_done, 7);
  EXPECT_EQ(back.state, good_.state);
}

TEST_F(CheckpointTest, ItsStateIsForEveryRunOfTheSubject) {
  save_checkpoint(path(), good_);
  EXPECT_EQ(load_state(path(), kSubject, 3), good_.state);
  const auto category = [&](std::uint64_t subject, std::size_t size) {
    try {
      load_state(path(), subject, size);
    } catch (const Error& e) {
      return e.category();
    }
    return Category::kInternal;
  };
  EXPECT_EQ(category(kSubject + 1, 3), Category::kUsage);
  EXPECT_EQ(category(kSubject, 4), Category::kData);
}

TEST_F(CheckpointTest, OtherRunsAndShapesAreRefused) {
  save_checkpoint(path(), good_);
  EXPECT_EQ(load_category(kRun + 1), Category::kUsage);
  EXPECT_EQ(load_category(kRun, 4), Category::kData);
  EXPECT_EQ(load_category(kRun, 2), Category::kData);
  EXPECT_EQ(load_category(kRun, 3, 6), Category::kData);
  save_checkpoint(path(), {kRun, kSubject, 0, good_.state});
  EXPECT_EQ(load_category(), Category::kData);
  save_checkpoint(path(), {kRun, kSubject, 1, {1, std::numeric_limits<float>::quiet_NaN(), 2}});
  EXPECT_EQ(load_category(), Category::kData);
  fs::remove(path());
  EXPECT_EQ(load_category(), Category::kData);
}

TEST_F(CheckpointTest, DamageIsFound) {
  save_checkpoint(path(), good_);
  const std::vector<std::uint8_t> whole = read_file(path(), 1000);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    overwrite({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)});
    ASSERT_EQ(load_category(), Category::kData) << "cut at " << n;
  }
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::vector<std::uint8_t> flipped = whole;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ 1U << (bit % 8));
    overwrite(flipped);
    ASSERT_EQ(load_category(), Category::kData) << "bit " << bit;
  }
  std::vector<std::uint8_t> longer = whole;
  longer.push_back(0);
  overwrite(longer);
  EXPECT_EQ(load_category(), Category::kData);
}

TEST_F(CheckpointTest, AFullDiskKeepsTheOldFile) {
  save_checkpoint(path(), good_);
  // A file size limit makes write() fail part of the way, as a full disk does.
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      save_checkpoint(path(), {kRun, kSubject, 8, std::vector<float>(1000, 1.0F)});
    } catch (const Error& e) {
      ::_exit(static_cast<int>(e.category()));
    }
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(Category::kResource));
  EXPECT_EQ(load_checkpoint(path(), kRun, 3, 10).state, good_.state);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1) << "a temporary file is left";
  try {
    save_checkpoint((folder_ / "absent" / "x").string(), good_);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kResource);
  }
}

TEST(RunDigest, DependsOnValuesAndOrder) {
  const auto digest = [](auto... v) {
    RunDigest d;
    (d.add(v), ...);
    return d.value();
  };
  EXPECT_EQ(digest(std::uint64_t{1}, 2.0), digest(std::uint64_t{1}, 2.0));
  EXPECT_NE(digest(std::uint64_t{1}, 2.0), digest(2.0, std::uint64_t{1}));
  EXPECT_NE(digest(1.0), digest(std::nextafter(1.0, 2.0)));
  EXPECT_NE(digest(std::string("ab"), std::string("c")), digest(std::string("a"), std::string("bc")));
}

}  // namespace
}  // namespace eqo
