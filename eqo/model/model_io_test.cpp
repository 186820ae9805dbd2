#include "eqo/model/model_io.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "eqo/core/error.h"
#include "eqo/model/testing/random_model.h"
#include "eqo/model/testing/small_models.h"

namespace eqo {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHeader = 24, kEntry = 56, kDigest = 32;

Category category_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return e.category();
  }
  return Category::kInternal;
}
bool refused(std::span<const std::byte> file) {
  return category_of([&] { parse_model(file); }) == Category::kModel;
}

void put_u64(Bytes& file, std::size_t at, std::uint64_t v) {
  for (std::size_t i = 0; i < 8; ++i) file[at + i] = static_cast<std::byte>(v >> (8 * i));
}
std::uint64_t get_u64(const Bytes& file, std::size_t at) {
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < 8; ++i) v |= static_cast<std::uint64_t>(file[at + i]) << (8 * i);
  return v;
}
void reseal(Bytes& file) {
  const Digest d = sha256(std::span(file).first(file.size() - kDigest));
  std::copy(d.begin(), d.end(), file.end() - kDigest);
}

void expect_equal(const Model& a, const Model& b) {
  EXPECT_EQ(plan_digest(a.plan), plan_digest(b.plan));
  ASSERT_EQ(a.secrets.size(), b.secrets.size());
  for (std::size_t i = 0; i < a.secrets.size(); ++i) {
    EXPECT_EQ(a.secrets[i].weights, b.secrets[i].weights);
    EXPECT_EQ(a.secrets[i].bias, b.secrets[i].bias);
    EXPECT_EQ(a.secrets[i].scale, b.secrets[i].scale);
  }
}

class ModelFile : public ::testing::Test {
 protected:
  ModelFile() {
    std::string pattern = (fs::temp_directory_path() / "eqo-model-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~ModelFile() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

TEST(ModelIo, RoundTrip) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const Model model = testing::random_model(seed);
    const Bytes bytes = serialize_model(model);
    const Model again = parse_model(bytes);
    expect_equal(model, again);
    EXPECT_TRUE(serialize_model(again) == bytes);
    EXPECT_EQ(model_digest(model), model_digest(again));
  }
}

TEST(ModelIo, WeightsTakeTheirWidth) {
  Model model = testing::dot_product(std::vector<std::int64_t>(800, 1), 0, 20, 8);
  const std::size_t wide = serialize_model(model).size();
  model.plan.nodes[1].codes = {WeightCode::twos_complement(3)};
  // 800 * 5 bits less, and 5 bits of the code itself.
  EXPECT_EQ(wide - serialize_model(model).size(), 800U * 5 / 8 + 5 * 2);
}

TEST(ModelIo, OneFlippedBitAnywhereIsSeen) {
  const Bytes bytes = serialize_model(testing::dot_product({1, -2, 3}, 4, 12, 8));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = bytes;
      bad[i] ^= static_cast<std::byte>(1 << bit);
      EXPECT_TRUE(refused(bad)) << "byte " << i;
    }
  }
}

TEST(ModelIo, CutAnywhereIsSeen) {
  const Bytes bytes = serialize_model(testing::random_model(3));
  for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_TRUE(refused(std::span(bytes).first(n))) << n;
}

TEST(ModelIo, JunkAtTheEndIsSeen) {
  Bytes bytes = serialize_model(testing::random_model(3));
  bytes.push_back(std::byte{0});
  EXPECT_TRUE(refused(bytes));
  put_u64(bytes, 16, bytes.size());  // the length says so, too
  reseal(bytes);
  EXPECT_TRUE(refused(bytes));
}

// Damage by someone who makes the outer checksum right again.
TEST(ModelIo, SectionTablesAreChecked) {
  const Bytes good = serialize_model(testing::random_model(3));
  const std::uint64_t offset2 = get_u64(good, kHeader + kEntry + 8);
  const auto refused_with = [&](std::size_t at, std::uint64_t value) {
    Bytes bad = good;
    put_u64(bad, at, value);
    reseal(bad);
    return refused(bad);
  };
  for (const std::uint64_t v : {offset2 - 1, offset2 + 1, std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 63})
    EXPECT_TRUE(refused_with(kHeader + kEntry + 8, v)) << v;  // overlap, gap, outside
  for (const std::uint64_t v : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    EXPECT_TRUE(refused_with(kHeader + 16, v));
    EXPECT_TRUE(refused_with(kHeader + kEntry + 16, v));
  }
  EXPECT_TRUE(refused_with(kHeader, 7));                             // an unknown kind, so no plan
  EXPECT_TRUE(refused_with(kHeader + kEntry, 1));                    // two plans
  EXPECT_TRUE(refused_with(kHeader, 1 | (std::uint64_t{1} << 40)));  // reserved
  EXPECT_TRUE(refused_with(16, good.size() + 1));
  Bytes bad = good;
  bad[12] = std::byte{200};  // sections
  reseal(bad);
  EXPECT_TRUE(refused(bad));
  bad = good;
  bad[static_cast<std::size_t>(offset2) + 1] ^= std::byte{1};  // the section's own checksum
  reseal(bad);
  EXPECT_TRUE(refused(bad));
}

TEST(ModelIo, VersionsAreChecked) {
  Bytes bytes = serialize_model(testing::random_model(3));
  bytes[8] = std::byte{2};
  reseal(bytes);
  try {
    parse_model(bytes);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kModel);
    EXPECT_NE(std::string(e.what()).find("version 2.0"), std::string::npos);
    EXPECT_NE(e.hint().find("newer"), std::string::npos);
  }
  bytes[8] = std::byte{1};
  bytes[10] = static_cast<std::byte>(kModelMinor + 1);  // a newer minor version is read
  reseal(bytes);
  EXPECT_NO_THROW(parse_model(bytes));
}

TEST(ModelIo, RandomBytesNeverCrash) {
  std::mt19937_64 random(7);
  const Bytes good = serialize_model(testing::random_model(8));
  for (int i = 0; i < 3000; ++i) {
    Bytes bad = good;
    for (std::uint64_t n = random() % 8; n < 8; ++n) bad[random() % (bad.size() - kDigest)] = std::byte(random());
    reseal(bad);
    refused(bad);
    Bytes noise(random() % 300);
    for (std::byte& b : noise) b = std::byte(random());
    EXPECT_TRUE(refused(noise));
  }
}

TEST(ModelIo, DigestBindsTheWeights) {
  Model model = testing::dot_product({1, -2, 3}, 4, 12, 8);
  const Digest digest = model_digest(model);
  const Digest plan = plan_digest(model.plan);
  model.secrets[1].weights[0] ^= 1;
  EXPECT_NE(model_digest(model), digest);
  EXPECT_EQ(plan_digest(model.plan), plan);
  model.secrets[1].weights[0] ^= 1;
  ++model.secrets[1].bias[0];
  EXPECT_NE(model_digest(model), digest);
}

TEST_F(ModelFile, SaveAndLoad) {
  const Model model = testing::random_model(12);
  save_model(model, path("m.eqo"));
  expect_equal(model, load_model(path("m.eqo")));
  const Model other = testing::random_model(13);
  save_model(other, path("m.eqo"));  // replaced
  expect_equal(other, load_model(path("m.eqo")));
  EXPECT_EQ(files(), 1U);
  struct stat info {};
  ASSERT_EQ(::stat(path("m.eqo").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(ModelFile, AFullDiskLeavesTheOldFile) {
  const Model old = testing::random_model(12);
  save_model(old, path("m.eqo"));
  const Model big = testing::dot_product(std::vector<std::int64_t>(100000, 1), 0, 30, 8);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 4096;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);  // a write past the limit then fails like one on a full disk
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Category category = category_of([&] { save_model(big, path("m.eqo")); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(category, Category::kResource);
  expect_equal(old, load_model(path("m.eqo")));
  EXPECT_EQ(files(), 1U);  // no temporary file is left
}

TEST_F(ModelFile, BadPaths) {
  EXPECT_EQ(category_of([&] { load_model(path("none.eqo")); }), Category::kModel);
  EXPECT_EQ(category_of([&] { load_model(folder_.string()); }), Category::kModel);
  EXPECT_EQ(category_of([&] { save_model(testing::random_model(1), path("no/such/m.eqo")); }), Category::kResource);
  std::ofstream(path("empty.eqo")).close();
  EXPECT_EQ(category_of([&] { load_model(path("empty.eqo")); }), Category::kModel);
  std::ofstream(path("text.eqo")) << "this is a text and no model, long enough for a header";
  EXPECT_EQ(category_of([&] { load_model(path("text.eqo")); }), Category::kModel);
  Model broken = testing::random_model(1);
  broken.secrets.pop_back();
  EXPECT_EQ(category_of([&] { save_model(broken, path("b.eqo")); }), Category::kModel);
  EXPECT_FALSE(fs::exists(path("b.eqo")));
}

TEST_F(ModelFile, LinksAreFollowed) {
  const Model model = testing::random_model(12);
  save_model(model, path("m.eqo"));
  fs::create_symlink(path("m.eqo"), path("link.eqo"));
  save_model(testing::random_model(13), path("link.eqo"));
  EXPECT_TRUE(fs::is_symlink(path("link.eqo")));
  expect_equal(testing::random_model(13), load_model(path("m.eqo")));
}

}  // namespace
}  // namespace eqo
