#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "eqo/cli/command.h"

namespace eqo::cli {
namespace {

std::string flags_of(const CLI::App& app) {
  std::string flags;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) flags += (flags.empty() ? "--" : " --") + name;
  return flags;
}

// The command tree is the parser's own, so that the script cannot fall behind it.
std::string bash_script(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    names += (names.empty() ? "" : " ") + sub->get_name();
    cases += fmt::format("    {}) flags=\"{} {}\" ;;\n", sub->get_name(), flags_of(*sub), flags_of(app));
  }
  return fmt::format(
      "_eqo() {{\n"
      "  local cur=${{COMP_WORDS[COMP_CWORD]}} flags=\"{0}\"\n"
      "  case ${{COMP_WORDS[1]}} in\n{1}  esac\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W \"{2} {0}\" -- \"$cur\"))\n"
      "  elif [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"))\n"
      "  else COMPREPLY=($(compgen -f -- \"$cur\")); fi\n"
      "}}\n"
      "complete -o filenames -F _eqo eqo",
      flags_of(app), cases, names);
}

}  // namespace

void add_completion(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("completion", "Print a completion script: source <(eqo completion bash)");
  auto shell = std::make_shared<std::string>("bash");
  cmd->add_option("shell", *shell, "bash, or zsh (after bashcompinit)")->check(CLI::IsMember({"bash", "zsh"}));
  cmd->callback([&app, &session, shell] {
    session.action = [&app, &session, shell] {
      const std::string script =
          (*shell == "zsh" ? "autoload -U bashcompinit && bashcompinit\n" : "") + bash_script(app);
      session.output.document({{"shell", *shell}, {"script", script}});
      session.output.text(script);
    };
  });
}

}  // namespace eqo::cli
