#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "eqo/cli/command.h"
#include "eqo/cli/exec_flags.h"
#include "eqo/cli/signals.h"
#include "eqo/core/error.h"
#include "eqo/planner/run_report.h"
#include "eqo/runtime/server.h"

namespace eqo::cli {
namespace {

struct Args {
  std::string model, listen = "127.0.0.1:7700", network, port_file;
  ExecFlags exec;
  TlsConfig tls;
  bool insecure = false;
  unsigned max_sessions = 4, threads = 1;
  std::uint32_t max_batch = 64, prepare = 1;
  std::uint64_t max_images = 0, max_memory_mib = 0;
  double deadline = 60, drain = 600;
};

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

// Written under another name first, so that a reader never sees half a number.
void write_port(const std::string& path, std::uint16_t port) {
  const std::string temporary = path + ".tmp";
  std::ofstream file(temporary);
  file << port << '\n';
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0)
    throw resource_error("cannot write " + path, "is the folder writable?");
}

void serve_command(const Output& out, const Args& args) {
  Offer offer = load_offer(args.model, args.exec, parse_network(args.network));
  const Digest digest = offer.model_digest;
  offer.max_batch = args.max_batch;
  offer.max_images = args.max_images;
  offer.max_prepared = args.prepare;
  offer.max_memory_bytes = args.max_memory_mib << 20;
  offer.threads = args.threads;
  const std::uint64_t need = estimated_memory(offer.model.plan, offer.exec, 1) >> 20;
  if (args.max_memory_mib != 0 && need > args.max_memory_mib)
    throw resource_error(fmt::format("one image needs about {} MiB, --max-memory allows {}", need, args.max_memory_mib),
                         "raise --max-memory");

  ServerOptions options;
  options.listen = parse_endpoint(args.listen);
  options.network = parse_network(args.network);
  options.max_sessions = args.max_sessions;
  options.deadline = milliseconds(args.deadline);
  options.handshake = std::min(options.handshake, options.deadline);
  options.drain = milliseconds(args.drain);
  const bool any_tls = !args.tls.cert_file.empty() || !args.tls.key_file.empty() || !args.tls.ca_file.empty();
  if (any_tls) {
    if (args.insecure) throw usage_error("--insecure and certificates exclude each other");
    if (args.tls.cert_file.empty() || args.tls.key_file.empty() || args.tls.ca_file.empty())
      throw usage_error("TLS needs all of --cert, --key and --client-ca");
    options.tls = args.tls;
  } else if (!args.insecure) {
    throw usage_error("no certificates given",
                      "use --cert, --key and --client-ca, or --insecure on a loopback address");
  }

  std::mutex log_mutex;
  Server server(offer, options, [&](const std::string& line) {
    const std::lock_guard lock(log_mutex);
    out.message("eqo serve: " + line);
  });
  const StopOnSignal stop([&server] { server.stop(); });
  if (!args.port_file.empty()) write_port(args.port_file, server.port());
  out.document({{"model", args.model},
                {"host", options.listen.host},
                {"port", server.port()},
                {"tls", options.tls.has_value()},
                {"model_digest", to_hex(digest)}});
  out.message(fmt::format("eqo serve: {} on {}, model digest {}", args.model,
                          to_string(Endpoint{options.listen.host, server.port()}), to_hex(digest)));
  server.run();
}

}  // namespace

void add_serve(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("serve", "Offer a model to clients over mutual TLS 1.3");
  auto args = std::make_shared<Args>();
  cmd->add_option("model", args->model, "MODEL.eqo")->required();
  cmd->add_option("--listen", args->listen, "HOST:PORT; port 0 lets the system choose")->capture_default_str();
  cmd->add_option("--port-file", args->port_file, "Write the port to this file once listening");
  cmd->add_option("--cert", args->tls.cert_file, "Our certificate (PEM)");
  cmd->add_option("--key", args->tls.key_file, "Its private key (PEM)");
  cmd->add_option("--client-ca", args->tls.ca_file, "Clients must show a certificate of this CA (PEM)");
  cmd->add_flag("--insecure", args->insecure, "Plain TCP; loopback addresses only");
  add_exec_flags(*cmd, args->exec);
  add_network_flag(*cmd, args->network);
  cmd->add_option("--max-sessions", args->max_sessions, "Clients at once")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  cmd->add_option("--threads", args->threads, "Threads of each session")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  cmd->add_option("--max-batch", args->max_batch, "Images a batch")->check(CLI::Range(1, 65536))->capture_default_str();
  cmd->add_option("--max-images", args->max_images, "Images a session; 0: no limit")->capture_default_str();
  add_prepare_flag(*cmd, args->prepare,
                   "Images a session may prepare at a time, within --max-memory (infer --prepare)");
  cmd->add_option("--max-memory", args->max_memory_mib, "MiB a session; 0: no limit")->capture_default_str();
  add_seconds_flag(*cmd, "--deadline", args->deadline, 0.05, "Seconds without progress until a session ends");
  add_seconds_flag(*cmd, "--drain", args->drain, 0, "Seconds that running sessions get after SIGTERM");
  cmd->callback([&session, args] { session.action = [&session, args] { serve_command(session.output, *args); }; });
}

}  // namespace eqo::cli
