#include <thread>

#include "e2e/support.h"

// Where the results go: full disks, closed streams, odd names.
namespace eqo::e2e {
namespace {

namespace fs = std::filesystem;

Words quantize(const std::string& output) {
  return {"quantize", fixture("mobile_10.onnx"), "--calib", images(), "-o", output};
}

std::size_t files_in(const Folder& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()));
}

TEST(Output, CannotBeWritten) {
  const Folder folder;
  for (const std::string& path : {folder / "absent/x.eqo", std::string("/dev/full/x.eqo"), folder.path().string()})
    expect_error(quantize(path), Category::kResource);
  expect_error({"zoo", "minionn", "-o", folder / "absent/x.onnx"}, Category::kResource, "absent");
  expect_error(
      {"serve", small_model(folder), "--listen", "127.0.0.1:0", "--insecure", "--port-file", folder / "absent/port"},
      Category::kResource, "absent", {});
}

TEST(Output, AFullDiskKeepsTheOldFile) {
  const Folder folder;
  const std::string model = small_model(folder), old = read_file(model);
  ASSERT_GT(old.size(), 1024U);
  const std::size_t files = files_in(folder);
  expect_error(quantize(model) + Words{"--weights", "3"}, Category::kResource, model, {.file_blocks = 1});
  EXPECT_EQ(read_file(model), old);
  const std::string onnx = folder / "z.onnx";
  write_file(onnx, "old");
  expect_error({"zoo", "minionn", "-o", onnx}, Category::kResource, onnx, {.file_blocks = 1});
  EXPECT_EQ(read_file(onnx), "old");
  EXPECT_EQ(files_in(folder), files + 1) << "a temporary file is left behind";
}

// The program starts in this much address space, but ResNet-20's keys and tensors do not fit.
TEST(Output, AnAllocationThatFails) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's shadow memory needs more address space than the limit";
#endif
  const std::string model = fixture("../../models/resnet20-cifar10-w4a6.eqo");
  expect_error({"local", model, "--data", images(), "--index", "0"}, Category::kResource, "out of memory",
               {.memory_kib = 60'000});
}

TEST(Output, StandardOutputIsFullOrClosed) {
  const Folder folder;
  const std::string model = small_model(folder);
  const Words local{"local", model, "--data", images(), "--index", "0"};
  for (const Words& command :
       {Words{"plan", model}, local, quantize(folder / "q.eqo"), Words{"check", fixture("mobile_10.onnx")},
        Words{"completion", "bash"}, Words{"inspect", model}})
    for (const bool json : {false, true}) {
      SCOPED_TRACE(command.front() + (json ? " --json" : ""));
      const Words all = json ? command + Words{"--json"} : command;
      check_error(run_eqo(all, {.stdout_file = "/dev/full"}), false, Category::kResource, "standard output");
      check_error(run_eqo(all, {.close_stdout = true}), false, Category::kResource, "standard output");
    }
  // An error is still one line on standard error, and the model that was written is whole.
  check_error(run_eqo({"plan", "absent.eqo", "--json"}, {.close_stdout = true}), false, Category::kModel, "absent");
  EXPECT_EQ(run_eqo({"inspect", folder / "q.eqo"}).code, 0);
}

// Whatever opens next must not get the number of a closed stream: messages would go into a socket.
TEST(Output, StandardErrorIsClosed) {
  const Folder folder;
  const std::string model = small_model(folder);
  Process server({EQO_PROGRAM, "serve", model, "--listen", "127.0.0.1:0", "--insecure", "--port-file", folder / "port"},
                 {.close_stdout = true, .close_stderr = true});
  for (int i = 0; i < 2000 && !fs::exists(folder / "port"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::string port = read_file(folder / "port");
  ASSERT_FALSE(port.empty());
  port.pop_back();
  const Words infer{"infer", "--data", images(), "--index", "0,1", "--server", "127.0.0.1:" + port, "--insecure"};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(run_json(infer)["images"].size(), 2U);
  EXPECT_EQ(run_eqo(infer, {.close_stderr = true}).code, 0);
  EXPECT_EQ(run_eqo({"plan", "absent.eqo"}, {.close_stdout = true, .close_stderr = true}).code, 3);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(std::chrono::seconds(10)).code, 0);
}

TEST(Output, OddNames) {
  const Folder folder;
  const std::string odd = folder / "m\xff\xfe \n\x1b[31m'\"$(x).eqo";
  ASSERT_EQ(run_eqo(quantize(odd)).code, 0);
  EXPECT_GT(run_json({"inspect", odd})["steps"].size(), 10U);
  EXPECT_EQ(run_json({"local", odd, "--data", images(), "--index", "0"})["images"].size(), 1U);
  fs::remove(odd);
  const Ended ended = run_eqo({"inspect", odd, "--json"});
  check_error(ended, true, Category::kModel, "");
  EXPECT_EQ(ended.err.find('\x1b'), std::string::npos) << "a control character reaches the terminal";
  expect_error({"local", small_model(folder), folder / "\xc3\x28.png"}, Category::kData);
  expect_error({std::string("no\xffsuch")}, Category::kUsage);
  expect_error({""}, Category::kUsage);
  expect_error({"plan", ""}, Category::kModel);
}

TEST(Output, QuietAndRelativePaths) {
  const Folder folder;
  const std::string model = small_model(folder);
  const Ended ended = run_eqo({"plan", "small.eqo", "--quiet"}, {.working_directory = folder.path()});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.err, "");
  Process server({EQO_PROGRAM, "serve", model, "--listen", "127.0.0.1:0", "--insecure", "--quiet", "--port-file",
                  folder / "port"});
  for (int i = 0; i < 2000 && !fs::exists(folder / "port"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  server.signal(SIGTERM);
  const Ended served = server.wait();
  EXPECT_EQ(served.code, 0);
  EXPECT_EQ(served.err, "");
}

}  // namespace
}  // namespace eqo::e2e
