#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <nlohmann/json.hpp>

#include "eqo/cli/command.h"
#include "eqo/core/error.h"

namespace eqo::cli {
namespace {

// "max-sessions" -> "EQO_MAX_SESSIONS".
std::string environment_name(const std::string& flag) {
  std::string name = "EQO_" + flag;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
  return name;
}

bool is_set(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  return value != nullptr && *value != '\0';
}

// The parser reads the file before the environment and keeps what came first; so what the environment sets is left out
// of the file.
class ConfigBelowEnvironment : public CLI::ConfigTOML {
 public:
  std::vector<CLI::ConfigItem> from_config(std::istream& in) const override {
    std::vector<CLI::ConfigItem> list = CLI::ConfigTOML::from_config(in);
    std::erase_if(list, [](const CLI::ConfigItem& item) { return is_set(environment_name(item.name)); });
    return list;
  }
};

// A variable for every flag.
void bind_environment(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (option->get_lnames().empty() || name == "--help" || name == "--version" || name == "--config") continue;
    option->envname(environment_name(option->get_lnames().front()));
  }
}

// The flags of a command listen to the environment only if it is chosen: a variable does not disturb other commands.
void bind_subcommands(CLI::App& app) {
  for (CLI::App* sub : app.get_subcommands({})) {
    sub->preparse_callback([sub](std::size_t) { bind_environment(*sub); });
    bind_subcommands(*sub);
  }
}

void bind_chosen(CLI::App& app) {
  bind_environment(app);
  bind_subcommands(app);
}

// Numbers 0 to 2 stay taken: otherwise a file or a socket opened later would get the number of a closed stream, and
// what is printed would go there. Writing to a closed stdout stays an error.
void hold_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

// Errors of the command line itself are reported before the parser has seen every flag.
bool wants_json(int argc, const char* const* argv) {
  const char* variable = std::getenv("EQO_JSON");
  if (variable != nullptr && (std::strcmp(variable, "1") == 0 || std::strcmp(variable, "true") == 0)) return true;
  return std::any_of(argv + std::min(argc, 1), argv + argc,
                     [](const char* a) { return std::strcmp(a, "--json") == 0; });
}

int fail(const Output& output, const Error& error) {
  // One line: whatever a file name or a library put into the message, no control character leaves.
  const std::string hint = error.hint().empty() ? "" : ". " + error.hint();
  const std::string line = fmt::format("eqo: {}: {}{}", category_name(error.category()), error.what(), hint);
  std::fputs((one_line(line) + "\n").c_str(), stderr);
  try {
    output.document({{"error", error_json(error)}});
  } catch (const std::exception&) {
    // Standard output is closed: the exit code still tells.
  }
  return static_cast<int>(error.category());
}

}  // namespace

int run(int argc, const char* const* argv) {
  hold_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);  // a closed peer or a closed stdout is an error, not the process's end
  std::signal(SIGXFSZ, SIG_IGN);  // so is a file that may not grow
  Session session;
  session.program = argc > 0 ? argv[0] : "eqo";
  session.output.json = wants_json(argc, argv);

  CLI::App app("EQO: private CNN inference between two parties", "eqo");
  app.set_version_flag("--version", "eqo " EQO_VERSION);
  const std::string config_file = is_set("EQO_CONFIG") ? std::getenv("EQO_CONFIG") : "";
  app.set_config("--config", config_file,
                 "Read flags from this file: [COMMAND] and lines of flag = value (Env:EQO_CONFIG)");
  app.config_formatter(std::make_shared<ConfigBelowEnvironment>());
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", session.output.json, "One JSON document on stdout, nothing else there");
  app.add_flag("-q,--quiet", session.output.quiet, "No messages on stderr but errors");

  try {
    add_check(app, session);
    add_zoo(app, session);
    add_train(app, session);
    add_quantize(app, session);
    add_eval(app, session);
    add_plan(app, session);
    add_plot(app, session);
    add_serve(app, session);
    add_infer(app, session);
    add_local(app, session);
    add_bench(app, session);
    add_inspect(app, session);
    add_completion(app, session);
    bind_chosen(app);
    app.parse(argc, argv);
    if (is_set("EQO_CONFIG") && app.get_config_ptr()->count() == 0 && ::access(config_file.c_str(), R_OK) != 0)
      throw usage_error(config_file + " cannot be read", "EQO_CONFIG names it");
    if (session.action) session.action();
    return 0;
  } catch (const CLI::Success& e) {
    return app.exit(e);  // --help, --version
  } catch (const CLI::ParseError& e) {
    if (app.get_subcommands().empty() && argc > 1 && argv[1][0] != '-')
      return fail(session.output, usage_error(fmt::format("'{}' is not a command", argv[1]), "see eqo --help"));
    return fail(session.output, usage_error(e.what(), "see eqo --help, or eqo COMMAND --help"));
  } catch (const Error& e) {
    return fail(session.output, e);
  } catch (const std::bad_alloc&) {
    return fail(session.output, resource_error("out of memory", "use a smaller batch, or a larger machine"));
  } catch (const std::exception& e) {
    return fail(session.output, internal_error(e.what()));
  }
}

}  // namespace eqo::cli
