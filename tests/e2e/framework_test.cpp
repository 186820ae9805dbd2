#include <cstdio>

#include "e2e/support.h"

// Other systems' plans on the same engine.
namespace eqo::e2e {
namespace {

struct Planned {
  std::string conv;
  Words flags;
};

TEST(Framework, RunsAreVerifiedAndCostWhatWasPlanned) {
  const Folder folder;
  const Words data{"--data", images(), "--index", "1"};
  for (const auto& [conv, flags] :
       {Planned{"direct", {"--framework", "cryptflow2"}},
        Planned{"direct", {"--framework", "cryptflow2", "--fixed-point-bits", "41"}},
        Planned{"direct", {"--framework", "sirnn"}}, Planned{"direct", {"--framework", "coinn"}},
        Planned{"winograd", {"--framework", "copriv", "--fixed-point-bits", "37"}},
        Planned{"winograd", {"--framework", "copriv", "--drop-relu", "all"}},
        Planned{"winograd", {"--framework", "eqo-paper"}}}) {
    const std::string model = folder / (conv + ".eqo");
    run_json({"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", model, "--conv", conv});
    const nlohmann::json run = run_json(Words{"local", model, "--verify"} + data + flags);
    EXPECT_EQ(run["images"][0]["verified"], true);
    const nlohmann::json planned = run_json(Words{"plan", model} + flags)["communication"];
    for (const char* field : {"setup_bytes", "online_bytes", "total_bytes", "flights"})
      EXPECT_EQ(run["communication"][field], planned[field]) << field;
    const Server server(folder, model, Words{"--insecure"} + flags);
    expect_served(server);
  }
}

// ResNet-32, 100 classes: EQO at W2A6 as shipped, a session of one image with its setup, beside SiRNN, COINN and CoPriv
// at the widths of docs/comparison.md.
TEST(Framework, ThePapersRatiosAreReached) {
  const Folder folder;
  const std::string network = folder / "resnet32.onnx", model = folder / "resnet32.eqo";
  run_json({"zoo", "resnet32", "--classes", "100", "-o", network});
  const auto bytes = [&](const std::string& conv, const std::string& weights, const std::string& activations,
                         const Words& flags) {
    run_json({"quantize", network, "--calib", images(), "-o", model, "--conv", conv, "--weights", weights,
              "--activations", activations});
    return run_json(Words{"plan", model} + flags)["communication"]["total_bytes"].get<double>();
  };
  const double shipped = bytes("direct", "2", "6", {"--products", "auto"});
  const double paper = bytes("winograd", "2", "6", {"--framework", "eqo-paper"});
  const auto compare = [&](const char* system, double peer, double ratio) {
    std::printf("%s %.1f MB: %.1f times EQO as shipped (%.1f MB), %.1f times as published (%.1f MB)\n", system,
                peer / 1e6, peer / shipped, shipped / 1e6, peer / paper, paper / 1e6);
    EXPECT_GE(peer, ratio * shipped) << system;
  };
  compare("SiRNN, W4A6", bytes("direct", "4", "6", {"--framework", "sirnn"}), 11.7);
  compare("COINN, W3A8", bytes("direct", "3", "8", {"--framework", "coinn"}), 3.6);
  compare("CoPriv, 32 bits", bytes("winograd", "8", "8", {"--framework", "copriv"}), 6.3);
}

TEST(Framework, WrongFlagsAreRefused) {
  const Folder folder;
  const std::string model = small_model(folder);
  expect_error({"plan", model, "--framework", "delphi"}, Category::kUsage, "--framework");
  expect_error({"plan", model, "--framework", "cryptflow2", "--fixed-point-bits", "8"}, Category::kUsage,
               "--fixed-point-bits");
  expect_error({"plan", model, "--framework", "copriv", "--drop-relu", "none"}, Category::kUsage, "no ReLU");
  expect_error({"plan", model, "--framework", "sirnn", "--drop-relu", "all"}, Category::kUsage, "copriv");
}

}  // namespace
}  // namespace eqo::e2e
