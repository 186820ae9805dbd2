#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "eqo/cli/command.h"
#include "eqo/cli/exec_flags.h"
#include "eqo/cli/report.h"
#include "eqo/cli/run_page.h"
#include "eqo/net/handshake.h"
#include "eqo/planner/plan_cost.h"
#include "eqo/runtime/session.h"

namespace eqo::cli {
namespace {

struct Args {
  std::string model, network, report;
  ExecFlags exec;
  std::uint32_t batch = 1, prepare = 0;
  bool steps = false, passes = false;
};

constexpr int kFurtherBatches = 16;

// What each pass changed, line by line.
PassObserver printer(const Output& out) {
  return [&out, first = true](const Pass& pass, const Model& before, const Model& after) mutable {
    if (first) out.text(fmt::format("The graph as quantized:\n{}", describe(before.plan)));
    first = false;
    const std::string was = describe(before.plan), is = describe(after.plan);
    out.text(was == is ? fmt::format("Pass '{}' ({}) changes nothing.", pass.name, pass.what)
                       : fmt::format("After pass '{}' ({}):\n{}", pass.name, pass.what, is));
  };
}

void plan_command(const Output& out, const Args& args) {
  const auto network = parse_network(args.network);
  const Offer offer = load_offer(args.model, args.exec, network, args.passes ? printer(out) : PassObserver{});
  const PublicPlan& plan = offer.model.plan;
  const auto handshake_by_party = handshake_bytes(offer.plan_bytes.size(), kExecOptionsBytes);
  const Cost handshake{{handshake_by_party[0], handshake_by_party[1]}, kHandshakeFlights, {}};
  const LinkSpec link = network.value_or(LinkSpec{});
  const WorkRates work = measure_work_rates(offer.exec.ot);
  SessionPlan session(plan, offer.exec, {false, &link, &work});
  check_prepare(args.prepare, args.batch);
  const auto prepare_ahead = [&] {
    if (session.prepared() > 0) return;
    for (std::uint32_t n = args.prepare / args.batch; n > 0; --n) session.prepare(args.batch);
  };
  const auto next = [&] {
    return session.next(args.batch, session.prepared() > 0 ? BatchKind::kPrepared : BatchKind::kWhole);
  };
  prepare_ahead();
  RunReport report = planned_report(plan, next(), handshake);
  report.setup_seconds += link.round_trip_seconds / 2 * static_cast<double>(handshake.flights);
  report.peak_rss_bytes = estimated_memory(plan, offer.exec, args.batch, args.prepare);
  // Material counts for the batch that uses it.
  double further_bytes = 0, further_seconds = 0, further_prepared_bytes = 0, further_prepared_seconds = 0;
  for (int i = 0; i < kFurtherBatches; ++i) {
    prepare_ahead();
    const PlanCost cost = next();
    further_bytes += static_cast<double>(cost.online.total_bytes()) / kFurtherBatches;
    further_seconds += cost.online_seconds / kFurtherBatches;
    further_prepared_bytes += static_cast<double>(cost.prepared.total_bytes()) / kFurtherBatches;
    further_prepared_seconds += cost.prepared_seconds / kFurtherBatches;
  }

  const nlohmann::json document{{"model", args.model},
                                {"batch", args.batch},
                                {"communication", communication_json(report)},
                                {"further_batches",
                                 {{"mean_online_bytes", further_bytes},
                                  {"mean_seconds", further_seconds},
                                  {"mean_prepared_bytes", further_prepared_bytes},
                                  {"mean_prepared_seconds", further_prepared_seconds}}},
                                {"seconds", seconds_json(report)},
                                {"peak_rss_bytes", report.peak_rss_bytes}};
  write_run_report(args.report, {args.model, args.exec.framework, args.network, false, args.batch}, plan, document);
  out.document(document);
  if (args.steps) {
    print_by_step(out, report);
  } else {
    print_by_kind(out, report);
  }
  const std::string prepared = args.prepare == 0 ? ""
                                                 : fmt::format("{:.3f} MB in {:.2f} s ahead, ",
                                                               further_prepared_bytes / 1e6, further_prepared_seconds);
  out.text(fmt::format("each further {}: {}{:.3f} MB, {:.2f} s on average, its correlated OTs included",
                       args.batch == 1 ? "image" : "batch", prepared, further_bytes / 1e6, further_seconds));
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
  add_prepare_flag(*cmd, args->prepare, kPrepareHelp);
  cmd->add_flag("--steps", args->steps, "One row a step instead of one a kind of step");
  cmd->add_flag("--passes", args->passes, "Print the graph before and after each pass");
  add_report_flag(*cmd, args->report);
  cmd->callback([&session, args] { session.action = [&session, args] { plan_command(session.output, *args); }; });
}

}  // namespace eqo::cli
