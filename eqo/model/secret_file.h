#pragma once
#include <cstddef>
#include <span>
#include <string>

namespace eqo {

// Replaces the file at `path` by secret bytes, readable by its owner alone, or leaves what was there as it was: a new
// file in the same folder, flushed to the disk, then renamed. A symbolic link is followed; a pipe or device is written
// directly. On failure the temporary file is gone. Throws resource_error.
void replace_secret_file(const std::string& path, std::span<const std::byte> bytes);

}  // namespace eqo
