#include "e2e/support.h"

// Usage errors, and where a flag's value comes from.
namespace eqo::e2e {
namespace {

using nlohmann::json;

TEST(Flags, UsageErrors) {
  const Folder folder;
  const std::string model = small_model(folder);
  const std::vector<Words> wrong{
      {},
      {"nonsense"},
      {"--nonsense"},
      {"plan"},
      {"plan", model, "--nonsense"},
      {"plan", model, "another"},
      {"plan", model, "--batch", "0"},
      {"plan", model, "--batch", "many"},
      {"plan", model, "--batch", "-1"},
      {"plan", model, "--batch", "99999999999999999999"},
      {"plan", model, "--tree-levels", "9"},
      {"plan", model, "--softspoken-k", "0"},
      {"plan", model, "--reveal", "everything"},
      {"plan", model, "--network", "fast"},
      {"plan", model, "--network", "1M"},
      {"plan", model, "--network", "-1M,1ms"},
      {"plan", model, "--network", "nan,1ms"},
      {"zoo", "no-such-network", "-o", folder / "x.onnx"},
      {"zoo", "minionn"},
      {"zoo", "minionn", "--classes", "-2", "-o", folder / "x.onnx"},
      {"quantize", fixture("mobile_10.onnx"), "-o", folder / "x.eqo"},
      {"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", folder / "x.eqo", "--weights", "0"},
      {"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", folder / "x.eqo", "--activations", "9"},
      {"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", folder / "x.eqo", "--conv", "fft"},
      {"quantize", fixture("mobile_10.onnx"), "--calib", "imagenet:x", "-o", folder / "x.eqo"},
      {"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", folder / "x.eqo", "--std", "0,1,1"},
      {"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", folder / "x.eqo", "--mean", "1,2"},
      {"eval", model, "--data", images(), "--mean", "0,0,0"},
      {"local", model},
      {"local", model, "--data", images()},
      {"local", model, "--data", images(), "--index", "8"},
      {"local", model, "--data", images(), "--index", "3-1"},
      {"local", model, "--data", images(), "--index", "x"},
      {"local", model, "--data", images(), "--index", "-1"},
      {"local", model, "picture.png", "--data", images(), "--index", "0"},
      {"local", model, "--data", images(), "--index", "0", "--threads", "0"},
      {"infer", "--data", images(), "--index", "0"},
      {"infer", "--data", images(), "--index", "0", "--server", "127.0.0.1:1"},
      {"infer", "--data", images(), "--index", "0", "--server", "localhost", "--insecure"},
      {"infer", "--data", images(), "--index", "0", "--server", "127.0.0.1:70000", "--insecure"},
      {"infer", "--data", images(), "--index", "0", "--server", "192.0.2.1:7700", "--insecure"},
      {"infer", "--data", images(), "--index", "0", "--server", "127.0.0.1:1", "--insecure", "--ca", "x"},
      {"infer", "--data", images(), "--index", "0", "--server", "127.0.0.1:1", "--insecure", "--pin", "abc"},
      {"infer", "--data", images(), "--index", "0", "--server", "127.0.0.1:1", "--insecure", "--deadline", "nan"},
      {"serve", model},
      {"serve", model, "--listen", "0.0.0.0:0", "--insecure"},
      {"serve", model, "--listen", "127.0.0.1", "--insecure"},
      {"serve", model, "--insecure", "--cert", "x"},
      {"serve", model, "--cert", "x", "--key", "y"},
      {"serve", model, "--insecure", "--max-sessions", "0"},
      {"completion", "fish"},
  };
  for (const Words& arguments : wrong) expect_error(arguments, Category::kUsage);
  expect_error({"nonsense"}, Category::kUsage, "'nonsense' is not a command");
  expect_error({"plan", model, "--network", "fast"}, Category::kUsage, "lan, wan");
}

TEST(Flags, Precedence) {
  const Folder folder;
  const std::string model = small_model(folder);
  write_file(folder / "eqo.toml", "[plan]\nbatch = 2\n\n[serve]\nmax-sessions = 3\n");
  const auto batch = [&](const Words& flags, const Words& environment) {
    return run_json(Words{"plan", model} + flags, {.environment = environment})["batch"];
  };
  const Words file{"--config", folder / "eqo.toml"};
  EXPECT_EQ(batch({}, {}), 1);
  EXPECT_EQ(batch(file, {}), 2);
  EXPECT_EQ(batch({}, {"EQO_BATCH=3"}), 3);
  EXPECT_EQ(batch(file, {"EQO_BATCH=3"}), 3);
  EXPECT_EQ(batch(file + Words{"--batch", "4"}, {"EQO_BATCH=3"}), 4);
  EXPECT_EQ(batch({"--batch", "4"}, {}), 4);
  EXPECT_EQ(batch({}, {"EQO_CONFIG=" + (folder / "eqo.toml")}), 2);
}

TEST(Flags, EnvironmentOfEveryKind) {
  const Folder folder;
  const std::string model = small_model(folder);
  EXPECT_EQ(run_json({"plan", model}, {.environment = {"EQO_REVEAL=label"}})["communication"]["total_bytes"],
            run_json({"plan", model, "--reveal", "label"})["communication"]["total_bytes"]);
  const Ended json_by_environment = run_eqo({"inspect", model}, {.environment = {"EQO_JSON=1"}});
  EXPECT_TRUE(json::parse(json_by_environment.out, nullptr, false).is_object()) << json_by_environment.out;
  check_error(run_eqo({"nonsense"}, {.environment = {"EQO_JSON=1"}}), true, Category::kUsage, "");
  // Another command's variable does not disturb.
  EXPECT_EQ(run_json({"inspect", model}, {.environment = {"EQO_THREADS=two", "EQO_LIMIT=x"}})["model"], model);
  const Words local{"local", model, "--data", images(), "--index", "0"};
  EXPECT_EQ(run_json(local, {.environment = {"EQO_THREADS=2"}})["images"].size(), 1U);
  expect_error(local, Category::kUsage, "--threads", {.environment = {"EQO_THREADS=0"}});
  expect_error(local, Category::kUsage, "--threads", {.environment = {"EQO_THREADS=two"}});
  EXPECT_EQ(run_json(local + Words{"--threads", "1"}, {.environment = {"EQO_THREADS=two"}})["images"].size(), 1U);
}

TEST(Flags, ConfigFileErrors) {
  const Folder folder;
  const std::string model = small_model(folder);
  const std::vector<std::string> wrong{"[plan]\nbatches = 2\n", "[planning]\nbatch = 2\n", "batch = 2\n",
                                       "[plan]\nbatch = x\n",   "[plan]\nbatch = 0\n",     "[[[\n x="};
  for (const std::string& text : wrong) {
    SCOPED_TRACE(text);
    write_file(folder / "bad.toml", text);
    expect_error({"plan", model, "--config", folder / "bad.toml"}, Category::kUsage);
  }
  const std::string absent = folder / "absent.toml";
  expect_error({"plan", model, "--config", absent}, Category::kUsage, absent);
  expect_error({"plan", model}, Category::kUsage, absent, {.environment = {"EQO_CONFIG=" + absent}});
}

}  // namespace
}  // namespace eqo::e2e
