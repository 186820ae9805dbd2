#include "eqo/data/dataset.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "eqo/core/error.h"
#include "eqo/data/npy_header.h"

namespace eqo {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

class DatasetTest : public ::testing::Test {
 protected:
  DatasetTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / ("eqo_" + std::to_string(::getpid()) + "_" + test->name());
    fs::create_directories(folder_);
  }
  ~DatasetTest() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const Bytes& bytes) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return path(name);
  }
  static void expect_error(const std::string& spec, Category category, Split split = Split::kTest) {
    try {
      open_dataset(spec, split);
      ADD_FAILURE() << spec << ": accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), category) << spec << ": " << e.what();
    }
  }

  fs::path folder_;
  std::mt19937 rng_{1};
};

Bytes cifar_records(std::size_t n, std::size_t label_bytes, int classes, std::mt19937& rng) {
  Bytes out;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < label_bytes; ++k) {
      out.push_back(static_cast<std::uint8_t>(rng() % static_cast<std::uint32_t>(k + 1 == label_bytes ? classes : 20)));
    }
    for (int p = 0; p < 3072; ++p) out.push_back(static_cast<std::uint8_t>(rng()));
  }
  return out;
}

TEST_F(DatasetTest, Cifar10FilesAndFolders) {
  const Bytes one = cifar_records(3, 1, 10, rng_), two = cifar_records(2, 1, 10, rng_),
              test = cifar_records(1, 1, 10, rng_);
  const std::string a = write("set/data_batch_1.bin", one), b = write("set/data_batch_2.bin", two);
  write("set/test_batch.bin", test);
  for (const std::string& spec : {"cifar10:" + a + "," + b, "cifar10:" + path("set")}) {
    const auto data = open_dataset(spec, Split::kTrain);
    ASSERT_EQ(data->size(), 5U);
    EXPECT_EQ(data->classes(), 10);
    EXPECT_EQ(data->class_names().at(3), "cat");
    EXPECT_EQ(data->label(4), two[3073]);
    EXPECT_EQ(data->image(4).shape, (Shape{3, 32, 32}));
    EXPECT_EQ(data->image(4).pixels, Bytes(two.begin() + 3074, two.end()));
    EXPECT_EQ(data->input(4, {{3, 32, 32}}), (Preprocess{{3, 32, 32}}.apply(data->image(4))));
    EXPECT_THROW(data->image(5), Error);
    EXPECT_THROW(data->label(5), Error);
  }
  EXPECT_EQ(open_dataset("cifar10:" + path("set"))->size(), 1U);
  EXPECT_EQ(open_dataset("cifar10:" + a)->size(), 3U);
}

TEST_F(DatasetTest, Cifar100GivesTheFineLabel) {
  const Bytes records = cifar_records(4, 2, 100, rng_);
  const std::string file = write("train.bin", records);
  EXPECT_TRUE(open_dataset("cifar100:" + file)->class_names().empty());
  std::string names;
  for (int i = 0; i < 100; ++i) names += "class" + std::to_string(i) + "\n";
  write("fine_label_names.txt", Bytes(names.begin(), names.end()));
  const auto data = open_dataset("cifar100:" + folder_.string(), Split::kTrain);
  ASSERT_EQ(data->size(), 4U);
  EXPECT_EQ(data->label(2), records[2 * 3074 + 1]);
  EXPECT_EQ(data->image(3).pixels, Bytes(records.end() - 3072, records.end()));
  EXPECT_EQ(data->class_names().at(99), "class99");
}

TEST_F(DatasetTest, CifarFilesOfAWrongLengthOrLabel) {
  const Bytes good = cifar_records(2, 1, 10, rng_);
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{3072}, std::size_t{3074}, good.size() - 1}) {
    expect_error("cifar10:" + write("a.bin", Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n))),
                 Category::kData);
  }
  expect_error("cifar100:" + write("b.bin", good), Category::kData);
  Bytes label = good;
  label[3073] = 10;
  expect_error("cifar10:" + write("c.bin", label), Category::kData);
  Bytes fine = cifar_records(1, 2, 100, rng_);
  fine[1] = 100;
  expect_error("cifar100:" + write("d.bin", fine), Category::kData);
  expect_error("cifar10:" + path("absent.bin"), Category::kData);
  expect_error("cifar10:" + folder_.string(), Category::kData);
}

TEST_F(DatasetTest, SpecsThatAreNone) {
  for (const char* spec : {"", "cifar10", "cifar10:", "mnist:x", "npy:only-images", ":x"})
    expect_error(spec, Category::kUsage);
}

// A 2 x 1 BMP of 24 bits: a red and a blue pixel.
Bytes tiny_bmp(std::uint8_t red) {
  Bytes b(62, 0);
  const Bytes head = {'B', 'M', 62, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 24};
  std::copy(head.begin(), head.end(), b.begin());
  b[56] = red;
  b[57] = 255;
  return b;
}

TEST_F(DatasetTest, FolderPerClass) {
  write("set/dog/2.bmp", tiny_bmp(2));
  write("set/dog/1.BMP", tiny_bmp(1));
  write("set/cat/9.bmp", tiny_bmp(9));
  write("set/cat/broken.png", {1, 2, 3});
  write("set/cat/.hidden.bmp", tiny_bmp(7));
  write("set/cat/notes.txt", {1});
  write("set/.git/x.bmp", tiny_bmp(7));
  write("set/stray.bmp", tiny_bmp(7));
  const auto data = open_dataset("dir:" + path("set"));
  ASSERT_EQ(data->size(), 4U);
  EXPECT_EQ(data->class_names(), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(data->image(0).pixels, (Bytes{9, 0, 0, 0, 0, 255}));
  EXPECT_EQ(data->image(2).pixels[0], 1);
  EXPECT_EQ(data->image(3).pixels[0], 2);
  EXPECT_EQ(data->label(1), 0);
  EXPECT_EQ(data->label(2), 1);
  EXPECT_EQ(data->input(0, {{3, 2, 2}}).size(), 12U);
  try {
    data->image(1);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kData);
    EXPECT_NE(std::string(e.what()).find("broken.png"), std::string::npos);
  }
  expect_error("dir:" + path("absent"), Category::kData);
  expect_error("dir:" + path("set/cat"), Category::kData);
}

Bytes npy(const std::string& descr, const std::string& shape, const Bytes& data, const std::string& order = "False",
          std::uint8_t version = 1) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  const std::size_t prefix = version == 1 ? 10 : 12;
  while ((prefix + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  Bytes out = {0x93,
               'N',
               'U',
               'M',
               'P',
               'Y',
               version,
               0,
               static_cast<std::uint8_t>(header.size()),
               static_cast<std::uint8_t>(header.size() >> 8)};
  out.resize(prefix);
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

template <typename T>
Bytes raw(const std::vector<T>& values) {
  Bytes out(values.size() * sizeof(T));
  std::memcpy(out.data(), values.data(), out.size());
  return out;
}

TEST_F(DatasetTest, NpyLayouts) {
  Bytes pixels(2 * 3 * 4 * 5);
  for (auto& p : pixels) p = static_cast<std::uint8_t>(rng_());
  const std::string labels = write("l.npy", npy("<i8", "(2,)", raw<std::int64_t>({7, 1})));
  const auto open = [&](const std::string& shape) {
    return open_dataset("npy:" + write("x.npy", npy("|u1", shape, pixels, "False", 2)) + "," + labels);
  };
  const auto planes = open("(2, 3, 4, 5)");
  ASSERT_EQ(planes->size(), 2U);
  EXPECT_EQ(planes->label(0), 7);
  EXPECT_EQ(planes->classes(), 8);
  EXPECT_EQ(planes->image(1).shape, (Shape{3, 4, 5}));
  EXPECT_EQ(planes->image(1).pixels, Bytes(pixels.begin() + 60, pixels.end()));
  const auto last = open("(2, 4, 5, 3)");
  EXPECT_EQ(last->image(1).shape, (Shape{3, 4, 5}));
  for (std::size_t p = 0; p < 20; ++p) {
    for (std::size_t c = 0; c < 3; ++c) EXPECT_EQ(last->image(1).pixels[c * 20 + p], pixels[60 + 3 * p + c]);
  }
  EXPECT_EQ(open("(2, 12, 5)")->image(0).shape, (Shape{1, 12, 5}));
  EXPECT_EQ(open("(2, 60, 1, 1)")->image(0).shape, (Shape{1, 60, 1}));
}

TEST_F(DatasetTest, NpyFloatsPassThrough) {
  std::vector<float> values(2 * 3 * 2 * 2);
  for (auto& v : values) v = static_cast<float>(rng_() % 1000) / 7.0F;
  const std::string labels = write("l.npy", npy("|u1", "(2,)", {0, 1}));
  const std::string spec = "npy:" + write("x.npy", npy("<f4", "(2,3,2,2)", raw(values))) + "," + labels;
  const auto data = open_dataset(spec);
  EXPECT_TRUE(data->is_float());
  EXPECT_EQ(data->input(1, {{3, 2, 2}}), std::vector<float>(values.begin() + 12, values.end()));
  EXPECT_THROW(data->input(1, {{3, 4, 4}}), Error);
  EXPECT_THROW(data->image(0), Error);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<float> broken = values;
    broken[17] = bad;
    write("x.npy", npy("<f4", "(2,3,2,2)", raw(broken)));
    expect_error(spec, Category::kData);
  }
}

TEST_F(DatasetTest, NpyFloatsMayHaveAnyChannels) {
  std::vector<float> values(2 * 5 * 2 * 2);
  for (auto& v : values) v = static_cast<float>(rng_() % 1000) / 7.0F;
  const std::string labels = write("l.npy", npy("|u1", "(2,)", {0, 1}));
  const auto data = open_dataset("npy:" + write("x.npy", npy("<f4", "(2,5,2,2)", raw(values))) + "," + labels);
  EXPECT_EQ(data->input(1, {{5, 2, 2}}), std::vector<float>(values.begin() + 20, values.end()));
}

TEST_F(DatasetTest, NpyThatIsRefused) {
  const std::string labels = write("l.npy", npy("<i4", "(1,)", raw<std::int32_t>({0})));
  const Bytes pixels(12, 5);
  const std::vector<std::pair<const char*, Bytes>> bad = {
      {"object", npy("|O", "(1,3,2,2)", pixels)},
      {"big-endian", npy(">f4", "(1,3,1,1)", pixels)},
      {"double", npy("<f8", "(1,1,1,1)", Bytes(8))},
      {"int32 images", npy("<i4", "(1,3,1,1)", pixels)},
      {"Fortran", npy("|u1", "(1,3,2,2)", pixels, "True")},
      {"order is no boolean", npy("|u1", "(1,3,2,2)", pixels, "Trve")},
      {"one element less", npy("|u1", "(1,3,2,3)", pixels)},
      {"one element more", npy("|u1", "(1,3,1,2)", pixels)},
      {"dimension 0", npy("|u1", "(1,3,0,2)", {})},
      {"no dimension", npy("|u1", "()", {1})},
      {"overflow", npy("|u1", "(4294967296,4294967296,3,1)", pixels)},
      {"longer than 64 bits", npy("|u1", "(99999999999999999999,1,1,1)", pixels)},
      {"negative", npy("|u1", "(-1,3,2,2)", pixels)},
      {"two channels", npy("|u1", "(1,2,3,2)", pixels)},
      {"two dimensions", npy("|u1", "(1,12)", pixels)},
      {"two images, one label", npy("|u1", "(2,3,2,1)", pixels)},
      {"version 9", npy("|u1", "(1,3,2,2)", pixels, "False", 9)},
      {"two shapes", npy("|u1", "(1,3,2,2), 'shape': (1,3,2,2)", pixels)},
      {"unknown key", npy("|u1", "(1,3,2,2), 'x': (1,)", pixels)},
      {"structured", npy("[('a', '<i4')]", "(1,3,2,2)", pixels)},
      {"huge header", {0x93, 'N', 'U', 'M', 'P', 'Y', 2, 0, 0xFF, 0xFF, 0xFF, 0xFF, '{', '}'}},
      {"empty", {}}};
  for (const auto& [what, bytes] : bad) {
    SCOPED_TRACE(what);
    expect_error("npy:" + write("x.npy", bytes) + "," + labels, Category::kData);
  }
  const std::string images = write("good.npy", npy("|u1", "(1,3,2,2)", pixels));
  EXPECT_EQ(open_dataset("npy:" + images + "," + labels)->size(), 1U);
  const std::vector<Bytes> bad_labels = {npy("<i4", "(1,)", raw<std::int32_t>({-1})),
                                         npy("<u8", "(1,)", raw<std::uint64_t>({~0ULL})),
                                         npy("<i8", "(1,)", raw<std::int64_t>({std::int64_t{1} << 32})),
                                         npy("<f4", "(1,)", raw<float>({0})),
                                         npy("<i4", "(1, 1)", raw<std::int32_t>({0})),
                                         npy("|O", "(1,)", Bytes(8))};
  for (const Bytes& b : bad_labels) expect_error("npy:" + images + "," + write("b.npy", b), Category::kData);
  const Bytes whole = npy("|u1", "(1,3,2,2)", pixels);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_THROW(parse_npy_header(cut, "cut"), Error) << n;
  }
}

TEST(NpyHeader, EveryIntegerType) {
  for (const char* type : {"|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4"}) {
    const auto bytes = static_cast<std::size_t>(type[2] - '0');
    const NpyHeader header = parse_npy_header(npy(type, "(5,)", Bytes(5 * bytes), "False", 3), "test");
    EXPECT_EQ(npy_type_bytes(header.type), bytes);
    EXPECT_EQ(header.count, 5U);
  }
}

TEST(NpyHeader, MutationsNeverCrash) {
  std::mt19937 rng(5);
  const Bytes good = npy("|u1", "(1, 3, 2, 2)", Bytes(12, 5));
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes file = good;
    for (std::size_t k = 1 + rng() % 3; k > 0; --k) file[rng() % 80] = static_cast<std::uint8_t>(rng());
    if (rng() % 4 == 0) file.resize(rng() % file.size());
    try {
      const NpyHeader h = parse_npy_header(file, "test");
      ASSERT_EQ(h.data_offset + h.count * npy_type_bytes(h.type), file.size()) << "round " << round;
      ++accepted;
    } catch (const Error& e) {
      ASSERT_EQ(e.category(), Category::kData) << "round " << round;
    }
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace eqo
