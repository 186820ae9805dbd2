#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace onnx {
class ModelProto;
class TensorProto;
}  // namespace onnx

namespace eqo {

// `text` from a file, fit for a one-line message and for JSON: valid UTF-8 without control characters, at most 200
// bytes.
std::string printable(std::string_view text);

// Parses the file (a regular one of at most 2 GiB, reached through symbolic links or not).
// Throws model_error: missing, not regular, too large, truncated or not protobuf.
std::unique_ptr<onnx::ModelProto> load_onnx_file(const std::string& path);

// The bytes of a tensor that is stored outside of the model file: exactly `bytes` of them. The file must lie in
// `folder` or below, also after symbolic links are resolved. Throws model_error.
std::string read_external_data(const onnx::TensorProto& tensor, const std::filesystem::path& folder,
                               std::uint64_t bytes);

}  // namespace eqo
