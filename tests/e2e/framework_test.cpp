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
