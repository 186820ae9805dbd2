#include <atomic>
#include <thread>

#include "e2e/support.h"

// Processes that die, stop or come at the wrong time.
namespace eqo::e2e {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

// So slow that a session takes some seconds; its setup is over after one.
const Words kSlow{"--network", "3M,20ms"};

class Life : public ::testing::Test {
 protected:
  Folder folder_;
  std::string model_ = small_model(folder_);
};

std::unique_ptr<Process> start_infer(const Server& server, const Words& more = {}) {
  return std::make_unique<Process>(Words{EQO_PROGRAM} + infer_arguments(server, Words{"--insecure"} + more));
}

TEST_F(Life, TheClientIsKilled) {
  Server server(folder_, model_, Words{"--insecure"} + kSlow);
  for (const int after : {50, 400, 1200}) {
    auto client = start_infer(server, kSlow);
    std::this_thread::sleep_for(milliseconds(after));
    client->signal(SIGKILL);
    EXPECT_EQ(client->wait().code, -SIGKILL);
  }
  expect_served(server);
  const std::string log = server.stop();
  EXPECT_NE(log.find("connection: "), std::string::npos) << log;
  EXPECT_EQ(log.find("internal"), std::string::npos) << log;
}

TEST_F(Life, TheServerIsKilled) {
  for (const int after : {300, 1200}) {
    Server server(folder_, model_, Words{"--insecure"} + kSlow);
    auto client = start_infer(server, kSlow + Words{"--json"});
    std::this_thread::sleep_for(milliseconds(after));
    server.process().signal(SIGKILL);
    EXPECT_EQ(server.process().wait().code, -SIGKILL);
    const Ended ended = client->wait(seconds(20));
    check_error(ended, true, Category::kConnection, "");
    EXPECT_LT(ended.seconds, 10);
  }
}

TEST_F(Life, NobodyListens) {
  std::string address;
  {
    Server server(folder_, model_);
    address = server.address();
    server.stop();
  }
  expect_error({"infer", "--data", images(), "--index", "0", "--server", address, "--insecure"}, Category::kConnection,
               address);
  expect_error({"infer", "--data", images(), "--index", "0", "--server", "no-such-host.invalid:1", "--ca", "a",
                "--cert", "b", "--key", "c"},
               Category::kTls);
}

TEST_F(Life, AStoppedServerMeetsTheDeadline) {
  Server server(folder_, model_, Words{"--insecure"} + kSlow);
  auto client = start_infer(server, kSlow + Words{"--deadline", "0.5", "--json"});
  std::this_thread::sleep_for(milliseconds(900));
  server.process().signal(SIGSTOP);
  const Ended ended = client->wait(seconds(20));
  server.process().signal(SIGCONT);
  check_error(ended, true, Category::kConnection, "");
  EXPECT_LT(ended.seconds, 8);
  expect_served(server);
  server.stop();
}

TEST_F(Life, AStoppedClientMeetsTheDeadline) {
  Server server(folder_, model_, Words{"--insecure", "--deadline", "0.5", "--max-sessions", "1"} + kSlow);
  auto client = start_infer(server, kSlow);
  std::this_thread::sleep_for(milliseconds(900));
  client->signal(SIGSTOP);
  EXPECT_TRUE(server.process().wait_for("connection: ", seconds(10))) << server.process().err();
  expect_served(server);
  client->signal(SIGCONT);
  EXPECT_EQ(client->wait(seconds(20)).code, 5);
  server.stop();
}

TEST_F(Life, TermInMidSessionDrains) {
  Server server(folder_, model_, Words{"--insecure"} + kSlow);
  auto client = start_infer(server, kSlow + Words{"--json", "--verify", model_});
  std::this_thread::sleep_for(milliseconds(900));
  server.process().signal(SIGTERM);
  EXPECT_TRUE(server.process().wait_for("1 session", seconds(5))) << server.process().err();
  EXPECT_TRUE(client->running());
  const Ended ended = client->wait(seconds(30));
  EXPECT_EQ(ended.code, 0) << ended.err;
  const json document = json::parse(ended.out, nullptr, false);
  ASSERT_TRUE(document.is_object()) << ended.out;
  EXPECT_EQ(document["images"][0]["verified"], true);
  const Ended served = server.process().wait(seconds(10));
  EXPECT_EQ(served.code, 0) << served.err;
  EXPECT_NE(served.err.find("1 images, done"), std::string::npos) << served.err;
}

TEST_F(Life, DrainHasALimit) {
  Server server(folder_, model_, Words{"--insecure", "--drain", "0.2"} + kSlow);
  auto client = start_infer(server, kSlow + Words{"--json"});
  std::this_thread::sleep_for(milliseconds(900));
  server.stop(seconds(6));
  check_error(client->wait(seconds(10)), true, Category::kConnection, "");
}

TEST_F(Life, TermWithoutSessions) {
  for (int i = 0; i < 3; ++i) {
    Server server(folder_, model_);
    server.stop(seconds(5));
  }
}

TEST_F(Life, OneClientTooMany) {
  Server server(folder_, model_, Words{"--insecure", "--max-sessions", "2"} + kSlow);
  auto first = start_infer(server, kSlow + Words{"--json"}), second = start_infer(server, kSlow + Words{"--json"});
  std::this_thread::sleep_for(milliseconds(700));
  ASSERT_TRUE(first->running() && second->running());
  for (int i = 0; i < 2; ++i)
    check_error(run_eqo(infer_arguments(server, {"--insecure", "--json"})), true, Category::kResource, "busy");
  EXPECT_EQ(first->wait().code, 0);
  EXPECT_EQ(second->wait().code, 0);
  expect_served(server);
  server.stop();
}

TEST_F(Life, SeveralClientsAtOnce) {
  Server server(folder_, model_, {"--insecure", "--max-sessions", "8"});
  std::vector<std::unique_ptr<Process>> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(start_infer(server, {"--json", "--verify", model_}));
  for (auto& client : clients) {
    const Ended ended = client->wait();
    EXPECT_EQ(ended.code, 0) << ended.err;
  }
  server.stop();
}

TEST_F(Life, BudgetOfImages) {
  Server server(folder_, model_, {"--insecure", "--max-images", "2"});
  expect_error({"infer", "--data", images(), "--index", "0-3", "--server", server.address(), "--insecure"},
               Category::kPolicy);
  EXPECT_EQ(
      run_json({"infer", "--data", images(), "--index", "0,1", "--server", server.address(), "--insecure"})["images"]
          .size(),
      2U);
  server.stop();
}

TEST_F(Life, MemoryIsRefusedBeforehand) {
  expect_error({"serve", model_, "--listen", "127.0.0.1:0", "--insecure", "--max-memory", "1"}, Category::kResource);
  Server server(folder_, model_);
  expect_error(infer_arguments(server, {"--insecure", "--max-memory", "1"}), Category::kResource, "MiB");
  expect_served(server, {"--insecure", "--max-memory", "2000"});
  server.stop();
}

TEST_F(Life, ThePortIsTaken) {
  Server server(folder_, model_);
  expect_error({"serve", model_, "--listen", server.address(), "--insecure"}, Category::kConnection);
  server.stop();
}

}  // namespace
}  // namespace eqo::e2e
