#include "eqo/model/bytes.h"

#include <gtest/gtest.h>

#include <limits>

#include "eqo/core/error.h"

namespace eqo {
namespace {

TEST(Bytes, RoundTrip) {
  ByteWriter w;
  w.u8(0xFE);
  w.u16(0xABCD);
  w.u32(0xDEADBEEF);
  w.u64(0x0123456789ABCDEFU);
  w.i64(std::numeric_limits<std::int64_t>::min());
  w.f64(-0.1);
  w.string("gr\xc3\xbc\xc3\x9f");
  w.record([&] { w.u8(7); });
  ByteReader r(w.view(), "test");
  EXPECT_EQ(r.u8(), 0xFE);
  EXPECT_EQ(r.u16(), 0xABCD);
  EXPECT_EQ(r.u32(), 0xDEADBEEFU);
  EXPECT_EQ(r.u64(), 0x0123456789ABCDEFU);
  EXPECT_EQ(r.i64(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(r.f64(), -0.1);
  EXPECT_EQ(r.string(6), "gr\xc3\xbc\xc3\x9f");
  ByteReader record = r.record();
  EXPECT_EQ(record.u8(), 7);
  EXPECT_NO_THROW(record.expect_end());
  EXPECT_NO_THROW(r.expect_end());
  EXPECT_EQ(static_cast<unsigned>(w.view()[1]), 0xCDU);  // little-endian
}

TEST(Bytes, EveryReadIsChecked) {
  ByteWriter w;
  w.u32(0xFFFFFFFF);
  const auto reader = [&] { return ByteReader(w.view(), "test"); };
  EXPECT_THROW(reader().u64(), Error);
  EXPECT_THROW(reader().f64(), Error);
  EXPECT_THROW(reader().bytes(5), Error);
  EXPECT_THROW(reader().bytes(std::numeric_limits<std::uint64_t>::max()), Error);
  EXPECT_THROW(reader().string(std::numeric_limits<std::size_t>::max()), Error);
  EXPECT_THROW(reader().record(), Error);
  EXPECT_THROW(reader().count(std::numeric_limits<std::size_t>::max(), 1), Error);
  EXPECT_THROW(reader().expect_end(), Error);
  EXPECT_NO_THROW(reader().bytes(4));
}

TEST(Bytes, CountsAreBounded) {
  ByteWriter w;
  w.u32(3);
  for (int i = 0; i < 12; ++i) w.u8(0);
  EXPECT_EQ(ByteReader(w.view(), "test").count(3, 4), 3U);
  EXPECT_THROW(ByteReader(w.view(), "test").count(2, 4), Error);
  EXPECT_THROW(ByteReader(w.view(), "test").count(3, 5), Error);
}

TEST(Bytes, NumbersAreFinite) {
  for (const double v : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    ByteWriter w;
    w.f64(v);
    EXPECT_THROW(ByteReader(w.view(), "test").f64(), Error);
  }
}

TEST(Bytes, ErrorsAreModelErrorsThatSayWhere) {
  ByteWriter w;
  w.u16(1);
  ByteReader r(w.view(), "the thing");
  r.u8();
  try {
    r.u32();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kModel);
    EXPECT_STREQ(e.what(), "the thing: it ends too early (4 more bytes expected) at byte 1 of 2");
  }
}

TEST(CleanText, Utf8WithoutControls) {
  for (const char* good : {"", "conv1/relu", "caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\xb1", "a b\xc2\xa0"})
    EXPECT_TRUE(clean_text(good)) << good;
  for (const std::string& bad :
       {std::string("a\nb"), std::string(1, '\0'), std::string("\x1b[0m"), std::string("\x7f"), std::string("\x80"),
        std::string("\xc3"), std::string("\xc3("), std::string("\xc0\xaf"), std::string("\xe0\x80\xaf"),
        std::string("\xed\xa0\x80"), std::string("\xf4\x90\x80\x80"), std::string("\xf8\x88\x80\x80\x80"),
        std::string("\xc2\x85"), std::string("\xe2\x80\xae"), std::string("\xe2\x80\xa8"), std::string("\xe2\x81\xa6"),
        std::string("\xf0\x9f\x90")})
    EXPECT_FALSE(clean_text(bad));
}

}  // namespace
}  // namespace eqo
