#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "eqo/cli/command.h"
#include "eqo/cli/exec_flags.h"
#include "eqo/cli/inputs.h"
#include "eqo/cli/report.h"
#include "eqo/cli/run_page.h"
#include "eqo/core/error.h"
#include "eqo/importer/atomic_file.h"
#include "eqo/runtime/local.h"

namespace eqo::cli {
namespace {

struct Args {
  std::string model, network, report;
  InputFlags inputs;
  ExecFlags exec;
  LocalOptions options;
  bool steps = false;
};

void local_command(const Output& out, const Args& args) {
  if (!args.report.empty()) check_can_write(args.report);
  check_inputs(args.inputs);
  LocalOptions options = args.options;
  options.network = parse_network(args.network);
  const Offer offer = load_offer(args.model, args.exec, options.network);
  const PublicPlan& plan = offer.model.plan;
  const Inputs inputs = load_inputs(args.inputs, plan);
  const LocalResult result = run_local(offer, inputs.words, inputs.names.size(), options);

  std::vector<Answer> answers;
  for (std::size_t i = 0; i < inputs.names.size(); ++i) {
    answers.push_back(make_answer(plan, inputs.names[i], result.outputs[i], inputs.labels[i]));
    if (options.verify) answers.back().verified = result.verified[i] ? 1 : 0;
  }
  RunReport report = result.client.report;
  report.peak_rss_bytes = std::max(report.peak_rss_bytes, result.server.report.peak_rss_bytes);
  nlohmann::json document{{"images", answers_json(answers)},
                          {"communication", communication_json(report)},
                          {"seconds", seconds_json(report)},
                          {"peak_rss_bytes", report.peak_rss_bytes},
                          {"client_peak_rss_bytes", result.client.report.peak_rss_bytes},
                          {"server_peak_rss_bytes", result.server.report.peak_rss_bytes},
                          {"batches", result.client.batches},
                          {"prepared_batches", result.client.prepared_batches},
                          {"all_prepared_bytes", result.client.prepared_bytes},
                          {"all_prepared_seconds", result.client.prepared_seconds},
                          {"all_batches_seconds", result.client.online_seconds}};
  write_run_report(args.report, {args.model, args.exec.framework, args.network, true, args.options.batch}, plan,
                   document);
  const std::optional<Error> failure = verification_error(answers);
  if (result.difference) {
    const std::string where = result.difference->to_string(plan);
    const Error error(Category::kVerification, "the private result is not the twin's: " + where);
    document["difference"] = where;
    document["error"] = error_json(error);
    out.document(document);
    throw error;
  }
  if (failure) document["error"] = error_json(*failure);
  out.document(document);
  print_answers(out, plan, answers);
  out.text("");
  if (args.steps) {
    print_by_step(out, report);
  } else {
    print_by_kind(out, report);
  }
  out.text(fmt::format("memory: client {} MiB, server {} MiB; {} batches in {:.2f} s",
                       result.client.report.peak_rss_bytes >> 20, result.server.report.peak_rss_bytes >> 20,
                       result.client.batches, result.client.online_seconds));
  if (failure) throw *failure;
}

}  // namespace

void add_local(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("local", "Both parties as two processes on this machine, for trying and measuring");
  auto args = std::make_shared<Args>();
  cmd->add_option("model", args->model, "MODEL.eqo")->required();
  add_input_flags(*cmd, args->inputs);
  add_network_flag(*cmd, args->network);
  add_exec_flags(*cmd, args->exec);
  cmd->add_option("--threads", args->options.threads, "Threads of each party")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  cmd->add_option("--batch", args->options.batch, "Images a batch")->check(CLI::Range(1, 65536))->capture_default_str();
  add_prepare_flag(*cmd, args->options.prepare, kPrepareHelp);
  cmd->add_flag("--verify", args->options.verify, "Compare every step with the twin");
  cmd->add_flag("--steps", args->steps, "Costs of each step instead of each kind of step");
  add_report_flag(*cmd, args->report);
  cmd->callback([&session, args] { session.action = [&session, args] { local_command(session.output, *args); }; });
}

}  // namespace eqo::cli
