#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "eqo/cli/command.h"
#include "eqo/model/model_io.h"

namespace eqo::cli {
namespace {

std::string weights_text(const Node& node) {
  if (node.op != Op::kConv) return {};
  unsigned low = 255, high = 0;
  for (const WeightCode& code : node.codes) {
    low = std::min<unsigned>(low, code.shift);
    high = std::max<unsigned>(high, code.shift);
  }
  return fmt::format("{} bits {}{}", node.codes.front().bits(),
                     node.domain == ConvDomain::kWinograd ? "winograd" : "direct",
                     high > 0 ? fmt::format(", tap exponents {}..{}", low, high) : "");
}

void inspect_command(const Output& out, const std::string& path) {
  const Model model = load_model(path);
  const PublicPlan& plan = model.plan;
  nlohmann::json steps = nlohmann::json::array();
  out.text(fmt::format("{}: '{}', {} steps, input {} of {} bits, {} outputs", path, plan.name, plan.nodes.size(),
                       plan.nodes.front().type.shape.to_string(), plan.input_bits,
                       plan.nodes[static_cast<std::size_t>(plan.output)].type.shape.size()));
  out.text(fmt::format("model digest  {}", to_hex(model_digest(model))));
  out.text(fmt::format("plan digest   {}", to_hex(plan_digest(plan))));
  out.text("");
  out.text("The client learns all of this (and no weight):");
  for (const Node& node : plan.nodes) {
    nlohmann::json codes = nlohmann::json::array();
    for (const WeightCode& code : node.codes)
      codes.push_back({{"exponents", code.exponents},
                       {"signs", code.signs},
                       {"offset", code.offset},
                       {"shift", static_cast<unsigned>(code.shift)}});
    steps.push_back({{"name", node.name},
                     {"op", op_name(node.op)},
                     {"shape", {node.type.shape.c, node.type.shape.h, node.type.shape.w}},
                     {"ring_bits", node.type.ring_bits},
                     {"shift", node.shift},
                     {"codes", codes}});
    out.text(fmt::format("  {:<38} {:<15} {:>12}  ring {:>2}{}{}", node.name, op_name(node.op),
                         node.type.shape.to_string(), node.type.ring_bits,
                         node.shift > 0 ? fmt::format("  shift {}", node.shift) : "",
                         node.op == Op::kConv ? "  " + weights_text(node) : ""));
  }
  out.text("");
  out.text("What that says about the weights: " + plan.leakage);
  out.document(
      {{"model", path},
       {"name", plan.name},
       {"model_digest", to_hex(model_digest(model))},
       {"plan_digest", to_hex(plan_digest(plan))},
       {"input_scale", plan.input_scale},
       {"output_scale", plan.output_scale},
       {"classes", plan.classes},
       {"preprocess",
        {{"mean", plan.preprocess.mean}, {"std", plan.preprocess.std}, {"resize", plan.preprocess.resize_shorter}}},
       {"leakage", plan.leakage},
       {"steps", steps}});
}

}  // namespace

void add_inspect(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("inspect", "What a model is, what its plan tells the client, its digests");
  auto path = std::make_shared<std::string>();
  cmd->add_option("model", *path, "MODEL.eqo")->required();
  cmd->callback([&session, path] { session.action = [&session, path] { inspect_command(session.output, *path); }; });
}

}  // namespace eqo::cli
