#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "eqo/cli/command.h"
#include "eqo/importer/onnx_export.h"
#include "eqo/importer/passes.h"
#include "eqo/importer/zoo.h"

namespace eqo::cli {

void add_zoo(CLI::App& app, Session& session) {
  struct Args {
    std::string name, output;
    ZooOptions options;
  };
  auto* cmd = app.add_subcommand("zoo", "Write a standard network with seeded random weights");
  auto args = std::make_shared<Args>();
  cmd->add_option("name", args->name, "The network")->required()->check(CLI::IsMember(zoo_names()));
  cmd->add_option("--classes", args->options.classes, "Number of classes (0: the network's own)")
      ->check(CLI::Range(0, 1'000'000));
  cmd->add_option("--image", args->options.image, "Image height and width (0: the network's own)")
      ->check(CLI::Range(0, 4096));
  cmd->add_option("--seed", args->options.seed, "Seed of the weights");
  cmd->add_option("-o,--output", args->output, "MODEL.onnx")->required();
  cmd->callback([&session, args] {
    session.action = [&session, args] {
      const FloatGraph graph = make_zoo(args->name, args->options);
      export_onnx(graph, args->output);
      const auto macs = count_macs(graph), relus = count_relus(graph), parameters = count_parameters(graph);
      session.output.document({{"model", args->output}, {"macs", macs}, {"relus", relus}, {"parameters", parameters}});
      session.output.text(fmt::format("{}: {} multiplications, {} ReLUs, {} parameters", args->output,
                                      grouped(static_cast<unsigned long long>(macs)),
                                      grouped(static_cast<unsigned long long>(relus)),
                                      grouped(static_cast<unsigned long long>(parameters))));
    };
  });
}

}  // namespace eqo::cli
