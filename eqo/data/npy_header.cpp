#include "eqo/data/npy_header.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <string_view>
#include <utility>

#include "eqo/core/error.h"

namespace eqo {
namespace {

constexpr std::size_t kMaxHeader = 65536;

constexpr std::array<std::pair<std::string_view, NpyType>, 11> kTypes = {{{"|i1", NpyType::kInt8},
                                                                          {"<i1", NpyType::kInt8},
                                                                          {"|u1", NpyType::kUInt8},
                                                                          {"<u1", NpyType::kUInt8},
                                                                          {"<i2", NpyType::kInt16},
                                                                          {"<u2", NpyType::kUInt16},
                                                                          {"<i4", NpyType::kInt32},
                                                                          {"<u4", NpyType::kUInt32},
                                                                          {"<i8", NpyType::kInt64},
                                                                          {"<u8", NpyType::kUInt64},
                                                                          {"<f4", NpyType::kFloat32}}};

// Reads the header's Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class DictReader {
 public:
  DictReader(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {}

  Error malformed() const { return data_error(name_ + ": malformed npy header", "write the file with numpy.save"); }

  bool accept(char c) {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) throw malformed();
  }
  std::string_view quoted() {
    const char quote = accept('\'') ? '\'' : '"';
    if (quote == '"') expect('"');
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) throw malformed();
    const std::string_view value = text_.substr(at_, end - at_);
    at_ = end + 1;
    return value;
  }
  bool boolean() {
    for (const std::string_view word : {std::string_view("True"), std::string_view("False")}) {
      if (accept(word.front())) {
        if (text_.substr(at_ - 1, word.size()) != word) throw malformed();
        at_ += word.size() - 1;
        return word == "True";
      }
    }
    throw malformed();
  }
  std::vector<std::size_t> tuple() {
    std::vector<std::size_t> values;
    expect('(');
    while (!accept(')')) {
      if (values.size() == 8) throw malformed();
      values.push_back(number());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return values;
  }
  bool at_end() {
    accept('\n');
    return at_ >= text_.size();
  }

 private:
  std::size_t number() {
    accept(' ');
    std::size_t value = 0, digits = 0;
    for (; at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0; ++at_, ++digits) {
      const auto digit = static_cast<std::size_t>(text_[at_] - '0');
      if (value > (std::numeric_limits<std::size_t>::max() - digit) / 10) throw malformed();
      value = value * 10 + digit;
    }
    if (digits == 0) throw malformed();
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string name_;
};

NpyType type_of(std::string_view descr, const std::string& name) {
  for (const auto& [text, type] : kTypes) {
    if (text == descr) return type;
  }
  throw data_error(name + ": elements of type '" + std::string(descr.substr(0, 16)) + "' are not supported",
                   "save uint8 or float32 images and integer labels");
}

}  // namespace

std::size_t npy_type_bytes(NpyType type) {
  switch (type) {
    case NpyType::kInt8:
    case NpyType::kUInt8:
      return 1;
    case NpyType::kInt16:
    case NpyType::kUInt16:
      return 2;
    case NpyType::kInt32:
    case NpyType::kUInt32:
    case NpyType::kFloat32:
      return 4;
    case NpyType::kInt64:
    case NpyType::kUInt64:
      return 8;
  }
  return 8;
}

NpyHeader parse_npy_header(std::span<const std::uint8_t> file, const std::string& name) {
  static constexpr std::array<std::uint8_t, 6> kMagic = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (file.size() < 12 || !std::equal(kMagic.begin(), kMagic.end(), file.begin()) || file[6] < 1 || file[6] > 3) {
    throw data_error(name + ": not a npy file of version 1 to 3", "write the file with numpy.save");
  }
  const std::size_t prefix = file[6] == 1 ? 10 : 12;
  std::size_t length = file[8] | static_cast<std::size_t>(file[9]) << 8;
  if (file[6] != 1) length |= static_cast<std::size_t>(file[10]) << 16 | static_cast<std::size_t>(file[11]) << 24;
  DictReader reader({reinterpret_cast<const char*>(file.data()) + prefix,
                     length <= kMaxHeader && length <= file.size() - prefix ? length : 0},
                    name);

  NpyHeader header;
  bool have_descr = false, have_order = false, have_shape = false;
  reader.expect('{');
  while (!reader.accept('}')) {
    const std::string_view key = reader.quoted();
    reader.expect(':');
    if (key == "descr" && !have_descr) {
      header.type = type_of(reader.quoted(), name);
      have_descr = true;
    } else if (key == "fortran_order" && !have_order) {
      have_order = true;
      if (reader.boolean()) {
        throw data_error(name + ": Fortran order is not supported", "save numpy.ascontiguousarray(x)");
      }
    } else if (key == "shape" && !have_shape) {
      header.shape = reader.tuple();
      have_shape = true;
    } else {
      throw reader.malformed();
    }
    if (!reader.accept(',')) {
      reader.expect('}');
      break;
    }
  }
  if (!have_descr || !have_order || !have_shape || !reader.at_end()) throw reader.malformed();

  header.data_offset = prefix + length;
  const std::size_t bytes = file.size() - header.data_offset, element = npy_type_bytes(header.type);
  header.count = header.shape.empty() ? 0 : 1;
  for (const std::size_t d : header.shape) {
    if (d != 0 && header.count > bytes / d) {
      throw data_error(name + ": the npy file is shorter than its header says", "the file is truncated");
    }
    header.count *= d;
  }
  if (header.count == 0) throw data_error(name + ": the npy array is empty", "save at least one element");
  if (header.count > bytes / element || header.count * element != bytes) {
    throw data_error(name + ": the npy file holds " + std::to_string(bytes) + " bytes of data, its header says " +
                         std::to_string(header.count) + " elements of " + std::to_string(element),
                     "the file is truncated or has junk at its end");
  }
  return header;
}

}  // namespace eqo
