#include <cstdint>
#include <random>

#include "e2e/support.h"

// Files that are damaged, absent or something else.
namespace eqo::e2e {
namespace {

TEST(Files, Models) {
  const Folder folder;
  const std::string model = small_model(folder);
  const std::string good = read_file(model);
  std::vector<std::pair<const char*, std::string>> broken{
      {"empty", ""},
      {"text", "this is no model\n"},
      {"magic", std::string("X") + good.substr(1)},
      {"major", good.substr(0, 8) + "\x7f" + good.substr(9)},
      {"junk", good + "x"},
      {"onnx", read_file(fixture("mobile_10.onnx"))},
  };
  for (const std::size_t cut : {std::size_t{7}, std::size_t{24}, good.size() / 3, good.size() - 33, good.size() - 1})
    broken.emplace_back("cut", good.substr(0, cut));
  std::mt19937 rng(11);
  for (int i = 0; i < 6; ++i) {
    std::string flipped = good;
    char& byte = flipped[rng() % good.size()];
    byte = static_cast<char>(byte ^ (1 << (rng() % 8)));
    broken.emplace_back("flipped", flipped);
  }
  const std::string path = folder / "broken.eqo";
  for (const auto& [what, bytes] : broken) {
    SCOPED_TRACE(std::string(what) + " " + std::to_string(bytes.size()));
    write_file(path, bytes);
    expect_error({"inspect", path}, Category::kModel, path);
  }
  for (const Words& command :
       {Words{"plan", path}, Words{"serve", path, "--insecure", "--listen", "127.0.0.1:0"},
        Words{"local", path, "--data", images(), "--index", "0"}, Words{"eval", path, "--data", images()}})
    expect_error(command, Category::kModel, path);
  const std::string absent = folder / "absent.eqo";
  expect_error({"plan", absent}, Category::kModel, absent);
  expect_error({"inspect", folder.path()}, Category::kModel);
  expect_error({"inspect", "/dev/null"}, Category::kModel);
}

TEST(Files, Onnx) {
  const Folder folder;
  const std::string path = folder / "broken.onnx", good = read_file(fixture("mobile_10.onnx"));
  const std::vector<std::string> broken{"",
                                        "text\n",
                                        good.substr(0, good.size() / 2),
                                        std::string(1000, '\xff'),
                                        good.substr(0, 100),
                                        read_file(fixture("synthetic_cifar10_layout.bin"))};
  for (const std::string& bytes : broken) {
    SCOPED_TRACE(bytes.size());
    write_file(path, bytes);
    expect_error({"check", path}, Category::kModel, path);
    expect_error({"quantize", path, "--calib", images(), "-o", folder / "x.eqo"}, Category::kModel);
  }
  expect_error({"check", folder / "absent.onnx"}, Category::kModel, "absent.onnx");
  expect_error({"check", folder.path()}, Category::kModel);
  expect_error({"eval", folder / "absent.onnx", "--data", images()}, Category::kModel);
  EXPECT_FALSE(std::filesystem::exists(folder / "x.eqo"));
}

TEST(Files, CheckListsTheProblems) {
  // The whole file stays readable: only the names of operators change.
  const Folder folder;
  std::string bytes = read_file(fixture("mobile_10.onnx"));
  std::size_t changed = 0;
  for (std::size_t at = bytes.find("\"\x04"
                                   "Conv");
       at != std::string::npos; at = bytes.find("\"\x04"
                                                "Conv",
                                                at + 1),
                   ++changed)
    bytes.replace(at + 2, 4, "Tanh");
  ASSERT_GT(changed, 1U);
  write_file(folder / "tanh.onnx", bytes);
  expect_error({"check", folder / "tanh.onnx"}, Category::kModel, "problem");
  const Ended ended = run_eqo({"check", folder / "tanh.onnx", "--json"});
  const nlohmann::json document = nlohmann::json::parse(ended.out, nullptr, false);
  ASSERT_TRUE(document.is_object()) << ended.out;
  EXPECT_EQ(document["supported"], false);
  EXPECT_GE(document["problems"].size(), changed);
  for (const nlohmann::json& p : document["problems"]) EXPECT_FALSE(p["node"].get<std::string>().empty()) << p;
  expect_error({"quantize", folder / "tanh.onnx", "--calib", images(), "-o", folder / "x.eqo"}, Category::kModel);
}

std::string big_endian(std::uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8), static_cast<char>(v)};
}

// A bitmap of one colour, 24 bits a pixel.
std::string bitmap(std::uint32_t width, std::uint32_t height, std::size_t pixels) {
  const auto word = [](std::uint32_t v) {
    return std::string{static_cast<char>(v), static_cast<char>(v >> 8), static_cast<char>(v >> 16),
                       static_cast<char>(v >> 24)};
  };
  return std::string("BM") + word(static_cast<std::uint32_t>(54 + pixels)) + word(0) + word(54) + word(40) +
         word(width) + word(height) + std::string("\x01\0\x18\0", 4) + word(0) +
         word(static_cast<std::uint32_t>(pixels)) + word(0) + word(0) + word(0) + word(0) + std::string(pixels, '\x80');
}

TEST(Files, Images) {
  const Folder folder;
  const std::string model = small_model(folder);
  const std::string path = folder / "picture";
  write_file(path, bitmap(20, 16, 20 * 16 * 3));
  EXPECT_EQ(run_json({"local", model, path, "--verify"})["images"][0]["verified"], true);
  write_file(path, bitmap(1, 1, 4));
  EXPECT_EQ(run_json({"local", model, path, path, "--verify"})["images"].size(), 2U);

  const std::string png = std::string("\x89PNG\r\n\x1a\n", 8) + big_endian(13) + "IHDR";
  const std::string good = bitmap(20, 16, 20 * 16 * 3);
  const std::vector<std::pair<const char*, std::string>> broken{
      {"empty", ""},
      {"text", "no picture"},
      {"cut bitmap", good.substr(0, 200)},
      {"cut header", good.substr(0, 20)},
      {"huge bitmap", bitmap(65535, 65535, 100)},
      {"negative bitmap", bitmap(0xffffffff, 0x80000000, 100)},
      {"no pixels", bitmap(0, 0, 0)},
      {"huge png", png + big_endian(65535) + big_endian(65535) + std::string("\x08\x02\0\0\0\0\0\0\0", 9)},
      {"cut png", png},
      {"cut jpeg", "\xff\xd8\xff\xe0"},
      {"a model", read_file(model)}};
  Server server(folder, model);
  for (const auto& [what, bytes] : broken) {
    SCOPED_TRACE(what);
    write_file(path, bytes);
    expect_error({"local", model, path}, Category::kData, path);
  }
  expect_error({"infer", path, "--server", server.address(), "--insecure"}, Category::kData, path);
  expect_error({"local", model, folder / "absent.png"}, Category::kData, "absent.png");
  expect_error({"local", model, folder.path()}, Category::kData);
  expect_served(server);
  server.stop();
}

TEST(Files, DataSets) {
  const Folder folder;
  const std::string model = small_model(folder);
  const auto eval = [&](const std::string& data) { return Words{"eval", model, "--data", data}; };
  const std::string record = read_file(fixture("synthetic_cifar10_layout.bin"));
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{3072}, std::size_t{3074}, record.size() - 1}) {
    SCOPED_TRACE(size);
    write_file(folder / "c.bin", record.substr(0, size));
    expect_error(eval("cifar10:" + (folder / "c.bin")), Category::kData, "c.bin");
  }
  write_file(folder / "c.bin", std::string("\x0a") + record.substr(1));  // label 10
  expect_error(eval("cifar10:" + (folder / "c.bin")), Category::kData);
  expect_error(eval("cifar10:" + (folder / "absent.bin")), Category::kData, "absent.bin");
  expect_error(eval("dir:" + (folder / "absent")), Category::kData, "absent");

  const std::string pixels(2 * 13 * 14, '\x40');
  const std::string labels = npy("|u1", "2,", std::string("\0\x01", 2));
  const auto set = [&](const std::string& x, const std::string& y) {
    write_file(folder / "x.npy", x);
    write_file(folder / "y.npy", y);
    return "npy:" + (folder / "x.npy") + "," + (folder / "y.npy");
  };
  EXPECT_EQ(run_json(eval(set(npy("|u1", "2, 13, 14", pixels), labels)))["count"], 2);
  const std::vector<std::pair<std::string, std::string>> broken{
      {npy("|O", "2, 13, 14", pixels), labels},
      {npy("|u1", "2, 13, 14", pixels, "True"), labels},
      {npy("|u1", "2, 13, 14", pixels.substr(1)), labels},
      {npy("|u1", "2, 13, 14", pixels + "x"), labels},
      {npy("|u1", "3, 13, 14", pixels), labels},
      {npy("|u1", "4294967296, 4294967296, 4294967296", pixels), labels},
      {npy("|u1", "-1, 13, 14", pixels), labels},
      {npy("|u1", "0, 13, 14", ""), npy("|u1", "0,", "")},
      {npy("<f8", "2, 13, 14", pixels), labels},
      {"", labels},
      {npy("|u1", "2, 13, 14", pixels), ""},
      {npy("|u1", "2, 13, 14", pixels), npy("|u1", "3,", "abc")},
      {npy("|u1", "2, 13, 14", pixels), npy("|i1", "2,", std::string("\0\xff", 2))}};
  for (std::size_t i = 0; i < broken.size(); ++i) {
    SCOPED_TRACE("npy " + std::to_string(i));
    expect_error(eval(set(broken[i].first, broken[i].second)), Category::kData);
  }
}

}  // namespace
}  // namespace eqo::e2e
