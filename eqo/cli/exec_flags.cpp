#include "eqo/cli/exec_flags.h"

#include <CLI/CLI.hpp>

namespace eqo::cli {

void add_exec_flags(CLI::App& cmd, ExecFlags& flags) {
  cmd.add_option("--softspoken-k", flags.options.ot.softspoken_k,
                 "OT extension: 128/k bits an OT; larger is fewer bytes and more computation; 1 is IKNP")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  cmd.add_option("--leaf-bits", flags.options.compare.leaf_bits,
                 "Bits of a comparison's leaf: larger is fewer flights and more bytes")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  cmd.add_option("--reveal", flags.reveal, "What the client learns: logits, or the label alone")
      ->check(CLI::IsMember({"logits", "label"}))
      ->capture_default_str();
}

void add_network_flag(CLI::App& cmd, std::string& text) {
  cmd.add_option("--network", text, "A simulated link: lan, wan, or BITS_PER_S,RTT such as 100M,20ms");
}

std::optional<LinkSpec> parse_network(const std::string& text) {
  if (text.empty()) return {};
  return parse_link(text);
}

}  // namespace eqo::cli
