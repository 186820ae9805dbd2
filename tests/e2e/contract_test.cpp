#include <algorithm>
#include <filesystem>

#include "e2e/support.h"

// Each command's happy path, and the keys and types of its JSON.
namespace eqo::e2e {
namespace {

using nlohmann::json;

void expect_keys(const json& object, const std::vector<std::pair<const char*, json::value_t>>& keys) {
  for (const auto& [name, type] : keys) {
    ASSERT_TRUE(object.contains(name)) << name << " is missing in " << object;
    const json& value = object[name];
    if (type == json::value_t::number_float) {
      EXPECT_TRUE(value.is_number()) << name << ": " << value;
    } else if (type == json::value_t::number_unsigned) {
      EXPECT_TRUE(value.is_number_integer() && value >= 0) << name << ": " << value;
    } else {
      EXPECT_EQ(value.type(), type) << name << ": " << value;
    }
  }
}

constexpr auto kCount = json::value_t::number_unsigned;
constexpr auto kReal = json::value_t::number_float;
constexpr auto kText = json::value_t::string;
constexpr auto kList = json::value_t::array;
constexpr auto kObject = json::value_t::object;

void expect_costs(const json& document) {
  expect_keys(document, {{"communication", kObject}, {"seconds", kObject}, {"peak_rss_bytes", kCount}});
  expect_keys(document["seconds"], {{"setup", kReal}, {"prepared", kReal}, {"online", kReal}});
  EXPECT_GT(document["peak_rss_bytes"], 1 << 20);
  const json& c = document["communication"];
  expect_keys(c, {{"setup_bytes", kCount},
                  {"prepared_bytes", kCount},
                  {"online_bytes", kCount},
                  {"total_bytes", kCount},
                  {"sent_bytes", kCount},
                  {"received_bytes", kCount},
                  {"flights", kCount},
                  {"layers", kList}});
  EXPECT_EQ(c["total_bytes"], c["setup_bytes"].get<std::uint64_t>() + c["prepared_bytes"].get<std::uint64_t>() +
                                  c["online_bytes"].get<std::uint64_t>());
  EXPECT_EQ(c["total_bytes"], c["sent_bytes"].get<std::uint64_t>() + c["received_bytes"].get<std::uint64_t>());
  std::uint64_t bytes = 0, flights = 0;
  for (const json& layer : c["layers"]) {
    expect_keys(layer, {{"name", kText}, {"op", kText}, {"bytes", kCount}, {"flights", kCount}, {"seconds", kReal}});
    bytes += layer["bytes"].get<std::uint64_t>();
    flights += layer["flights"].get<std::uint64_t>();
  }
  EXPECT_EQ(c["total_bytes"], bytes);
  EXPECT_EQ(c["flights"], flights);
}

void expect_images(const json& document, std::size_t count) {
  ASSERT_TRUE(document.contains("images"));
  ASSERT_EQ(document["images"].size(), count);
  for (const json& image : document["images"]) {
    expect_keys(image, {{"label", kCount}, {"class", kText}, {"logits", kList}});
    ASSERT_EQ(image["logits"].size(), 5U);
    const auto greatest = std::max_element(image["logits"].begin(), image["logits"].end());
    EXPECT_EQ(image["label"], greatest - image["logits"].begin());
  }
}

TEST(Contract, Check) {
  const json good = run_json({"check", fixture("mobile_10.onnx")});
  expect_keys(good, {{"problems", kList}, {"macs", kCount}, {"relus", kCount}});
  EXPECT_EQ(good["supported"], true);
  EXPECT_EQ(good["problems"].size(), 0U);
  const Ended plain = run_eqo({"check", fixture("mobile_10.onnx")});
  EXPECT_EQ(plain.code, 0);
  EXPECT_NE(plain.out.find("supported"), std::string::npos) << plain.out;
  // Imported, but not quantizable: `check` says so before `quantize` has to.
  expect_error({"check", fixture("odd_17.onnx")}, Category::kModel, "1 problem");
}

TEST(Contract, Zoo) {
  const Folder folder;
  for (const char* name : {"minionn", "resnet20", "resnet32", "squeezenet"}) {
    const std::string path = folder / (std::string(name) + ".onnx");
    const json document = run_json({"zoo", name, "--image", "32", "--classes", "7", "--seed", "3", "-o", path});
    expect_keys(document, {{"macs", kCount}, {"relus", kCount}, {"parameters", kCount}});
    EXPECT_EQ(run_json({"check", path})["outputs"], 7) << name;
  }
  // Seeded: the same weights again, others for another seed.
  const auto zoo = [&](const std::string& seed, const std::string& name) {
    EXPECT_EQ(run_eqo({"zoo", "minionn", "--seed", seed, "-o", folder / name}).code, 0);
    return read_file(folder / name);
  };
  const std::string first = zoo("5", "a.onnx");
  EXPECT_EQ(first, zoo("5", "b.onnx"));
  EXPECT_NE(first, zoo("6", "c.onnx"));
}

TEST(Contract, Quantize) {
  const Folder folder;
  const json document = run_json({"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", folder / "m.eqo",
                                  "--weights", "4", "--activations", "5", "--conv", "direct"});
  expect_keys(document, {{"layers", kList}, {"total_bytes", kCount}});
  ASSERT_GE(document["layers"].size(), 4U);
  const json& layers = document["layers"];
  for (std::size_t i = 0; i < layers.size(); ++i) {
    expect_keys(layers[i], {{"name", kText},
                            {"weights_bits", kCount},
                            {"activation_bits", kCount},
                            {"ring_bits", kCount},
                            {"conv", kText},
                            {"sensitivity", kReal},
                            {"bytes", kCount}});
    const bool edge = i == 0 || i + 1 == layers.size();
    EXPECT_EQ(layers[i]["weights_bits"], edge ? 8 : 4) << "the first and the last layer stay at 8 bits";
  }
  const json edges = run_json({"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", folder / "e.eqo",
                               "--weights", "4", "--activations", "5", "--edge-bits", "6"});
  EXPECT_EQ(edges["layers"].front()["weights_bits"], 6);
  EXPECT_EQ(edges["layers"].back()["weights_bits"], 6);
  // The same call gives the same file.
  run_json({"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", folder / "n.eqo", "--weights", "4",
            "--activations", "5", "--conv", "direct"});
  EXPECT_EQ(read_file(folder / "m.eqo"), read_file(folder / "n.eqo"));
  // It holds the weights: nobody else may read it.
  const auto permissions = std::filesystem::status(folder / "m.eqo").permissions();
  EXPECT_EQ(permissions & std::filesystem::perms::others_all, std::filesystem::perms::none);
}

TEST(Contract, ABudgetIsKeptAsPlanCounts) {
  const Folder folder;
  for (const char* products : {"ot", "he", "auto"}) {
    const json budget = run_json({"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", folder / "m.eqo",
                                  "--budget", "0.9x", "--products", products, "--search-networks", "4"})["budget"];
    const json planned = run_json({"plan", folder / "m.eqo", "--products", products})["communication"];
    EXPECT_EQ(budget["spent"], planned["total_bytes"]) << products;
    EXPECT_EQ(budget["setup_bytes"], planned["setup_bytes"]) << products;
    EXPECT_EQ(budget["online_bytes"], planned["online_bytes"]) << products;
    EXPECT_EQ(budget["flights"], planned["flights"]) << products;
    EXPECT_LE(planned["total_bytes"], budget["budget"]) << products;
  }
}

TEST(Contract, QuantizeWithoutPasses) {
  const Folder folder;
  const Words quantize{"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", folder / "m.eqo"};
  EXPECT_EQ(run_json(quantize)["disabled_passes"], json::array());
  for (const char* pass : {"winograd", "rings", "residual", "share-extend"}) {
    const json off = run_json(quantize + Words{"--disable-pass", pass});
    EXPECT_EQ(off["disabled_passes"], json::array({pass}));
  }
  const json two = run_json(quantize + Words{"--disable-pass", "rings", "--disable-pass", "winograd"});
  EXPECT_EQ(two["disabled_passes"], json::array({"winograd", "rings"}));
  for (const json& layer : two["layers"]) {
    EXPECT_EQ(layer["conv"], "direct");
    EXPECT_EQ(layer["ring_bits"], two["layers"][0]["ring_bits"]);
  }
  expect_error(quantize + Words{"--disable-pass", "ring"}, Category::kUsage, "winograd, rings, residual, share-extend");
}

TEST(Contract, Eval) {
  const Folder folder;
  const std::string model = small_model(folder);
  std::string pixels(8 * 13 * 14, '\0');
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<char>(i * i % 251);
  write_file(folder / "x.npy", npy("|u1", "8, 13, 14", pixels));
  write_file(folder / "y.npy", npy("|u1", "8,", std::string("\0\1\2\3\4\0\1\2", 8)));
  const std::string data = "npy:" + (folder / "x.npy") + "," + (folder / "y.npy");
  for (const std::string& path : {model, fixture("mobile_10.onnx")}) {
    const json document = run_json({"eval", path, "--data", data, "--limit", "5"});
    expect_keys(document, {{"accuracy", kReal}, {"count", kCount}, {"overflowed", kCount}});
    EXPECT_EQ(document["count"], 5);
    EXPECT_GE(document["accuracy"], 0.0);
    EXPECT_LE(document["accuracy"], 1.0);
  }
  EXPECT_EQ(run_json({"eval", model, "--data", data})["count"], 8);
  expect_error({"eval", model, "--data", images()}, Category::kData, "10 classes");
}

TEST(Contract, Inspect) {
  const Folder folder;
  const std::string model = small_model(folder);
  const json document = run_json({"inspect", model});
  expect_keys(document, {{"model_digest", kText}, {"plan_digest", kText}, {"leakage", kText}, {"steps", kList}});
  EXPECT_EQ(document["model_digest"].get<std::string>().size(), 64U);
  EXPECT_GT(document["steps"].size(), 10U);
}

TEST(Contract, Plot) {
  const Folder folder;
  const std::string table = folder / "t.csv", picture = folder / "t.svg";
  write_file(table, "# made up\nnet,MB,accuracy\na,1,90\nb,1,80\r\na,2.5,95\n");
  const std::vector<std::string> plot{"plot", table, "-o", picture, "--x", "MB", "--y", "accuracy"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), plot.begin(), plot.end());
    return more;
  };
  const json document = run_json(with({"--series", "net", "--title", "a title"}));
  expect_keys(document, {{"plot", kText}, {"series", kCount}, {"points", kCount}});
  EXPECT_EQ(document["series"], 2);
  EXPECT_EQ(document["points"], 3);
  EXPECT_EQ(read_file(picture).substr(0, 4), "<svg");
  expect_error(with({"--series", "width"}), Category::kUsage, "no column 'width'");
  write_file(table, "net,MB,accuracy\na,1,90\na,x,95\n");
  expect_error(plot, Category::kData, "line 3");
  write_file(table, "net,MB,accuracy\na,1\n");
  expect_error(plot, Category::kData, "line 2");
  expect_error({"plot", folder / "none.csv", "-o", picture, "--x", "a", "--y", "b"}, Category::kData);
}

TEST(Contract, Completion) {
  for (const char* shell : {"bash", "zsh"}) {
    const Ended ended = run_eqo({"completion", shell});
    EXPECT_EQ(ended.code, 0) << ended.err;
    for (const char* word : {"quantize", "infer", "--max-sessions", "--json"})
      EXPECT_NE(ended.out.find(word), std::string::npos) << word;
  }
  const json document = run_json({"completion", "bash"});
  expect_keys(document, {{"script", kText}});
  // The script is valid, and completes.
  const Folder folder;
  write_file(folder / "c.sh", document["script"].get<std::string>() +
                                  "\nCOMP_WORDS=(eqo pla); COMP_CWORD=1; _eqo; echo \"${COMPREPLY[@]}\"\n");
  Process bash({"/bin/bash", folder / "c.sh"});
  const Ended ended = bash.wait();
  EXPECT_EQ(ended.out, "plan\n") << ended.err;
}

TEST(Contract, HelpAndVersion) {
  EXPECT_TRUE(run_eqo({"--version"}).out.starts_with("eqo "));
  const std::string help = run_eqo({"--help"}).out;
  for (const char* command : {"check", "zoo", "train", "quantize", "eval", "plan", "serve", "infer", "local", "inspect",
                              "completion", "bench", "plot"}) {
    EXPECT_NE(help.find(command), std::string::npos) << command;
    const Ended ended = run_eqo({command, "--help"});
    EXPECT_EQ(ended.code, 0) << command;
    EXPECT_NE(ended.out.find(command), std::string::npos) << ended.out;
    EXPECT_EQ(ended.err, "") << command;
  }
}

TEST(Contract, Local) {
  const Folder folder;
  const std::string model = small_model(folder);
  const json document = run_json({"local", model, "--data", images(), "--index", "0,2-3", "--verify"});
  expect_costs(document);
  expect_images(document, 3);
  for (const json& image : document["images"]) EXPECT_EQ(image.value("verified", false), true) << image;
  const Ended plain = run_eqo({"local", model, "--data", images(), "--index", "1", "--verify", "--threads", "2"});
  EXPECT_EQ(plain.code, 0) << plain.err;
  EXPECT_NE(plain.out.find("equal to the twin"), std::string::npos) << plain.out;
  EXPECT_EQ(plain.out.find("NOT equal"), std::string::npos) << plain.out;
}

TEST(Contract, Plan) {
  const Folder folder;
  const std::string model = small_model(folder);
  expect_costs(run_json({"plan", model}));
  const json wan = run_json({"plan", model, "--network", "wan", "--batch", "3"});
  expect_costs(wan);
  EXPECT_EQ(wan["batch"], 3);
  EXPECT_GT(wan["seconds"]["online"], 1.0);  // about a hundred flights of 20 ms
}

TEST(Contract, ServeAndInfer) {
  const Folder folder;
  const std::string model = small_model(folder);
  Server server(folder, model);
  const json document = run_json({"infer", "--data", images(), "--index", "0,2", "--server", server.address(),
                                  "--insecure", "--verify", model, "--threads", "2"});
  expect_costs(document);
  expect_images(document, 2);
  for (const json& image : document["images"]) EXPECT_EQ(image.value("verified", false), true) << image;
  EXPECT_EQ(document["model_digest"], run_json({"inspect", model})["model_digest"]);
  const std::string log = server.stop();
  EXPECT_NE(log.find("2 images, done"), std::string::npos) << log;
}

TEST(Contract, ServePrintsOneDocument) {
  const Folder folder;
  const std::string model = small_model(folder);
  Process server(
      {EQO_PROGRAM, "serve", model, "--listen", "127.0.0.1:0", "--port-file", folder / "port", "--insecure", "--json"});
  ASSERT_TRUE(server.wait_for(" on 127.0.0.1:", std::chrono::seconds(20))) << server.err();
  server.signal(SIGINT);
  const Ended ended = server.wait();
  EXPECT_EQ(ended.code, 0) << ended.err;
  const json document = json::parse(ended.out, nullptr, false);
  ASSERT_TRUE(document.is_object()) << ended.out;
  expect_keys(document, {{"port", kCount}, {"model_digest", kText}});
}

TEST(Contract, Train) {
  if (EQO_HAS_TRAINING == 0) GTEST_SKIP() << "built without training";
  const Folder folder;
  ASSERT_EQ(run_eqo({"zoo", "resnet20", "--image", "32", "-o", folder / "start.onnx"}).code, 0);
  const Ended ended = run_eqo({"train", folder / "start.onnx", "--train", images(), "--test", images(), "--epochs", "1",
                               "--batch-size", "4", "--threads", "1", "-o", folder / "end.onnx", "--json", "--quiet"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.err, "");
  const json document = json::parse(ended.out, nullptr, false);
  ASSERT_TRUE(document.is_object()) << ended.out;
  expect_keys(document, {{"epochs", kCount}, {"loss", kReal}, {"train_accuracy", kReal}, {"test_accuracy", kReal}});
  EXPECT_EQ(run_json({"check", folder / "end.onnx"})["supported"], true);
  EXPECT_NE(read_file(folder / "start.onnx"), read_file(folder / "end.onnx"));
  expect_error({"train", folder / "start.onnx", "--train", "cifar10:" + (folder / "absent"), "-o", folder / "x.onnx"},
               Category::kData);
}

TEST(Contract, FineTune) {
  if (EQO_HAS_TRAINING == 0) GTEST_SKIP() << "built without training";
  const Folder folder;
  const std::string start = folder / "start.onnx", tuned = folder / "tuned.eqo";
  ASSERT_EQ(run_eqo({"zoo", "resnet20", "--image", "32", "-o", start}).code, 0);
  const json document = run_json({"quantize",     start, "--calib",   images(), "--weights",    "3",
                                  "--finetune",   "2",   "--train",   images(), "--test",       images(),
                                  "--batch-size", "4",   "--threads", "1",      "--checkpoint", folder / "checkpoint",
                                  "--quiet",      "-o",  tuned});
  ASSERT_TRUE(document.contains("finetune")) << document;
  const json& tuning = document["finetune"];
  expect_keys(tuning, {{"epochs", kCount},
                       {"loss", kReal},
                       {"train_accuracy", kReal},
                       {"test_accuracy", kReal},
                       {"overflowed", kCount},
                       {"labels_differing", kCount}});
  EXPECT_EQ(tuning["epochs"], 2);
  EXPECT_EQ(tuning["labels_differing"], 0);
  EXPECT_FALSE(read_file(folder / "checkpoint").empty());
  EXPECT_DOUBLE_EQ(run_json({"eval", tuned, "--data", images()})["accuracy"].get<double>(),
                   tuning["test_accuracy"].get<double>());

  expect_error({"quantize", start, "--calib", images(), "--finetune", "1", "-o", tuned}, Category::kUsage);
}

}  // namespace
}  // namespace eqo::e2e
