#include "eqo/cli/exec_flags.h"

#include <CLI/CLI.hpp>

namespace eqo::cli {

void add_exec_flags(CLI::App& cmd, ExecFlags& flags) {
  cmd.add_option("--softspoken-k", flags.options.ot.softspoken_k,
                 "OT extension: 128/k bits an OT; larger is fewer bytes and more computation; 1 is IKNP")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  cmd.add_option("--tree-levels", flags.options.compare.levels,
                 "Levels of a comparison's tree: fewer are fewer flights and more bytes")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  cmd.add_option("--reveal", flags.reveal, "What the client learns: logits, or the label alone")
      ->check(CLI::IsMember({"logits", "label"}))
      ->capture_default_str();
}

void add_network_flag(CLI::App& cmd, std::string& text) {
  cmd.add_option("--network", text, "A simulated link: lan, wan, or BITS_PER_S,RTT such as 100M,20ms");
}

void add_seconds_flag(CLI::App& cmd, const std::string& name, double& seconds, double least, const std::string& help) {
  constexpr double kDay = 86400;
  cmd.add_option(name, seconds, help)
      ->check([least](const std::string& text) {
        double value = 0;
        const bool good = CLI::detail::lexical_cast(text, value) && value >= least && value <= kDay;  // false for nan
        return good ? std::string()
                    : text + " is not a number of seconds from " + CLI::detail::to_string(least) + " to a day";
      })
      ->capture_default_str();
}

std::optional<LinkSpec> parse_network(const std::string& text) {
  if (text.empty()) return {};
  return parse_link(text);
}

}  // namespace eqo::cli
