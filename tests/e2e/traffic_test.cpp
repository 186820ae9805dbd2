#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "e2e/support.h"
#include "eqo/model/model_io.h"
#include "eqo/model/testing/random_model.h"

// What is said beforehand is what is sent; and what is sent does not depend on what is secret.
namespace eqo::e2e {
namespace {

using nlohmann::json;

// Everything but times.
json bytes_and_flights(const json& document) {
  json c = document["communication"];
  for (json& layer : c["layers"]) layer.erase("seconds");
  return c;
}

// An image of the small model's data set: zeros, or full brightness.
std::string flat_image(const Folder& folder, const std::string& name, char pixel) {
  std::string record(3073, pixel);
  record[0] = 1;
  write_file(folder / name, record);
  return "cifar10:" + (folder / name);
}

TEST(Traffic, PlanEqualsLocalEqualsInfer) {
  const Folder folder;
  const std::string model = small_model(folder);
  const std::vector<Words> choices{{},
                                   {"--reveal", "label"},
                                   {"--softspoken-k", "2", "--tree-levels", "4"},
                                   {"--softspoken-k", "8", "--tree-levels", "5", "--reveal", "label"}};
  for (const Words& flags : choices) {
    SCOPED_TRACE(::testing::PrintToString(flags));
    const json plan = run_json(Words{"plan", model} + flags);
    const json local = run_json(Words{"local", model, "--data", images(), "--index", "0", "--verify"} + flags);
    EXPECT_EQ(bytes_and_flights(plan), bytes_and_flights(local));
    EXPECT_EQ(local["images"][0]["verified"], true);
    Server server(folder, model, Words{"--insecure"} + flags);
    const json infer = run_json(infer_arguments(server, {"--insecure", "--verify", model}));
    EXPECT_EQ(bytes_and_flights(plan), bytes_and_flights(infer));
    EXPECT_EQ(local["images"][0]["label"], infer["images"][0]["label"]);
    EXPECT_EQ(local["images"][0]["logits"], infer["images"][0]["logits"]);
    server.stop();
  }
}

TEST(Traffic, RevealLabelKeepsTheLogits) {
  const Folder folder;
  const std::string model = small_model(folder);
  const json logits = run_json({"local", model, "--data", images(), "--index", "0-7"});
  const json label = run_json({"local", model, "--data", images(), "--index", "0-7", "--reveal", "label", "--verify"});
  ASSERT_EQ(label["images"].size(), 8U);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(label["images"][i]["logits"].is_null()) << label["images"][i];
    EXPECT_FALSE(label["images"][i].contains("probabilities"));
    EXPECT_EQ(label["images"][i]["verified"], true);
    EXPECT_EQ(label["images"][i]["label"], logits["images"][i]["label"]);
  }
  Server server(folder, model, {"--insecure", "--reveal", "label"});
  expect_error(infer_arguments(server, {"--insecure", "--require-logits"}), Category::kPolicy);
  EXPECT_TRUE(run_json(infer_arguments(server))["images"][0]["logits"].is_null());
  server.stop();
}

TEST(Traffic, Batches) {
  const Folder folder;
  const std::string model = small_model(folder);
  const json plan = run_json({"plan", model, "--batch", "4"});
  const json local =
      run_json({"local", model, "--data", images(), "--index", "0-7", "--batch", "4", "--verify", "--threads", "2"});
  EXPECT_EQ(bytes_and_flights(plan), bytes_and_flights(local));
  EXPECT_EQ(local["batches"], 2);
  for (const json& image : local["images"]) EXPECT_EQ(image["verified"], true);
  // A batch costs less flights than its images one by one, and the answers are the same.
  EXPECT_EQ(plan["communication"]["flights"], run_json({"plan", model})["communication"]["flights"]);
  Server server(folder, model, {"--insecure", "--max-batch", "4"});
  const json infer = run_json({"infer", "--data", images(), "--index", "0-7", "--server", server.address(),
                               "--insecure", "--batch", "--verify", model});
  EXPECT_EQ(infer["batches"], 2);
  EXPECT_EQ(bytes_and_flights(plan), bytes_and_flights(infer));
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(infer["images"][i]["logits"], local["images"][i]["logits"]);
  server.stop();
}

// The same answers and costs by plan, local and infer; what is prepared leaves the batch.
TEST(Traffic, Prepared) {
  const Folder folder;
  const std::string model = small_model(folder);
  for (const Words& flags :
       std::vector<Words>{{}, {"--products", "ot"}, {"--ot", "softspoken", "--prefetch", "0", "--products", "he"}}) {
    SCOPED_TRACE(::testing::PrintToString(flags));
    const json whole = run_json(Words{"plan", model} + flags);
    const json plan = run_json(Words{"plan", model, "--prepare", "2"} + flags);
    const json local =
        run_json(Words{"local", model, "--data", images(), "--index", "0-4", "--prepare", "2", "--verify"} + flags);
    EXPECT_EQ(bytes_and_flights(plan), bytes_and_flights(local));
    EXPECT_EQ(local["prepared_batches"], 5);
    Server server(folder, model, Words{"--insecure", "--prepare", "2"} + flags);
    const json infer = run_json({"infer", "--data", images(), "--index", "0-4", "--server", server.address(),
                                 "--insecure", "--prepare", "2", "--verify", model});
    EXPECT_EQ(bytes_and_flights(plan), bytes_and_flights(infer));
    EXPECT_EQ(infer["prepared_batches"], 5);
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(local["images"][i]["verified"], true);
      EXPECT_EQ(infer["images"][i]["logits"], local["images"][i]["logits"]);
    }
    const json& c = plan["communication"];
    const json& w = whole["communication"];
    EXPECT_EQ(w["prepared_bytes"], 0);
    EXPECT_GT(c["prepared_bytes"], 0);
    EXPECT_LT(c["online_bytes"], w["online_bytes"]);
    EXPECT_LE(c["online_flights"], w["online_flights"]);
    EXPECT_GT(local["seconds"]["prepared"], 0);
    // Without --prepare the same server answers as before.
    const json direct = run_json(infer_arguments(server, {"--insecure", "--verify", model}));
    EXPECT_EQ(bytes_and_flights(whole), bytes_and_flights(direct));
    EXPECT_EQ(direct["images"][0]["logits"], infer["images"][0]["logits"]);
    server.stop();
  }
}

TEST(Traffic, PreparedBatches) {
  const Folder folder;
  const std::string model = small_model(folder);
  const json plan = run_json({"plan", model, "--batch", "3", "--prepare", "6"});
  const json local = run_json({"local", model, "--data", images(), "--index", "0-7", "--batch", "3", "--prepare", "6",
                               "--verify", "--threads", "2"});
  EXPECT_EQ(bytes_and_flights(plan), bytes_and_flights(local));
  EXPECT_EQ(local["batches"], 3);
  EXPECT_EQ(local["prepared_batches"], 3);
  for (const json& image : local["images"]) EXPECT_EQ(image["verified"], true);
  expect_error({"local", model, "--data", images(), "--index", "0-7", "--batch", "3", "--prepare", "2"},
               Category::kUsage, "less than a batch");
  expect_error({"plan", model, "--prepare", "1", "--framework", "sirnn"}, Category::kUsage, "--prepare");
  // The server grants three; the client asks for more, and its batches are as large as that.
  Server server(folder, model, {"--insecure", "--prepare", "3"});
  const json infer = run_json({"infer", "--data", images(), "--index", "0-7", "--server", server.address(),
                               "--insecure", "--batch", "--prepare", "5", "--verify", model, "--quiet"});
  EXPECT_EQ(infer["prepared_batches"], 3);
  EXPECT_EQ(infer["batches"], 3);
  server.stop();
}

// A 14 x 13 picture as a BMP of 24 bits.
std::string bmp(unsigned seed) {
  std::string out = "BM";
  const auto put = [&](std::uint32_t v, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(v >> (8 * i)));
  };
  constexpr std::uint32_t kRow = 44, kHeight = 13, kWidth = 14;
  put(54 + kRow * kHeight, 4), put(0, 4), put(54, 4), put(40, 4), put(kWidth, 4), put(kHeight, 4), put(1, 2),
      put(24, 2);
  put(0, 4), put(kRow * kHeight, 4), put(2835, 4), put(2835, 4), put(0, 8);
  for (std::uint32_t i = 0; i < kRow * kHeight; ++i)
    out.push_back(i % kRow < 3 * kWidth ? static_cast<char>((i / 3 * 37 + seed * 91) % 251) : '\0');
  return out;
}

// `eqo infer -`, which gets file names through a pipe.
class Asker {
 public:
  Asker(const Folder& folder, const Server& server, const Words& flags) {
    static std::atomic<int> count = 0;
    const std::string names = folder / ("names" + std::to_string(++count));
    EXPECT_EQ(::mkfifo(names.c_str(), 0600), 0);
    Process::Options options;
    options.stdin_file = names;
    auto writer = std::async(std::launch::async, [&] { return ::open(names.c_str(), O_WRONLY | O_CLOEXEC); });
    process_ = std::make_unique<Process>(
        Words{EQO_PROGRAM, "infer", "-", "--server", server.address(), "--insecure", "--json"} + flags, options);
    fd_ = writer.get();
    EXPECT_GE(fd_, 0);
  }
  ~Asker() { end(); }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;
  Process& process() { return *process_; }
  void wait_for(const std::string& text) { EXPECT_TRUE(process_->wait_for(text, std::chrono::seconds(60))) << text; }
  void ask(const std::string& file) const {
    const std::string line = file + "\n";
    EXPECT_EQ(::write(fd_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  // No more files.
  void end() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  std::unique_ptr<Process> process_;
  int fd_ = -1;
};

// Files named on standard input: while none is, the next images are prepared.
TEST(Traffic, PreparedWhileNothingIsAsked) {
  const Folder folder;
  const std::string model = small_model(folder);
  write_file(folder / "a.bmp", bmp(1));
  write_file(folder / "b.bmp", bmp(2));
  const json expected = run_json({"local", model, folder / "a.bmp", folder / "b.bmp"});
  Server server(folder, model, {"--insecure", "--prepare", "2"});
  Asker asker(folder, server, {"--prepare", "2", "--verify", model});
  asker.wait_for("waiting for a file, 2 images prepared");
  asker.ask(folder / "a.bmp");
  asker.ask(folder / "absent.bmp");
  asker.wait_for("absent.bmp");
  asker.ask(folder / "b.bmp");
  asker.end();
  const Ended ended = asker.process().wait();
  const json infer = json::parse(ended.out, nullptr, false);
  EXPECT_EQ(ended.code, static_cast<int>(Category::kData)) << ended.err;
  ASSERT_EQ(infer["images"].size(), 2U) << ended.err;
  EXPECT_GE(infer["prepared_batches"], 2);
  EXPECT_GT(infer["communication"]["prepared_bytes"], 0);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(infer["images"][i]["verified"], true);
    EXPECT_EQ(infer["images"][i]["logits"], expected["images"][i]["logits"]);
  }
  server.stop();
}

// A client that is cut in the middle of an answer and comes again finds nothing of what was prepared for it, used or
// not: it prepares anew, at the full price.
TEST(Traffic, PreparedAndCut) {
  const Folder folder;
  const std::string model = small_model(folder);
  write_file(folder / "a.bmp", bmp(1));
  const json plan = run_json({"plan", model, "--prepare", "1"});
  EXPECT_GT(plan["communication"]["online_flights"], 10);
  Server server(folder, model, {"--insecure", "--prepare", "2"});
  for (const int after : {100, 400, 900}) {
    // An answer takes a quarter of a second for each pair of its flights.
    Asker cut(folder, server, {"--prepare", "2", "--network", "100M,250ms"});
    cut.wait_for("waiting for a file, 2 images prepared");
    cut.ask(folder / "a.bmp");
    std::this_thread::sleep_for(std::chrono::milliseconds(after));
    EXPECT_TRUE(cut.process().running()) << "the answer was there before the client was cut";
    cut.process().signal(SIGKILL);
    EXPECT_EQ(cut.process().wait().code, -SIGKILL);
    const json again = run_json(
        {"infer", folder / "a.bmp", "--server", server.address(), "--insecure", "--prepare", "1", "--verify", model});
    EXPECT_EQ(again["images"][0]["verified"], true);
    EXPECT_EQ(again["prepared_batches"], 1);
    EXPECT_EQ(bytes_and_flights(again), bytes_and_flights(plan));
  }
  const std::string log = server.stop();
  EXPECT_NE(log.find("connection: "), std::string::npos) << log;
  EXPECT_EQ(log.find("internal"), std::string::npos) << log;
}

TEST(Traffic, TheSimulatedNetworkTakesTime) {
  const Folder folder;
  const std::string model = small_model(folder);
  const Words local{"local", model, "--data", images(), "--index", "0"};
  const json fast = run_json(local + Words{"--optimize-for", "wan"}),
             slow = run_json(local + Words{"--network", "wan"});
  const double flights = slow["communication"]["online_flights"];
  EXPECT_GE(slow["seconds"]["online"].get<double>(), 0.95 * flights * 0.020) << "40 ms there and back";
  EXPECT_GT(slow["seconds"]["online"], fast["seconds"]["online"].get<double>());
  EXPECT_EQ(bytes_and_flights(fast), bytes_and_flights(slow));
  EXPECT_EQ(fast["images"][0]["logits"], slow["images"][0]["logits"]);
  // What was planned for this link is what it is.
  const json plan = run_json({"plan", model, "--network", "wan"});
  EXPECT_EQ(bytes_and_flights(plan), bytes_and_flights(slow));
  EXPECT_GE(plan["seconds"]["online"].get<double>(), 0.95 * flights * 0.020);
  // The rate counts, too: one of the parties sends at least half of the bytes.
  const json narrow = run_json(local + Words{"--network", "10M,0ms"});
  EXPECT_GE(narrow["seconds"]["online"].get<double>(),
            0.95 * narrow["communication"]["online_bytes"].get<double>() / 2 * 8 / 10e6);
}

// Every way of running is planned to the byte.
TEST(Traffic, EveryChoiceIsPlanned) {
  const Folder folder;
  const std::string model = small_model(folder);
  const std::vector<Words> choices{{"--ot", "softspoken", "--products", "ot"},
                                   {"--ot", "softspoken", "--softspoken-k", "2"},
                                   {"--ot", "silent", "--prefetch", "0"},
                                   {"--ot", "softspoken", "--prefetch", "2"},
                                   {"--ot", "softspoken", "--tree-levels", "2"},
                                   {"--ot", "softspoken", "--optimize-for", "10M,100ms"},
                                   {"--ot", "softspoken", "--disable-pass", "fuse", "--disable-pass", "merge"},
                                   {"--ot", "softspoken", "--disable-pass", "intervals", "--batch", "3"},
                                   {"--ot", "softspoken", "--products", "he"},
                                   {"--ot", "silent", "--products", "auto"},
                                   {"--ot", "softspoken", "--products", "auto", "--optimize-for", "1G,1ms"}};
  std::set<std::string> seen;
  for (const Words& choice : choices) {
    std::string name;
    for (const std::string& w : choice) name.append(" ").append(w);
    SCOPED_TRACE(name);
    const json plan = run_json(Words{"plan", model} + choice);
    const json local = run_json(Words{"local", model, "--data", images(), "--index", "0-2", "--verify"} + choice);
    EXPECT_EQ(bytes_and_flights(plan), bytes_and_flights(local));
    seen.insert(bytes_and_flights(plan).dump());
  }
  EXPECT_EQ(seen.size(), choices.size()) << "each choice changes what crosses the wire";
  EXPECT_EQ(run_eqo({"plan", model, "--products", "he", "--framework", "sirnn"}).code, 2);
}

// Winograd's layers may become homomorphic, as the kernels that they amount to, or stay OT's: as planned either way.
TEST(Traffic, AModelForOtsBySomethingElse) {
  const Folder folder;
  const std::string network = folder / "m.onnx", model = folder / "m.eqo";
  run_json({"zoo", "minionn", "--image", "16", "--classes", "5", "-o", network});
  const json quantized =
      run_json({"quantize", network, "--calib", images(), "-o", model, "--weights", "3", "--products", "ot"});
  EXPECT_EQ(quantized["layers"][1]["conv"], "winograd");
  for (const json& layer : quantized["layers"]) EXPECT_EQ(layer["product"], "ot");
  for (const Words& link : std::vector<Words>{{}, {"--optimize-for", "10G,10us"}}) {
    std::map<std::string, std::uint64_t> bytes;
    for (const char* products : {"auto", "he", "ot"}) {
      SCOPED_TRACE(::testing::PrintToString(link) + products);
      const Words flags = Words{"--products", products} + link;
      const json plan = run_json(Words{"plan", model} + flags);
      const json local = run_json(Words{"local", model, "--data", images(), "--index", "0", "--verify"} + flags);
      EXPECT_EQ(bytes_and_flights(plan), bytes_and_flights(local));
      EXPECT_EQ(local["images"][0]["verified"], true);
      bytes[products] = plan["communication"]["total_bytes"].get<std::uint64_t>();
    }
    // Without a link the choice is by bytes, and it is what happens if nothing is said.
    if (!link.empty()) continue;
    EXPECT_LE(bytes["auto"], std::min(bytes["he"], bytes["ot"]));
    EXPECT_EQ(run_json({"plan", model})["communication"]["total_bytes"], bytes["auto"]);
  }
  // By default layers that will be homomorphic are direct, and cost less.
  const json direct = run_json({"quantize", network, "--calib", images(), "-o", model, "--weights", "3"});
  EXPECT_EQ(direct["layers"][1]["conv"], "direct");
  EXPECT_EQ(direct["layers"][1]["product"], "he");
  EXPECT_LT(direct["total_bytes"], quantized["total_bytes"]);
}

TEST(Traffic, PassesArePrintedAndUnknownOnesRefused) {
  const Folder folder;
  const std::string model = small_model(folder);
  const Ended printed = run_eqo({"plan", model, "--passes"});
  EXPECT_EQ(printed.code, 0);
  for (const char* text : {"The graph as quantized", "After pass 'fuse'", "Requantize"})
    EXPECT_NE(printed.out.find(text), std::string::npos) << text;
  const Ended refused = run_eqo({"plan", model, "--disable-pass", "fusion"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("known: products, share-extend, pool-split, fuse"), std::string::npos) << refused.err;
}

TEST(Traffic, DoesNotDependOnTheImage) {
  const Folder folder;
  const std::string model = small_model(folder);
  const json plan = bytes_and_flights(run_json({"plan", model}));
  for (const std::string& data :
       {images(), flat_image(folder, "black.bin", '\0'), flat_image(folder, "white.bin", '\xff')}) {
    const json document = run_json({"local", model, "--data", data, "--index", "0", "--verify"});
    EXPECT_EQ(bytes_and_flights(document), plan) << data;
    EXPECT_EQ(document["images"][0]["verified"], true) << data;
  }
}

TEST(Traffic, DoesNotDependOnTheWeights) {
  const Folder folder;
  const std::string path = small_model(folder);
  const json plan = bytes_and_flights(run_json({"plan", path}));
  const Model model = load_model(path);

  Model zero = model;
  for (std::size_t i = 0; i < zero.plan.nodes.size(); ++i) {
    const std::vector<WeightCode>& codes = zero.plan.nodes[i].codes;
    std::vector<std::uint8_t>& weights = zero.secrets[i].weights;
    for (std::size_t w = 0; w < weights.size(); ++w) {
      const WeightCode& code = codes[w / (weights.size() / codes.size())];
      unsigned least = 0;  // the value next to zero: not every code has a zero
      for (unsigned c = 1; c < (1U << code.bits()); ++c)
        if (std::abs(code.value(c)) < std::abs(code.value(least))) least = c;
      weights[w] = static_cast<std::uint8_t>(least);
    }
  }
  save_model(zero, folder / "zero.eqo");
  save_model(eqo::testing::with_random_weights(model.plan, 1), folder / "one.eqo");
  for (const char* name : {"zero.eqo", "one.eqo"}) {
    const json document = run_json({"local", folder / name, "--data", images(), "--index", "0", "--verify"});
    EXPECT_EQ(bytes_and_flights(document), plan) << name;
    EXPECT_EQ(document["images"][0]["verified"], true) << name;
  }
}

TEST(Traffic, VerifyFindsAnotherModel) {
  const Folder folder;
  const std::string model = small_model(folder);
  save_model(eqo::testing::with_random_weights(load_model(model).plan, 2), folder / "other.eqo");
  Server server(folder, model);
  expect_error(infer_arguments(server, {"--insecure", "--verify", folder / "other.eqo"}), Category::kPolicy,
               "not the model");
  server.stop();
}

}  // namespace
}  // namespace eqo::e2e
