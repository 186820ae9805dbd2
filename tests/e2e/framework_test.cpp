#include "e2e/support.h"

// Other systems' plans on the same engine.
namespace eqo::e2e {
namespace {

TEST(Framework, RunsAreVerifiedAndCostWhatWasPlanned) {
  const Folder folder;
  const std::string model = folder / "direct.eqo";
  run_json({"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", model, "--conv", "direct"});
  const Words data{"--data", images(), "--index", "1"};
  for (const Words& flags :
       {Words{"--framework", "cryptflow2"}, Words{"--framework", "cryptflow2", "--fixed-point-bits", "41"},
        Words{"--framework", "sirnn"}}) {
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
}

}  // namespace
}  // namespace eqo::e2e
