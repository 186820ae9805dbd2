#include "e2e/support.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace eqo::e2e {

namespace fs = std::filesystem;

Folder::Folder() {
  std::string name = fs::temp_directory_path() / "eqo-e2e-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder: " + name);
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string fixture(const std::string& name) { return std::string(EQO_FIXTURES) + "/" + name; }

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream all;
  all << file.rdbuf();
  return all.str();
}

void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

std::string images() { return "cifar10:" + fixture("synthetic_cifar10_layout.bin"); }

std::string npy(const std::string& type, const std::string& shape, const std::string& data,
                const std::string& fortran) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': (" + shape + "), }";
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  return std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(header.size() & 0xff) +
         static_cast<char>(header.size() >> 8) + header + data;
}

std::string small_model(const Folder& folder) {
  const std::string path = folder / "small.eqo";
  const Ended ended = run_eqo({"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", path});
  EXPECT_EQ(ended.code, 0) << ended.err;
  return path;
}

Ended run_eqo(const Words& arguments, const Process::Options& options) {
  Process process(Words{EQO_PROGRAM} + arguments, options);
  return process.wait();
}

nlohmann::json run_json(const Words& arguments, const Process::Options& options) {
  const Ended ended = run_eqo(arguments + Words{"--json"}, options);
  EXPECT_EQ(ended.code, 0) << arguments.front() << ": " << ended.err;
  EXPECT_EQ(ended.err, "") << arguments.front();
  nlohmann::json document = nlohmann::json::parse(ended.out, nullptr, false);
  EXPECT_TRUE(document.is_object()) << arguments.front() << " printed: " << ended.out;
  return document;
}

void check_error(const Ended& ended, bool json, Category category, const std::string& text) {
  EXPECT_EQ(ended.code, static_cast<int>(category)) << ended.err;
  EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << "not one line: " << ended.err;
  EXPECT_TRUE(ended.err.starts_with(std::string("eqo: ") + category_name(category) + ": ")) << ended.err;
  EXPECT_TRUE(ended.err.ends_with("\n")) << ended.err;
  EXPECT_NE(ended.err.find(text), std::string::npos) << "no '" << text << "' in: " << ended.err;
  if (!json) return;
  const nlohmann::json document = nlohmann::json::parse(ended.out, nullptr, false);
  ASSERT_TRUE(document.is_object() && document.contains("error")) << "printed: " << ended.out;
  const nlohmann::json& error = document["error"];
  ASSERT_TRUE(error.is_object()) << error;
  EXPECT_EQ(error.value("code", -1), static_cast<int>(category));
  EXPECT_EQ(error.value("category", ""), category_name(category));
  EXPECT_FALSE(error.value("message", "").empty()) << error;
  EXPECT_TRUE(error.contains("hint") && error["hint"].is_string()) << error;
}

void expect_error(const Words& arguments, Category category, const std::string& text, const Process::Options& options) {
  std::string line;
  for (const std::string& a : arguments) line += " " + a;
  SCOPED_TRACE("eqo" + line);
  const Ended plain = run_eqo(arguments, options);
  check_error(plain, false, category, text);
  if (arguments.empty() || arguments.front() != "check") {
    EXPECT_EQ(plain.out, "");
  }
  check_error(run_eqo(arguments + Words{"--json"}, options), true, category, text);
}

Server::Server(const Folder& folder, const std::string& model, const Words& flags, const std::string& host)
    : host_(host) {
  static std::atomic<int> count = 0;
  const std::string port_file = folder / ("port" + std::to_string(++count));
  process_ = std::make_unique<Process>(
      Words{EQO_PROGRAM, "serve", model, "--listen", host + ":0", "--port-file", port_file} + flags);
  for (int i = 0; i < 4000 && !fs::exists(port_file) && process_->running(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::ifstream(port_file) >> port_;
  EXPECT_NE(port_, 0) << "the server did not start: " << process_->err();
}

std::string Server::stop(std::chrono::milliseconds limit) {
  process_->signal(SIGTERM);
  const Ended ended = process_->wait(limit);
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.out, "");
  return ended.err;
}

Words infer_arguments(const Server& server, const Words& more) {
  return Words{"infer", "--data", images(), "--index", "0", "--server", server.address()} + more;
}

void expect_served(const Server& server, const Words& flags) {
  const nlohmann::json document = run_json(infer_arguments(server, flags));
  ASSERT_TRUE(document.contains("images")) << document;
  EXPECT_EQ(document["images"].size(), 1U);
}

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace eqo::e2e
