#include "eqo/data/image.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>

#include "eqo/core/error.h"
#include "eqo/data/file.h"
#include "eqo/data/jpeg_markers.h"
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

namespace eqo {
namespace {

using File = std::vector<std::uint8_t>;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

void append(void* out, void* bytes, int n) {
  const auto* b = static_cast<const std::uint8_t*>(bytes);
  static_cast<File*>(out)->insert(static_cast<File*>(out)->end(), b, b + n);
}

File random_bytes(std::size_t n, std::mt19937& rng) {
  File bytes(n);
  for (auto& b : bytes) b = static_cast<std::uint8_t>(rng());
  return bytes;
}

File encode_png(int w, int h, int channels, const File& pixels) {
  File out;
  stbi_write_png_to_func(append, &out, w, h, channels, pixels.data(), w * channels);
  return out;
}

File encode_jpeg(int w, int h, int channels, const File& pixels) {
  File out;
  stbi_write_jpg_to_func(append, &out, w, h, channels, pixels.data(), 95);
  return out;
}

// A picture without sharp edges, which JPEG keeps well.
File smooth(int w, int h) {
  File pixels;
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      for (const int v : {255 * x / w, 255 * y / h, 128}) pixels.push_back(static_cast<std::uint8_t>(v));
    }
  }
  return pixels;
}

void put32(File& out, std::uint32_t v) {
  for (int s = 24; s >= 0; s -= 8) out.push_back(static_cast<std::uint8_t>(v >> s));
}

void png_chunk(File& out, const std::string& type, const File& data) {
  put32(out, static_cast<std::uint32_t>(data.size()));
  File body(type.begin(), type.end());
  body.insert(body.end(), data.begin(), data.end());
  std::uint32_t crc = ~0U;
  for (const std::uint8_t b : body) {
    crc ^= b;
    for (int k = 0; k < 8; ++k) crc = (crc & 1) != 0 ? 0xEDB88320U ^ crc >> 1 : crc >> 1;
  }
  out.insert(out.end(), body.begin(), body.end());
  put32(out, ~crc);
}

// A PNG made by hand; `raw` are the rows with their filter bytes, below 64 KiB.
File hand_png(std::uint32_t w, std::uint32_t h, std::uint8_t depth, std::uint8_t colour, const File& palette,
              const File& raw) {
  File out = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'}, header;
  put32(header, w);
  put32(header, h);
  header.insert(header.end(), {depth, colour, 0, 0, 0});
  png_chunk(out, "IHDR", header);
  if (!palette.empty()) png_chunk(out, "PLTE", palette);
  const auto n = static_cast<std::uint16_t>(raw.size());
  File z = {0x78,
            0x01,
            0x01,
            static_cast<std::uint8_t>(n),
            static_cast<std::uint8_t>(n >> 8),
            static_cast<std::uint8_t>(~n),
            static_cast<std::uint8_t>(~n >> 8)};
  z.insert(z.end(), raw.begin(), raw.end());
  std::uint32_t a = 1, b = 0;
  for (const std::uint8_t v : raw) a = (a + v) % 65521, b = (b + a) % 65521;
  put32(z, b << 16 | a);
  png_chunk(out, "IDAT", z);
  png_chunk(out, "IEND", {});
  return out;
}

// A 24-bit BMP; rows bottom-up, or top-down with a negative height. pixels: h x w x RGB.
File hand_bmp(std::int32_t w, std::int32_t h, bool top_down, const File& pixels) {
  const std::int32_t row = (w * 3 + 3) / 4 * 4;
  File out = {'B', 'M'};
  const auto put = [&](std::int64_t v, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(v >> (8 * i)));
  };
  put(54 + row * h, 4), put(0, 4), put(54, 4), put(40, 4), put(w, 4), put(top_down ? -h : h, 4), put(1, 2), put(24, 2);
  put(0, 4), put(row * h, 4), put(2835, 4), put(2835, 4), put(0, 8);
  for (std::int32_t y = 0; y < h; ++y) {
    const std::int32_t from = top_down ? y : h - 1 - y;
    for (std::int32_t x = 0; x < w; ++x) {
      for (int c = 2; c >= 0; --c) out.push_back(pixels[at((from * w + x) * 3 + c)]);
    }
    for (std::int32_t x = w * 3; x < row; ++x) out.push_back(0);
  }
  return out;
}

File with_exif(const File& jpeg, const File& tiff) {
  File out(jpeg.begin(), jpeg.begin() + 2);
  const std::size_t length = 2 + 6 + tiff.size();
  out.insert(out.end(), {0xFF, 0xE1, static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length), 'E',
                         'x', 'i', 'f', 0, 0});
  out.insert(out.end(), tiff.begin(), tiff.end());
  out.insert(out.end(), jpeg.begin() + 2, jpeg.end());
  return out;
}

File orientation_tiff(int orientation, bool little) {
  const auto o = static_cast<std::uint8_t>(orientation);
  if (little) return {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, o, 0, 0, 0, 0, 0, 0, 0};
  return {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, o, 0, 0, 0, 0, 0, 0};
}

void expect_data_error(const File& file, const std::string& what) {
  try {
    decode_image(file, "test");
    ADD_FAILURE() << what << ": accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), Category::kData) << what << ": " << e.what();
  }
}

std::uint8_t pixel(const Image& image, std::int64_t c, std::int64_t y, std::int64_t x) {
  return image.pixels[at((c * image.shape.h + y) * image.shape.w + x)];
}

TEST(Image, PngKeepsEveryPixel) {
  std::mt19937 rng(1);
  for (int round = 0; round < 20; ++round) {
    const int w = round == 0 ? 1 : 1 + static_cast<int>(rng() % 40),
              h = round == 0 ? 1 : 1 + static_cast<int>(rng() % 40);
    for (const int channels : {1, 2, 3, 4}) {
      const File pixels = random_bytes(at(w * h * channels), rng);
      const Image image = decode_image(encode_png(w, h, channels, pixels), "test");
      ASSERT_EQ(image.shape, (Shape{3, h, w}));
      for (int y = 0; y < h; ++y) {
        for (int x = 0; x < w; ++x) {
          for (int c = 0; c < 3; ++c) {
            // Grey is replicated, alpha (the last of 2 or 4) is dropped.
            const int from = channels < 3 ? 0 : c;
            ASSERT_EQ(pixel(image, c, y, x), pixels[at((y * w + x) * channels + from)]) << channels;
          }
        }
      }
    }
  }
}

TEST(Image, PngOf16BitsAndPalette) {
  const Image wide = decode_image(hand_png(2, 1, 16, 2, {}, {0, 1, 99, 2, 99, 3, 99, 250, 0, 251, 0, 252, 0}), "test");
  EXPECT_EQ(wide.pixels, (File{1, 250, 2, 251, 3, 252}));
  const Image indexed = decode_image(hand_png(3, 1, 8, 3, {10, 20, 30, 40, 50, 60}, {0, 1, 0, 1}), "test");
  EXPECT_EQ(indexed.pixels, (File{40, 10, 40, 50, 20, 50, 60, 30, 60}));
  expect_data_error(hand_png(2, 1, 16, 2, {}, {0, 1, 99, 2}), "too few pixels");
}

TEST(Image, BmpBothWays) {
  std::mt19937 rng(2);
  for (const int w : {1, 2, 3, 4, 7}) {
    const int h = 5;
    const File pixels = random_bytes(at(w * h * 3), rng);
    for (const bool top_down : {false, true}) {
      const File file = hand_bmp(w, h, top_down, pixels);
      const Image image = decode_image(file, "test");
      ASSERT_EQ(image.shape, (Shape{3, h, w}));
      for (int i = 0; i < w * h; ++i) {
        for (int c = 0; c < 3; ++c) ASSERT_EQ(image.pixels[at(c * w * h + i)], pixels[at(3 * i + c)]);
      }
      for (std::size_t n = 0; n < file.size(); ++n) {
        expect_data_error(File(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(n)),
                          "BMP cut at " + std::to_string(n));
      }
    }
  }
}

TEST(Image, JpegIsCloseToTheOriginal) {
  const File pixels = smooth(48, 32);
  const Image image = decode_image(encode_jpeg(48, 32, 3, pixels), "test");
  ASSERT_EQ(image.shape, (Shape{3, 32, 48}));
  for (int i = 0; i < 48 * 32; ++i) {
    for (int c = 0; c < 3; ++c) ASSERT_NEAR(image.pixels[at(c * 48 * 32 + i)], pixels[at(3 * i + c)], 12);
  }
  const Image grey = decode_image(encode_jpeg(16, 8, 1, File(128, 77)), "test");
  EXPECT_EQ(grey.shape, (Shape{3, 8, 16}));
  for (const std::uint8_t v : grey.pixels) EXPECT_NEAR(v, 77, 2);
}

// EXIF 2.3, tag Orientation: which side of the picture the stored row 0 and the stored column 0 are.
TEST(Image, ExifOrientationIsApplied) {
  enum Side { kTop, kBottom, kLeft, kRight };
  constexpr std::array<std::array<Side, 2>, 8> kSides = {{{kTop, kLeft},
                                                          {kTop, kRight},
                                                          {kBottom, kRight},
                                                          {kBottom, kLeft},
                                                          {kLeft, kTop},
                                                          {kRight, kTop},
                                                          {kRight, kBottom},
                                                          {kLeft, kBottom}}};
  const int w = 24, h = 16;
  const File jpeg = encode_jpeg(w, h, 3, smooth(w, h));
  const Image plain = decode_image(jpeg, "test");
  for (int o = 1; o <= 8; ++o) {
    for (const bool little : {true, false}) {
      const Image turned = decode_image(with_exif(jpeg, orientation_tiff(o, little)), "test");
      ASSERT_EQ(turned.shape, o < 5 ? (Shape{3, h, w}) : (Shape{3, w, h})) << o;
      for (int r = 0; r < h; ++r) {
        for (int c = 0; c < w; ++c) {
          std::int64_t x = 0, y = 0;
          const auto place = [&](Side side, int i) {
            if (side == kTop) y = i;
            if (side == kBottom) y = turned.shape.h - 1 - i;
            if (side == kLeft) x = i;
            if (side == kRight) x = turned.shape.w - 1 - i;
          };
          place(kSides[at(o - 1)][0], r);
          place(kSides[at(o - 1)][1], c);
          for (int k = 0; k < 3; ++k) ASSERT_EQ(pixel(turned, k, y, x), pixel(plain, k, r, c)) << o;
        }
      }
    }
  }
}

TEST(Image, MalformedExifIsIgnored) {
  const File jpeg = encode_jpeg(8, 8, 3, smooth(8, 8));
  const Image plain = decode_image(jpeg, "test");
  std::vector<File> bad = {{}, {'I', 'I'}, orientation_tiff(0, true), orientation_tiff(9, true)};
  for (const std::size_t i : {0U, 2U, 4U, 7U, 12U, 14U, 17U}) {  // byte order, 42, offset, type, count
    bad.push_back(orientation_tiff(6, true));
    bad.back()[i] = 0xFF;
  }
  File many = orientation_tiff(6, true);
  many[8] = many[9] = 0xFF;  // 65535 entries, one present: it still counts
  EXPECT_EQ(scan_jpeg(with_exif(jpeg, many)).orientation, 6);
  for (std::size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(decode_image(with_exif(jpeg, bad[i]), "test").pixels, plain.pixels) << i;
  }
  const File whole = orientation_tiff(6, false);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const File cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_EQ(scan_jpeg(with_exif(jpeg, cut)).orientation, n < 22 ? 1 : 6) << n;
  }
}

TEST(Image, TruncatedFilesAreRefused) {
  std::mt19937 rng(3);
  const File png = encode_png(9, 7, 3, random_bytes(9 * 7 * 3, rng));
  // Without its last four bytes, a checksum of nothing, a PNG is complete.
  for (std::size_t n = 0; n + 4 < png.size(); ++n) {
    expect_data_error(File(png.begin(), png.begin() + static_cast<std::ptrdiff_t>(n)),
                      "PNG cut at " + std::to_string(n));
  }
  const File jpeg = encode_jpeg(24, 16, 3, smooth(24, 16));
  for (std::size_t n = 0; n < jpeg.size(); ++n) {
    expect_data_error(File(jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(n)),
                      "JPEG cut at " + std::to_string(n));
  }
}

TEST(Image, HugeHeadersAreRefusedBeforeAllocation) {
  for (const std::uint32_t side : {65535U, 16385U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
    expect_data_error(hand_png(side, side, 8, 2, {}, {0, 1, 2, 3}), "PNG");
  }
  expect_data_error(hand_png(16384, 16384, 8, 2, {}, {0, 1, 2, 3}), "PNG with too many pixels");
  expect_data_error(hand_png(0, 5, 8, 2, {}, {0}), "PNG without columns");

  File jpeg = encode_jpeg(8, 8, 3, smooth(8, 8));
  const std::array<std::uint8_t, 2> frame = {0xFF, 0xC0};
  const auto sof = std::search(jpeg.begin(), jpeg.end(), frame.begin(), frame.end());
  ASSERT_NE(sof, jpeg.end());
  File cmyk = jpeg;
  cmyk[at(sof - jpeg.begin() + 9)] = 4;
  expect_data_error(cmyk, "CMYK JPEG");
  std::fill_n(sof + 5, 4, std::uint8_t{0xFF});
  expect_data_error(jpeg, "JPEG");

  for (const std::size_t i : {18U, 22U}) {
    File bmp = hand_bmp(4, 4, false, File(48, 9));
    bmp[i] = bmp[i + 1] = 0xFF;
    expect_data_error(bmp, "BMP of 65535");
    bmp[i] = 0, bmp[i + 2] = bmp[i + 3] = 0xFF;
    expect_data_error(bmp, "BMP of -256");
    bmp[i] = bmp[i + 1] = bmp[i + 2] = 0, bmp[i + 3] = 0x80;
    expect_data_error(bmp, "BMP of -2^31");
  }
}

// Sixteen lengths of 255 codes each would be written past the end of the decoder's table of 256.
TEST(Image, OverfullHuffmanTablesAreRefused) {
  const File jpeg = encode_jpeg(8, 8, 3, smooth(8, 8));
  const std::array<std::uint8_t, 2> table = {0xFF, 0xC4};
  const auto dht = std::search(jpeg.begin(), jpeg.end(), table.begin(), table.end()) - jpeg.begin();
  ASSERT_LT(at(dht) + 21, jpeg.size());
  EXPECT_TRUE(scan_jpeg(jpeg).sound);
  for (std::int64_t i = 0; i < 16; ++i) {
    File bad = jpeg;
    bad[at(dht + 5 + i)] = 0xFF;
    expect_data_error(bad, "count of length " + std::to_string(i + 1));
  }
}

TEST(Image, OtherFilesAreRefused) {
  expect_data_error({}, "empty");
  expect_data_error({0xFF}, "one byte");
  expect_data_error({0xFF, 0xD8, 0xFF, 0xD9}, "JPEG without an image");
  expect_data_error({'G', 'I', 'F', '8', '9', 'a', 1, 0, 1, 0, 0, 0, 0}, "GIF");
  expect_data_error(File(1000, 0), "zeros");
}

TEST(Image, MutatedFilesNeverCrash) {
  std::mt19937 rng(4);
  const std::vector<File> seeds = {encode_png(12, 9, 4, random_bytes(12 * 9 * 4, rng)),
                                   with_exif(encode_jpeg(24, 16, 3, smooth(24, 16)), orientation_tiff(6, true)),
                                   hand_bmp(5, 4, false, random_bytes(60, rng)),
                                   hand_png(3, 1, 8, 3, {10, 20, 30, 40, 50, 60}, {0, 1, 0, 1})};
  for (int round = 0; round < 8000; ++round) {
    File file = seeds[static_cast<std::size_t>(round) % seeds.size()];
    for (std::size_t k = 1 + rng() % 4; k > 0; --k) file[rng() % file.size()] = static_cast<std::uint8_t>(rng());
    try {
      const Image image = decode_image(file, "test");
      ASSERT_EQ(image.pixels.size(), at(image.shape.size())) << "round " << round;
    } catch (const Error& e) {
      ASSERT_EQ(e.category(), Category::kData) << "round " << round << ": " << e.what();
    }
  }
}

TEST(File, LimitsAndKinds) {
  const auto path = std::filesystem::temp_directory_path() / ("eqo_file_test_" + std::to_string(::getpid()));
  std::ofstream(path) << "hello";
  EXPECT_EQ(read_file(path.string(), 5), (File{'h', 'e', 'l', 'l', 'o'}));
  const auto category = [](const std::string& p, std::size_t limit) {
    try {
      read_file(p, limit);
    } catch (const Error& e) {
      return e.category();
    }
    return Category::kInternal;
  };
  EXPECT_EQ(category(path.string(), 4), Category::kResource);
  EXPECT_EQ(category(path.string() + ".absent", 4), Category::kData);
  EXPECT_EQ(category(path.parent_path().string(), 4), Category::kData);
  EXPECT_EQ(category("/dev/zero", 4), Category::kData);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace eqo
