#pragma once
#include <functional>
#include <string>

#include "eqo/cli/output.h"

namespace CLI {
class App;
}

namespace eqo::cli {

// What every command gets: the output, and a place for the work that runs after the flags were parsed.
struct Session {
  Output output;
  std::string program;  // path of this executable, for its plug-ins
  std::function<void()> action;
};

// Each adds one sub-command with its flags and sets session.action when it is chosen.
void add_check(CLI::App& app, Session& session);
void add_zoo(CLI::App& app, Session& session);
void add_train(CLI::App& app, Session& session);
void add_quantize(CLI::App& app, Session& session);
void add_eval(CLI::App& app, Session& session);
void add_plan(CLI::App& app, Session& session);
void add_plot(CLI::App& app, Session& session);
void add_serve(CLI::App& app, Session& session);
void add_infer(CLI::App& app, Session& session);
void add_local(CLI::App& app, Session& session);
void add_bench(CLI::App& app, Session& session);
void add_compare(CLI::App& bench, Session& session);  // of add_bench
void add_inspect(CLI::App& app, Session& session);
void add_completion(CLI::App& app, Session& session);

// The whole executable: parses, runs, and turns every error into one line and an exit code. argv is not changed.
int run(int argc, const char* const* argv);

}  // namespace eqo::cli
