#pragma once
#include <string>

#include "e2e/support.h"

namespace eqo::e2e {

// DATA of four images for small_model() and its network, with labels, written into the folder.
inline std::string small_data(const Folder& folder) {
  std::string pixels(4 * 13 * 14, '\0');
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<char>(i * i % 251);
  write_file(folder / "small_x.npy", npy("|u1", "4, 13, 14", pixels));
  write_file(folder / "small_y.npy", npy("|u1", "4,", std::string("\0\1\2\3", 4)));
  return "npy:" + (folder / "small_x.npy") + "," + (folder / "small_y.npy");
}

// The data of the charts of an HTML report; null if there is none.
inline nlohmann::json charts_of(const std::string& html) {
  const std::string mark = "id=\"charts\">";
  const std::size_t begin = html.find(mark);
  if (begin == std::string::npos) return {};
  const std::size_t at = begin + mark.size();
  return nlohmann::json::parse(html.substr(at, html.find("</script>", at) - at));
}

}  // namespace eqo::e2e
