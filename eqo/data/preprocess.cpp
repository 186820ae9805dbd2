#include "eqo/data/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "eqo/core/error.h"

namespace eqo {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

std::uint8_t to_byte(double v) { return static_cast<std::uint8_t>(std::clamp(v + 0.5, 0.0, 255.0)); }

// The weights with which source positions first..first+weights.size() make one output position.
struct Tap {
  std::int64_t first = 0;
  std::vector<double> weights;
};

// Taps of the output positions [begin, begin + count) when `from` positions are scaled to `to`.
std::vector<Tap> triangle_taps(std::int64_t from, std::int64_t to, std::int64_t begin, std::int64_t count) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double radius = std::max(scale, 1.0);
  std::vector<Tap> taps(index(count));
  for (std::int64_t o = 0; o < count; ++o) {
    const double centre = (static_cast<double>(begin + o) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::floor(centre - radius)));
    const auto last = std::min(from, static_cast<std::int64_t>(std::ceil(centre + radius)));
    Tap& tap = taps[index(o)];
    tap.first = first;
    double sum = 0;
    for (std::int64_t i = first; i < last; ++i) {
      const double w = std::max(0.0, 1.0 - std::abs(static_cast<double>(i) + 0.5 - centre) / radius);
      tap.weights.push_back(w);
      sum += w;
    }
    for (double& w : tap.weights) w /= sum;
  }
  return taps;
}

// The middle h x w of the image scaled to full_h x full_w; only its pixels are computed.
Image resize_and_crop(const Image& in, std::int64_t full_h, std::int64_t full_w, std::int64_t h, std::int64_t w) {
  const std::vector<Tap> rows = triangle_taps(in.shape.h, full_h, (full_h - h) / 2, h);
  const std::vector<Tap> columns = triangle_taps(in.shape.w, full_w, (full_w - w) / 2, w);
  Image out{{in.shape.c, h, w}, std::vector<std::uint8_t>(index(in.shape.c * h * w))};
  std::vector<double> narrow(index(in.shape.h * w));
  for (std::int64_t c = 0; c < in.shape.c; ++c) {
    const std::uint8_t* plane = in.pixels.data() + c * in.shape.h * in.shape.w;
    for (std::int64_t y = 0; y < in.shape.h; ++y) {
      for (std::int64_t x = 0; x < w; ++x) {
        const Tap& tap = columns[index(x)];
        double sum = 0;
        for (std::size_t i = 0; i < tap.weights.size(); ++i) {
          sum += tap.weights[i] * plane[y * in.shape.w + tap.first + static_cast<std::int64_t>(i)];
        }
        narrow[index(y * w + x)] = sum;
      }
    }
    for (std::int64_t y = 0; y < h; ++y) {
      const Tap& tap = rows[index(y)];
      for (std::int64_t x = 0; x < w; ++x) {
        double sum = 0;
        for (std::size_t i = 0; i < tap.weights.size(); ++i) {
          sum += tap.weights[i] * narrow[index((tap.first + static_cast<std::int64_t>(i)) * w + x)];
        }
        out.pixels[index((c * h + y) * w + x)] = to_byte(sum);
      }
    }
  }
  return out;
}

Image with_channels(const Image& in, std::int64_t channels) {
  const std::int64_t plane = in.shape.h * in.shape.w;
  Image out{{channels, in.shape.h, in.shape.w}, std::vector<std::uint8_t>(index(channels * plane))};
  for (std::int64_t i = 0; i < plane; ++i) {
    if (in.shape.c == 1) {
      for (std::int64_t c = 0; c < channels; ++c) out.pixels[index(c * plane + i)] = in.pixels[index(i)];
    } else {
      out.pixels[index(i)] = to_byte(0.299 * in.pixels[index(i)] + 0.587 * in.pixels[index(plane + i)] +
                                     0.114 * in.pixels[index(2 * plane + i)]);
    }
  }
  return out;
}

}  // namespace

void Preprocess::check() const {
  if (shape.c < 1 || shape.c > kMaxInputChannels || shape.h < 1 || shape.w < 1 || shape.h > kMaxImageSide ||
      shape.w > kMaxImageSide || shape.h * shape.w > kMaxImagePixels) {
    throw usage_error("an input of " + shape.to_string() + " is not an image", "use a model that takes images");
  }
  if (resize_shorter < 0 || resize_shorter > kMaxImageSide ||
      (resize_shorter != 0 && resize_shorter < std::max(shape.h, shape.w))) {
    throw usage_error("cannot scale to " + std::to_string(resize_shorter) + " pixels and crop " + shape.to_string(),
                      "give a size that is at least the crop's");
  }
  for (std::size_t c = 0; c < 3; ++c) {
    if (!std::isfinite(mean[c]) || !std::isfinite(std[c]) || !(std[c] > 0) || std::abs(mean[c]) > 1e6 ||
        std[c] < 1e-6) {
      throw usage_error("mean and deviation of channel " + std::to_string(c) + " are out of range",
                        "give three means and three positive deviations of pixels between 0 and 1");
    }
  }
}

void Preprocess::check_takes_pictures() const {
  if (shape.c != 1 && shape.c != 3)
    throw data_error("the model takes " + std::to_string(shape.c) + " channels, pictures have 1 or 3",
                     "give a float32 npy data set that is already preprocessed");
}

Image Preprocess::fit(const Image& image) const {
  check();
  check_takes_pictures();
  const Shape& in = image.shape;
  if (!(in.c == 1 || in.c == 3) || in.h < 1 || in.w < 1 || in.h > kMaxImageSide || in.w > kMaxImageSide ||
      image.pixels.size() != index(in.size())) {
    throw data_error("an image of " + in.to_string() + " does not fit a model of " + shape.to_string(),
                     "give images of 1 or 3 channels");
  }
  Image out = image;
  if (in.h != shape.h || in.w != shape.w) {
    // The smallest scale that covers, or the one that was asked for; the shorter side is hit exactly.
    double scale = static_cast<double>(resize_shorter) / static_cast<double>(std::min(in.h, in.w));
    if (resize_shorter == 0) {
      scale = std::max(static_cast<double>(shape.h) / static_cast<double>(in.h),
                       static_cast<double>(shape.w) / static_cast<double>(in.w));
    }
    const auto scaled = [&](std::int64_t side, std::int64_t least) {
      return std::max(least, static_cast<std::int64_t>(std::llround(static_cast<double>(side) * scale)));
    };
    const std::int64_t full_h = scaled(in.h, shape.h), full_w = scaled(in.w, shape.w);
    out = resize_and_crop(image, full_h, full_w, shape.h, shape.w);
  }
  return in.c == shape.c ? out : with_channels(out, shape.c);
}

void Preprocess::to_float(const std::uint8_t* pixels, float* out) const {
  check_takes_pictures();
  const std::int64_t plane = shape.h * shape.w;
  for (std::int64_t c = 0; c < shape.c; ++c) {
    const double m = mean[index(c)], s = std[index(c)];
    for (std::int64_t i = 0; i < plane; ++i) {
      out[c * plane + i] = static_cast<float>((static_cast<double>(pixels[c * plane + i]) / 255.0 - m) / s);
    }
  }
}

std::vector<float> Preprocess::apply(const Image& image) const {
  const Image fitted = fit(image);
  std::vector<float> out(index(shape.size()));
  to_float(fitted.pixels.data(), out.data());
  return out;
}

}  // namespace eqo
