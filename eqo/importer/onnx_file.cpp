#include "eqo/importer/onnx_file.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/wire_format_lite.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <system_error>

#include "eqo/core/error.h"

namespace eqo {
namespace {

namespace fs = std::filesystem;
namespace pb = google::protobuf;

constexpr int kMaxNesting = 100;
constexpr std::size_t kMaxText = 200;
// Messages and strings in a file: each takes two bytes there and hundreds in memory. kMaxNodes nodes need far fewer.
constexpr std::int64_t kMaxObjects = std::int64_t{1} << 22;

// Length of the valid UTF-8 sequence at the start of `s`, 0 if there is none.
std::size_t utf8_length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0U; };
  const unsigned first = byte(0);
  const std::size_t n = first < 0x80   ? 1
                        : first < 0xc2 ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
  return n;
}

// Counts the messages and strings below a message of this type, without building any of them. False: malformed, nested
// too deeply, or `left` of them used up.
bool count_objects(pb::io::CodedInputStream& in, const pb::Descriptor& type, int depth, std::int64_t& left) {
  using pb::internal::WireFormatLite;
  if (depth > kMaxNesting) return false;
  while (const std::uint32_t tag = in.ReadTag()) {
    const pb::FieldDescriptor* field = type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
    const bool delimited = WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    if (!delimited || field == nullptr) {
      if (!WireFormatLite::SkipField(&in, tag)) return false;
      continue;
    }
    int length = 0;
    if (!in.ReadVarintSizeAsInt(&length)) return false;
    const bool message = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
    if ((message || field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING) && --left < 0) return false;
    if (!message) {
      if (!in.Skip(length)) return false;
      continue;
    }
    const auto limit = in.PushLimit(length);
    if (!count_objects(in, *field->message_type(), depth + 1, left) || in.BytesUntilLimit() != 0) return false;
    in.PopLimit(limit);
  }
  return in.ConsumedEntireMessage();
}

// One pass over the file through protobuf's stream, with its limits set.
template <class Pass>
bool read_stream(const std::string& path, const Pass& pass) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw model_error("can't read '" + printable(path) + "'", "check its permissions");
  pb::io::IstreamInputStream stream(&file);
  pb::io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(std::numeric_limits<int>::max());
  coded.SetRecursionLimit(kMaxNesting);
  return pass(coded) && !file.bad();
}

std::uint64_t parse_size(const std::string& text, const char* what) {
  std::uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size()) {
    throw model_error(std::string("external data: '") + printable(text) + "' is no " + what);
  }
  return value;
}

// The file that `location` names, inside of `folder`.
fs::path external_path(const std::string& location, const fs::path& folder) {
  const fs::path relative(location);
  const std::string shown = printable(location);
  bool bad = location.empty() || relative.is_absolute() || location.find('\0') != std::string::npos;
  for (const fs::path& part : relative) bad = bad || part == "..";
  const char* hint = "external data must lie in the model's own folder";
  if (bad) throw model_error("external data '" + shown + "' leads outside of the model's folder", hint);
  std::error_code ec;
  const fs::path root = fs::canonical(folder.empty() ? fs::path(".") : folder, ec);
  if (ec) throw model_error("external data '" + shown + "': can't resolve the model's folder");
  const fs::path real = fs::canonical(root / relative, ec);
  if (ec) throw model_error("external data '" + shown + "' is missing", "keep the model and its data files together");
  const auto [in_root, rest] = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
  if (in_root != root.end())
    throw model_error("external data '" + shown + "' leads outside of the model's folder", hint);
  if (!fs::is_regular_file(real, ec)) throw model_error("external data '" + shown + "' is not a regular file");
  return real;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty() && out.size() < kMaxText) {
    const std::size_t n = utf8_length(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (n == 0 || first < 0x20 || first == 0x7f) {
      out += '_';
      text.remove_prefix(1);
    } else {
      out += text.substr(0, n);
      text.remove_prefix(n);
    }
  }
  return out;
}

std::unique_ptr<onnx::ModelProto> load_onnx_file(const std::string& path) {
  const std::string shown = printable(path);
  std::error_code ec;
  const fs::file_status status = fs::status(path, ec);
  if (!fs::exists(status)) throw model_error("can't read '" + shown + "': no such file", "check the path");
  if (!fs::is_regular_file(status)) throw model_error("can't read '" + shown + "': not a regular file");
  const std::uintmax_t size = fs::file_size(path, ec);
  if (ec) throw model_error("can't read '" + shown + "': " + ec.message());
  if (size > static_cast<std::uintmax_t>(std::numeric_limits<int>::max())) {
    throw model_error("'" + shown + "' is larger than 2 GiB", "save its weights as external data");
  }
  if (size == 0) throw model_error("'" + shown + "' is empty");
  const pb::LogSilencer silence;
  std::int64_t left = kMaxObjects;
  const bool sound = read_stream(
      path, [&](pb::io::CodedInputStream& in) { return count_objects(in, *onnx::ModelProto::descriptor(), 0, left); });
  if (left < 0) throw model_error("'" + shown + "' has more parts than any network needs");
  auto model = std::make_unique<onnx::ModelProto>();
  const bool parsed = sound && read_stream(path, [&](pb::io::CodedInputStream& in) {
                        return model->ParseFromCodedStream(&in) && in.ConsumedEntireMessage();
                      });
  if (!parsed) throw model_error("'" + shown + "' is truncated or not an ONNX file", "export or copy it again");
  return model;
}

std::string read_external_data(const onnx::TensorProto& tensor, const fs::path& folder, std::uint64_t bytes) {
  std::string location;
  std::uint64_t offset = 0;
  std::uint64_t length = bytes;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = parse_size(entry.value(), "offset");
    if (entry.key() == "length") length = parse_size(entry.value(), "length");
  }
  const fs::path real = external_path(location, folder);
  const std::string shown = printable(location);
  if (length != bytes) {
    throw model_error("external data '" + shown + "': " + std::to_string(length) + " bytes for a tensor of " +
                      std::to_string(bytes));
  }
  std::error_code ec;
  const std::uint64_t size = fs::file_size(real, ec);
  if (ec || offset > size || bytes > size - offset) throw model_error("external data '" + shown + "' is too short");
  std::ifstream file(real, std::ios::binary);
  std::string data(bytes, '\0');
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(data.data(), static_cast<std::streamsize>(bytes));
  if (!file) throw model_error("can't read external data '" + shown + "'");
  return data;
}

}  // namespace eqo
