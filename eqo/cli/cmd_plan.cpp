#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "eqo/cli/command.h"
#include "eqo/cli/exec_flags.h"
#include "eqo/cli/report.h"
#include "eqo/model/model_io.h"
#include "eqo/net/handshake.h"
#include "eqo/planner/estimate.h"
#include "eqo/runtime/session.h"

namespace eqo::cli {
namespace {

struct Args {
  std::string model, network;
  ExecFlags exec;
  std::uint32_t batch = 1;
  bool steps = false;
};

void plan_command(const Output& out, const Args& args) {
  Model model = load_model(args.model);
  const Digest digest = model_digest(model);
  const Offer offer = make_offer(std::move(model), digest, args.exec.options,
                                 args.exec.reveal == "label" ? Reveal::kLabel : Reveal::kLogits);
  const PublicPlan& plan = offer.model.plan;
  const auto handshake_by_party = handshake_bytes(offer.plan_bytes.size(), kExecOptionsBytes);
  const Cost handshake{{handshake_by_party[0], handshake_by_party[1]}, kHandshakeFlights, {}};
  RunReport report = planned_report(plan, plan_cost(plan, offer.exec, args.batch), handshake);
  const auto network = parse_network(args.network);
  const Link link = network ? Link{network->bits_per_second, network->round_trip_seconds} : Link{};
  estimate_seconds(report, plan, offer.exec, args.batch, link);
  report.peak_rss_bytes = estimated_memory(plan, offer.exec, args.batch);

  out.document({{"model", args.model},
                {"batch", args.batch},
                {"communication", communication_json(report)},
                {"seconds", seconds_json(report)},
                {"peak_rss_bytes", report.peak_rss_bytes}});
  if (args.steps) {
    print_by_step(out, report);
  } else {
    print_by_kind(out, report);
  }
  out.text(fmt::format("memory: about {} MiB a party; times are estimates, bytes and flights are exact",
                       report.peak_rss_bytes >> 20));
}

}  // namespace

void add_plan(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("plan", "The exact bytes and flights of a run, before it runs");
  auto args = std::make_shared<Args>();
  cmd->add_option("model", args->model, "MODEL.eqo")->required();
  add_network_flag(*cmd, args->network);
  add_exec_flags(*cmd, args->exec);
  cmd->add_option("--batch", args->batch, "Images a batch")->check(CLI::Range(1, 65536))->capture_default_str();
  cmd->add_flag("--steps", args->steps, "One row a step instead of one a kind of step");
  cmd->callback([&session, args] { session.action = [&session, args] { plan_command(session.output, *args); }; });
}

}  // namespace eqo::cli
