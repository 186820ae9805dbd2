#include "eqo/cli/inputs.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>

#include "eqo/core/error.h"
#include "eqo/data/dataset.h"
#include "eqo/data/image.h"
#include "eqo/model/quantize.h"

namespace eqo::cli {

void add_input_flags(CLI::App& cmd, InputFlags& flags) {
  cmd.add_option("images", flags.files, "PNG, JPEG or BMP files");
  cmd.add_option("--crop", flags.crops, "X,Y,W,H: use this part of the picture; once a file, 'none' for the whole")
      ->allow_extra_args(false);
  cmd.add_option("--data", flags.data, "DATA to take images from, with --index");
  cmd.add_option("--index", flags.indices, "I[,J...] or ranges I-J: which of --data's images, from 0")->delimiter(',');
}

void check_inputs(const InputFlags& flags) {
  if (flags.files.empty() == flags.data.empty())
    throw usage_error("give image files, or --data with --index", "see eqo infer --help");
  if (!flags.crops.empty() && flags.crops.size() != flags.files.size())
    throw usage_error(fmt::format("{} files, but {} times --crop", flags.files.size(), flags.crops.size()),
                      "give it once a file; 'none' leaves a picture whole");
  if (!flags.data.empty() && flags.indices.empty())
    throw usage_error("--data needs --index", "for example --index 0,1,2");
}

namespace {

// The part of `image` that "X,Y,W,H" names.
Image cropped(const Image& image, const std::string& text, const std::string& file) {
  if (text == "none") return image;
  std::array<std::int64_t, 4> v{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 0; i < v.size(); ++i) {
    const auto [next, error] = std::from_chars(at, end, v[i]);
    if (error != std::errc() || (i + 1 < v.size() ? next == end || *next != ',' : next != end))
      throw usage_error("--crop " + text + " is not X,Y,W,H", "for example --crop 10,20,200,200");
    at = next == end ? next : next + 1;
  }
  const auto [x, y, w, h] = v;
  const Shape& s = image.shape;
  if (x < 0 || y < 0 || w < 1 || h < 1 || x > s.w - w || y > s.h - h)
    throw usage_error(fmt::format("--crop {} does not lie in {}, which is {} x {}", text, file, s.w, s.h));
  Image part{{s.c, h, w}, {}};
  part.pixels.reserve(static_cast<std::size_t>(part.shape.size()));
  for (std::int64_t c = 0; c < s.c; ++c)
    for (std::int64_t row = y; row < y + h; ++row) {
      const auto from = image.pixels.begin() + (c * s.h + row) * s.w + x;
      part.pixels.insert(part.pixels.end(), from, from + w);
    }
  return part;
}

// "7" or "0-199".
std::pair<std::size_t, std::size_t> parse_range(const std::string& text, std::size_t size) {
  const auto number = [&](const std::string& s) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
    if (error != std::errc() || end != s.data() + s.size() || s.empty())
      throw usage_error("--index " + text + " is not a number or a range", "for example --index 0,5,10-19");
    return value;
  };
  const std::size_t dash = text.find('-');
  const std::size_t first = number(text.substr(0, dash));
  const std::size_t last = dash == std::string::npos ? first : number(text.substr(dash + 1));
  if (first > last || last >= size) throw usage_error(fmt::format("--index {}: the data has {} images", text, size));
  return {first, last};
}

}  // namespace

Inputs load_inputs(const InputFlags& flags, const PublicPlan& plan) {
  check_inputs(flags);
  Inputs inputs;
  const auto add = [&](const std::vector<float>& real) {
    const std::vector<Word> words = quantize_image(plan, real);
    inputs.words.insert(inputs.words.end(), words.begin(), words.end());
  };
  for (std::size_t i = 0; i < flags.files.size(); ++i) {
    const std::string& file = flags.files[i];
    add(plan.preprocess.apply(cropped(load_image(file), flags.crops.empty() ? "none" : flags.crops[i], file)));
    inputs.names.push_back(file);
    inputs.labels.push_back(-1);
  }
  if (flags.data.empty()) return inputs;
  const auto set = open_dataset(flags.data);
  for (const std::string& index : flags.indices) {
    const auto [first, last] = parse_range(index, set->size());
    for (std::size_t i = first; i <= last; ++i) {
      add(set->input(i, plan.preprocess));
      inputs.names.push_back(fmt::format("{}[{}]", flags.data, i));
      inputs.labels.push_back(set->label(i));
    }
  }
  return inputs;
}

}  // namespace eqo::cli
