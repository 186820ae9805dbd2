#include "eqo/importer/const_tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "eqo/core/error.h"
#include "eqo/importer/onnx_test_builder.h"

namespace eqo {
namespace {

using onnx::TensorProto;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempFolder;

template <class T>
TensorProto raw(int type, const std::vector<T>& values) {
  TensorProto t;
  t.set_data_type(type);
  t.add_dims(static_cast<std::int64_t>(values.size()));
  t.set_raw_data(values.data(), values.size() * sizeof(T));
  return t;
}

std::string why(const TensorProto& t, const std::filesystem::path& folder = {}) {
  try {
    decode_tensor(t, folder);
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kModel);
    return e.what();
  }
  return "fine";
}

TEST(ConstTensor, RawDataOfEveryType) {
  EXPECT_THAT(decode_tensor(raw<float>(TensorProto::FLOAT, {1.5F, -2}), {}).f, ElementsAre(1.5F, -2));
  EXPECT_THAT(decode_tensor(raw<double>(TensorProto::DOUBLE, {1.5, -2}), {}).f, ElementsAre(1.5F, -2));
  EXPECT_THAT(decode_tensor(raw<std::uint16_t>(TensorProto::BFLOAT16, {0x3fc0, 0xc000}), {}).f, ElementsAre(1.5F, -2));
  EXPECT_THAT(decode_tensor(raw<std::int8_t>(TensorProto::INT8, {-1, 7}), {}).i, ElementsAre(-1, 7));
  EXPECT_THAT(decode_tensor(raw<std::uint8_t>(TensorProto::UINT8, {255, 7}), {}).i, ElementsAre(255, 7));
  EXPECT_THAT(decode_tensor(raw<std::uint8_t>(TensorProto::BOOL, {2, 0}), {}).i, ElementsAre(1, 0));
  EXPECT_THAT(decode_tensor(raw<std::int16_t>(TensorProto::INT16, {-300}), {}).i, ElementsAre(-300));
  EXPECT_THAT(decode_tensor(raw<std::int32_t>(TensorProto::INT32, {-300}), {}).i, ElementsAre(-300));
  EXPECT_THAT(
      decode_tensor(raw<std::int64_t>(TensorProto::INT64, {-300, std::numeric_limits<std::int64_t>::max()}), {}).i,
      ElementsAre(-300, std::numeric_limits<std::int64_t>::max()));
}

// IEEE 754 binary16: the values of its defining corners.
TEST(ConstTensor, Half) {
  const auto t = decode_tensor(raw<std::uint16_t>(TensorProto::FLOAT16, {0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x03ff,
                                                                         0x8000, 0x3555, 0x7c00, 0xfc00, 0x7e00}),
                               {});
  EXPECT_EQ(t.f[0], 1);
  EXPECT_EQ(t.f[1], -2);
  EXPECT_EQ(t.f[2], 65504);
  EXPECT_EQ(t.f[3], 0x1p-14F);
  EXPECT_EQ(t.f[4], 0x1p-24F);
  EXPECT_EQ(t.f[5], 1023 * 0x1p-24F);
  EXPECT_EQ(t.f[6], 0);
  EXPECT_TRUE(std::signbit(t.f[6]));
  EXPECT_NEAR(t.f[7], 1.0 / 3, 1e-4);
  EXPECT_EQ(t.f[8], std::numeric_limits<float>::infinity());
  EXPECT_EQ(t.f[9], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(t.f[10]));
}

TEST(ConstTensor, TypedData) {
  TensorProto t;
  t.add_dims(2);
  t.set_data_type(TensorProto::FLOAT16);
  t.add_int32_data(0x3c00);
  t.add_int32_data(0xc000);
  EXPECT_THAT(decode_tensor(t, {}).f, ElementsAre(1, -2));
  t.set_data_type(TensorProto::BFLOAT16);
  EXPECT_EQ(decode_tensor(t, {}).f[1], -2);
  t.set_data_type(TensorProto::INT32);
  EXPECT_THAT(decode_tensor(t, {}).i, ElementsAre(0x3c00, 0xc000));
  TensorProto d;
  d.set_data_type(TensorProto::DOUBLE);
  d.add_double_data(0.5);  // no dims: a scalar
  EXPECT_THAT(decode_tensor(d, {}).f, ElementsAre(0.5F));
  TensorProto u;
  u.set_data_type(TensorProto::UINT64);
  u.add_uint64_data(9);
  EXPECT_THAT(decode_tensor(u, {}).i, ElementsAre(9));
}

TEST(ConstTensor, LengthsMustMatchBeforeAnythingIsAllocated) {
  TensorProto t = raw<float>(TensorProto::FLOAT, {1, 2});
  t.set_dims(0, 3);
  EXPECT_THAT(why(t), HasSubstr("12 bytes holds 8"));
  t.set_dims(0, std::int64_t{1} << 62);
  EXPECT_THAT(why(t), HasSubstr("larger than"));
  t.add_dims(1 << 20);
  EXPECT_THAT(why(t), HasSubstr("overflow"));
  t.set_dims(0, -1);
  EXPECT_THAT(why(t), HasSubstr("-1 is out of range"));
  TensorProto f = testing::float_tensor("f", {3}, {1, 2});
  EXPECT_THAT(why(f), HasSubstr("3 elements holds 2"));
  f.set_data_type(TensorProto::STRING);
  EXPECT_THAT(why(f), HasSubstr("data type 8"));
  f.set_data_type(77);
  EXPECT_THAT(why(f), HasSubstr("data type 77"));
}

TensorProto external(const std::string& location, const char* offset = nullptr, const char* length = nullptr) {
  TensorProto t;
  t.set_data_type(TensorProto::FLOAT);
  t.add_dims(2);
  t.set_data_location(TensorProto::EXTERNAL);
  const auto entry = [&](const char* key, const std::string& value) {
    auto& e = *t.add_external_data();
    e.set_key(key);
    e.set_value(value);
  };
  entry("location", location);
  if (offset != nullptr) entry("offset", offset);
  if (length != nullptr) entry("length", length);
  return t;
}

TEST(ConstTensor, ExternalDataInsideTheFolderOnly) {
  namespace fs = std::filesystem;
  const TempFolder outer;
  const fs::path folder = outer.path() / "model";
  fs::create_directories(folder / "sub");
  const float values[] = {1, 2, 3};
  const std::string bytes(reinterpret_cast<const char*>(values), sizeof(values));
  testing::write_file((folder / "w.bin").string(), bytes);
  testing::write_file((folder / "sub" / "w.bin").string(), bytes);
  testing::write_file(outer.file("secret.bin"), bytes);
  fs::create_symlink(outer.path() / "secret.bin", folder / "out.bin");
  fs::create_directory_symlink(outer.path(), folder / "up");
  fs::create_symlink(folder / "w.bin", folder / "in.bin");

  EXPECT_THAT(decode_tensor(external("w.bin"), folder).f, ElementsAre(1, 2));
  EXPECT_THAT(decode_tensor(external("w.bin", "4", "8"), folder).f, ElementsAre(2, 3));
  EXPECT_THAT(decode_tensor(external("sub/w.bin"), folder).f, ElementsAre(1, 2));
  EXPECT_THAT(decode_tensor(external("in.bin"), folder).f, ElementsAre(1, 2));

  for (const std::string& bad : {std::string("../secret.bin"), std::string("sub/../../secret.bin"),
                                 outer.file("secret.bin"), std::string("out.bin"), std::string("up/secret.bin"),
                                 std::string(), std::string("/etc/passwd"), std::string("w.bin\0x", 7)}) {
    EXPECT_THAT(why(external(bad), folder), HasSubstr("outside of the model's folder")) << bad;
  }
  EXPECT_THAT(why(external("none.bin"), folder), HasSubstr("missing"));
  EXPECT_THAT(why(external("sub"), folder), HasSubstr("not a regular file"));
  EXPECT_THAT(why(external("w.bin", "8"), folder), HasSubstr("too short"));
  EXPECT_THAT(why(external("w.bin", "99999999999999999999"), folder), HasSubstr("no offset"));
  EXPECT_THAT(why(external("w.bin", "-4"), folder), HasSubstr("no offset"));
  EXPECT_THAT(why(external("w.bin", "0", "9"), folder), HasSubstr("9 bytes for a tensor of 8"));
}

}  // namespace
}  // namespace eqo
