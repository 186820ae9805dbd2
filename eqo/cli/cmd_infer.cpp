#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "eqo/cli/command.h"
#include "eqo/cli/exec_flags.h"
#include "eqo/cli/inputs.h"
#include "eqo/cli/line_reader.h"
#include "eqo/cli/progress.h"
#include "eqo/cli/report.h"
#include "eqo/core/error.h"
#include "eqo/model/model_io.h"
#include "eqo/model/twin.h"
#include "eqo/net/endpoint.h"
#include "eqo/net/tcp_transport.h"
#include "eqo/net/tls_transport.h"
#include "eqo/runtime/session.h"

namespace eqo::cli {
namespace {

struct Args {
  InputFlags inputs;
  std::string server, network, verify, pin;
  TlsConfig tls;
  bool insecure = false, batch = false, require_logits = false, steps = false;
  unsigned threads = 1;
  std::uint32_t prepare = 0;
  std::uint64_t max_memory_mib = 0;
  double deadline = 60;
};

std::unique_ptr<Transport> connect(const Args& args) {
  const Endpoint endpoint = parse_endpoint(args.server);
  const auto deadline = std::chrono::milliseconds(static_cast<std::int64_t>(args.deadline * 1000));
  const bool any_tls = !args.tls.cert_file.empty() || !args.tls.key_file.empty() || !args.tls.ca_file.empty();
  std::unique_ptr<Transport> transport;
  if (args.insecure) {
    if (any_tls) throw usage_error("--insecure and certificates exclude each other");
    if (!is_loopback(endpoint.host))
      throw usage_error("--insecure is for loopback addresses only, not for " + endpoint.host,
                        "use --ca, --cert and --key");
    transport = tcp_connect(endpoint.host, endpoint.port, deadline);
  } else {
    if (args.tls.cert_file.empty() || args.tls.key_file.empty() || args.tls.ca_file.empty())
      throw usage_error("TLS needs all of --ca, --cert and --key", "or --insecure with a loopback address");
    TlsConfig tls = args.tls;
    tls.handshake_deadline = std::min(tls.handshake_deadline, deadline);
    transport = tls_connect(TlsContext::client(tls), endpoint.host, endpoint.port, deadline);
  }
  transport->set_deadline(deadline);
  if (const auto network = parse_network(args.network)) transport = simulate_link(std::move(transport), *network);
  return transport;
}

// What the twin of a model that the user has says of these images; throws policy_error if it is another model.
void verify(std::vector<Answer>& answers, const std::string& path, const ClientSession& session, const Inputs& inputs) {
  const Model model = load_model(path);
  if (model_digest(model) != session.model_digest())
    throw policy_error(path + " is not the model that the server offers", "verify with the server's model");
  const Twin twin(model);
  const std::size_t size = inputs.words.size() / answers.size();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Twin::Result expected = twin.run(std::span<const Word>(inputs.words).subspan(i * size, size));
    const Answer& a = answers[i];
    answers[i].verified = a.label == expected.label && (a.logits.empty() || a.logits == expected.logits) ? 1 : 0;
  }
}

std::size_t outputs_of(const ClientSession& session) {
  const PublicPlan& plan = session.plan();
  return static_cast<std::size_t>(plan.nodes[static_cast<std::size_t>(plan.output)].type.shape.size());
}

// Answers to images that are all there.
std::vector<Answer> classify(ClientSession& session, const Args& args, const Inputs& inputs, bool quiet) {
  const std::size_t count = inputs.names.size(), size = inputs.words.size() / count, outputs = outputs_of(session);
  std::uint32_t batch = args.batch ? session.max_batch() : 1;
  if (session.max_prepared() > 0) batch = std::min(batch, session.max_prepared());
  std::vector<Answer> answers;
  Progress progress("classifying", !quiet);
  for (std::size_t done = 0; done < count;) {
    prepare_ahead(session, count - done, batch);
    const std::size_t n = std::min<std::size_t>(batch, count - done);
    const auto opened = session.infer(std::span<const Word>(inputs.words).subspan(done * size, n * size),
                                      static_cast<std::uint32_t>(n));
    for (std::size_t i = 0; i < n; ++i)
      answers.push_back(make_answer(session.plan(), inputs.names[done + i],
                                    {opened.begin() + static_cast<std::ptrdiff_t>(i * outputs),
                                     opened.begin() + static_cast<std::ptrdiff_t>((i + 1) * outputs)},
                                    inputs.labels[done + i]));
    done += n;
    progress.update(done, count);
  }
  return answers;
}

// One more image's material, if there is room and the session has images left.
bool prepare_one(ClientSession& session) {
  if (session.prepared_images() >= session.max_prepared()) return false;
  try {
    session.prepare(1);
  } catch (const Error& e) {
    if (e.category() != Category::kPolicy) throw;  // refused before anything is sent
    return false;
  }
  return true;
}

// Answers to files named on standard input, one a line, each as soon as it is there; while none is, the next images are
// prepared. A file that cannot be read is reported and left out.
std::vector<Answer> classify_lines(ClientSession& session, const Output& out, Inputs& inputs,
                                   std::optional<Error>& failure) {
  LineReader lines(STDIN_FILENO);
  std::vector<Answer> answers;
  while (true) {
    while (!lines.ready() && prepare_one(session)) {
    }
    if (!lines.ready())
      out.message(fmt::format("eqo infer: waiting for a file, {} images prepared", session.prepared_images()));
    const std::optional<std::string> file = lines.next();
    if (!file) return answers;
    Inputs one;
    try {
      InputFlags flags;
      flags.files = {*file};
      one = load_inputs(flags, session.plan());
    } catch (const Error& e) {
      if (e.category() != Category::kData) throw;
      out.message(one_line(fmt::format("eqo infer: {}", e.what())));
      failure = e;
      continue;
    }
    answers.push_back(make_answer(session.plan(), *file, session.infer(one.words, 1), -1));
    print_answers(out, session.plan(), {answers.back()});
    inputs.words.insert(inputs.words.end(), one.words.begin(), one.words.end());
  }
}

void infer_command(const Output& out, const Args& args) {
  check_inputs(args.inputs);
  const bool from_lines = args.inputs.files == std::vector<std::string>{"-"};
  if (from_lines && (args.batch || !args.inputs.crops.empty()))
    throw usage_error("files from standard input are answered one by one, and whole", "leave --batch and --crop out");
  ClientOptions options;
  options.threads = args.threads;
  options.max_memory_bytes = args.max_memory_mib << 20;
  options.prepare = args.prepare;
  options.require_logits = args.require_logits;
  if (!args.pin.empty()) options.pinned_model = digest_from_hex(args.pin);
  ClientSession session(connect(args), options);
  if (session.max_prepared() < args.prepare)
    out.message(
        fmt::format("eqo infer: {} of {} images can be prepared at a time", session.max_prepared(), args.prepare));
  Inputs inputs;
  std::optional<Error> failure;
  if (!from_lines) inputs = load_inputs(args.inputs, session.plan());
  std::vector<Answer> answers =
      from_lines ? classify_lines(session, out, inputs, failure) : classify(session, args, inputs, out.quiet);
  const SessionSummary summary = session.finish();
  if (!args.verify.empty() && !answers.empty()) verify(answers, args.verify, session, inputs);

  nlohmann::json document{{"images", answers_json(answers)},
                          {"communication", communication_json(summary.report)},
                          {"seconds", seconds_json(summary.report)},
                          {"peak_rss_bytes", summary.report.peak_rss_bytes},
                          {"batches", summary.batches},
                          {"prepared_batches", summary.prepared_batches},
                          {"all_prepared_bytes", summary.prepared_bytes},
                          {"all_prepared_seconds", summary.prepared_seconds},
                          {"model_digest", to_hex(session.model_digest())}};
  if (!failure) failure = verification_error(answers);
  if (failure) document["error"] = error_json(*failure);
  out.document(document);
  if (!from_lines) print_answers(out, session.plan(), answers);
  out.text("");
  if (args.steps) {
    print_by_step(out, summary.report);
  } else {
    print_by_kind(out, summary.report);
  }
  if (failure) throw *failure;
}

}  // namespace

void add_infer(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("infer", "Classify pictures privately with a server's model");
  auto args = std::make_shared<Args>();
  add_input_flags(*cmd, args->inputs);
  cmd->get_option("images")->description(
      "PNG, JPEG or BMP files; - takes their names from standard input, one a line, and prepares while there is none");
  cmd->add_option("--server", args->server, "HOST:PORT")->required();
  cmd->add_option("--ca", args->tls.ca_file, "The server must show a certificate of this CA (PEM)");
  cmd->add_option("--cert", args->tls.cert_file, "Our certificate (PEM)");
  cmd->add_option("--key", args->tls.key_file, "Its private key (PEM)");
  cmd->add_option("--server-name", args->tls.server_name, "Name in the server's certificate (default: the host)");
  cmd->add_flag("--insecure", args->insecure, "Plain TCP; loopback addresses only");
  cmd->add_flag("--batch", args->batch, "All images in as few batches as the server allows");
  cmd->add_flag("--require-logits", args->require_logits, "Refuse a server that reveals the label alone");
  cmd->add_option("--pin", args->pin, "The model's digest; another one is refused");
  cmd->add_option("--verify", args->verify, "MODEL.eqo of the server, if you have it: compare with the twin");
  cmd->add_flag("--steps", args->steps, "Costs of each step instead of each kind of step");
  cmd->add_option("--threads", args->threads, "Threads")->check(CLI::Range(1, 1024))->capture_default_str();
  add_prepare_flag(*cmd, args->prepare, kPrepareHelp);
  cmd->add_option("--max-memory", args->max_memory_mib, "Refuse a plan that needs more MiB; 0: no limit");
  add_seconds_flag(*cmd, "--deadline", args->deadline, 0.05, "Seconds without progress until it is an error");
  add_network_flag(*cmd, args->network);
  cmd->callback([&session, args] { session.action = [&session, args] { infer_command(session.output, *args); }; });
}

}  // namespace eqo::cli
