#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace eqo {

enum class NpyType { kInt8, kUInt8, kInt16, kUInt16, kInt32, kUInt32, kInt64, kUInt64, kFloat32 };

std::size_t npy_type_bytes(NpyType type);

// What the header of a .npy file says (format versions 1 to 3 of NumPy's documentation, numpy.lib.format).
struct NpyHeader {
  NpyType type = NpyType::kUInt8;
  std::vector<std::size_t> shape;  // 1 to 8 dimensions, none of them 0
  std::size_t count = 0;           // their product
  std::size_t data_offset = 0;     // of the first element; exactly count elements follow
};

// Throws data_error unless the file is C-ordered, little-endian, of one of the types above and exactly as long as its
// header says. Object arrays are refused, never unpickled. `name` is for the messages.
NpyHeader parse_npy_header(std::span<const std::uint8_t> file, const std::string& name);

}  // namespace eqo
