#pragma once
#include <string>
#include <string_view>

namespace eqo {

// Replaces the file at `path` by `bytes` in one step: a temporary file in the same folder, flushed to the disk, then
// renamed. On any failure (disk full, no permission) the old file is as it was and the temporary one is gone.
// A symbolic link is followed; something that exists and isn't a regular file (a pipe, /dev/null) is written directly.
// Throws resource_error.
void write_file_atomically(const std::string& path, std::string_view bytes);

// Throws what write_file_atomically() would if the folder is missing or closed: before long work whose result goes to
// `path`. Leaves everything as it is.
void check_can_write(const std::string& path);

}  // namespace eqo
