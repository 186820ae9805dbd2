#pragma once
#include <optional>
#include <string>
#include <vector>

#include "eqo/framework/framework_model.h"
#include "eqo/net/simulated_link.h"
#include "eqo/planner/exec_options.h"
#include "eqo/runtime/session.h"

namespace CLI {
class App;
}

namespace eqo::cli {

// How convolutions are computed.
struct ProductFlags {
  std::string kind = "auto";
  std::uint32_t images = 16;
  ProductOptions options() const;
};
void add_product_flags(CLI::App& cmd, ProductFlags& flags);

// Flags that choose how a session computes; plan, serve and local share them, so that equal flags give equal plans.
struct ExecFlags {
  ExecOptions options;
  std::string reveal = "logits", ot = "auto", optimize_for, framework = "eqo";
  FrameworkOptions framework_options;
  ProductFlags products;
  std::vector<std::string> disabled;
};
void add_exec_flags(CLI::App& cmd, ExecFlags& flags);

// Loads the model and prepares it for a session: the passes and the OTs are chosen for --optimize-for, or else for
// `network`, the link that is simulated or predicted.
Offer load_offer(const std::string& path, const ExecFlags& flags, const std::optional<LinkSpec>& network,
                 const PassObserver& observer = {});
// The same for a model that is there already.
Offer prepare_offer(Model model, const ExecFlags& flags, const std::optional<LinkSpec>& network,
                    const PassObserver& observer = {});

// --network lan|wan|BITS_PER_S,RTT; empty: none.
void add_network_flag(CLI::App& cmd, std::string& text);
std::optional<LinkSpec> parse_network(const std::string& text);

inline constexpr const char* kPrepareHelp =
    "Images at a time for which all work that does not depend on them is done ahead";
// --prepare: images; `help` says what the command does with them.
void add_prepare_flag(CLI::App& cmd, std::uint32_t& images, const std::string& help);

// A flag that takes seconds, from `least` to a day.
void add_seconds_flag(CLI::App& cmd, const std::string& name, double& seconds, double least, const std::string& help);

}  // namespace eqo::cli
