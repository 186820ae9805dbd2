#include "eqo/cli/preprocess_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace eqo::cli {

void add_preprocess_flags(CLI::App& cmd, PreprocessFlags& flags) {
  cmd.add_option("--mean", flags.mean, "R,G,B: x = (pixel / 255 - mean) / std (default 0.485,0.456,0.406)")
      ->delimiter(',')
      ->expected(3);
  cmd.add_option("--std", flags.std, "R,G,B (default 0.229,0.224,0.225)")->delimiter(',')->expected(3);
  cmd.add_option("--resize", flags.resize,
                 "Scale the shorter side to this before the centre crop (0: the crop's size)");
}

Preprocess make_preprocess(const PreprocessFlags& flags, const Shape& input) {
  Preprocess p;
  p.shape = input;
  p.resize_shorter = flags.resize;
  if (!flags.mean.empty()) std::copy_n(flags.mean.begin(), 3, p.mean.begin());
  if (!flags.std.empty()) std::copy_n(flags.std.begin(), 3, p.std.begin());
  p.check();
  return p;
}

}  // namespace eqo::cli
