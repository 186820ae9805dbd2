#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "eqo/cli/command.h"
#include "eqo/core/error.h"
#include "eqo/importer/onnx_import.h"
#include "eqo/importer/passes.h"
#include "eqo/quantizer/graph_analysis.h"

namespace eqo::cli {
namespace {

// Everything that keeps the file from being imported, or the imported network from being quantized.
std::vector<ImportProblem> all_problems(const std::string& path) {
  std::vector<ImportProblem> problems = check_onnx(path);
  if (!problems.empty()) return problems;
  const FloatGraph graph = import_onnx(path);
  for (const FloatNode& node : graph.nodes)
    if (node.op == FloatOp::kAvgPool && !node.count_include_pad &&
        quant::window_touches_padding(node.window, graph.nodes[static_cast<std::size_t>(node.inputs[0])].shape))
      problems.push_back({node.name, "AveragePool", "it divides by fewer values at its padded border",
                          "export it with count_include_pad=1, or pool without padding"});
  return problems;
}

void check(const Output& out, const std::string& path) {
  const std::vector<ImportProblem> problems = all_problems(path);
  nlohmann::json list = nlohmann::json::array();
  for (const ImportProblem& p : problems) {
    out.text(p.to_string() + (p.hint.empty() ? "" : ". " + p.hint));
    list.push_back({{"node", p.node}, {"op", p.op}, {"message", p.message}, {"hint", p.hint}});
  }
  nlohmann::json document{{"model", path}, {"supported", problems.empty()}, {"problems", list}};
  if (!problems.empty()) {
    const Error error =
        model_error(fmt::format("{}: {} problem{}", path, problems.size(), problems.size() == 1 ? "" : "s"),
                    "each problem is listed with its node");
    document["error"] = error_json(error);
    out.document(document);
    throw error;
  }
  const FloatGraph graph = import_onnx(path);
  document["input"] = {graph.input_shape().c, graph.input_shape().h, graph.input_shape().w};
  document["outputs"] = graph.output_shape().size();
  document["macs"] = count_macs(graph);
  document["relus"] = count_relus(graph);
  document["parameters"] = count_parameters(graph);
  out.document(document);
  out.text(fmt::format("{}: supported. input {}, {} outputs, {} multiplications, {} ReLUs, {} parameters", path,
                       graph.input_shape().to_string(), graph.output_shape().size(),
                       grouped(static_cast<unsigned long long>(count_macs(graph))),
                       grouped(static_cast<unsigned long long>(count_relus(graph))),
                       grouped(static_cast<unsigned long long>(count_parameters(graph)))));
}

}  // namespace

void add_check(CLI::App& app, Session& session) {
  auto* cmd = app.add_subcommand("check", "List every operator of an ONNX model that is not supported");
  auto path = std::make_shared<std::string>();
  cmd->add_option("model", *path, "MODEL.onnx")->required();
  cmd->callback([&session, path] { session.action = [&session, path] { check(session.output, *path); }; });
}

}  // namespace eqo::cli
