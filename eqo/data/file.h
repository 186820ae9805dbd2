#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace eqo {

// The whole content of a regular file. Throws data_error if it is missing, a folder or unreadable, resource_error if
// it is longer than max_bytes (checked before anything is allocated).
std::vector<std::uint8_t> read_file(const std::string& path, std::size_t max_bytes);

}  // namespace eqo
