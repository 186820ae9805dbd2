# A script: writes a C++ source that holds FILE's bytes, without source-map comments, as `extern const std::string_view
# eqo::NAME`.
#   cmake -DFILE=... -DNAME=... -DOUTPUT=... -P EmbedFile.cmake
file(READ "${FILE}" hex HEX)
# "\n//# sourceMappingURL=...\n" at the end: a browser's developer tools would ask for that file.
string(REGEX REPLACE "0a2f2f2320736f757263654d617070696e6755524c3d([0-9a-f][0-9a-f])*$" "0a" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
string(REGEX REPLACE "(('[^']*',){24})" "\\1\n" bytes "${bytes}")
file(WRITE "${OUTPUT}" "#include <string_view>

namespace eqo {
namespace {
constexpr char kBytes[] = {
${bytes}};
}  // namespace
extern const std::string_view ${NAME};
const std::string_view ${NAME}(kBytes, sizeof(kBytes));
}  // namespace eqo
")
