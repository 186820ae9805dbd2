#include "e2e/support.h"
#include "eqo/net/testing/certificates.h"

// Two processes over mutual TLS 1.3: who may talk to whom. After each refusal the server serves the next client.
namespace eqo::e2e {
namespace {

using eqo::testing::CertificateSpec;
using eqo::testing::TestAuthority;
using nlohmann::json;

Words client_flags(const TlsConfig& c) { return {"--ca", c.ca_file, "--cert", c.cert_file, "--key", c.key_file}; }
Words server_flags(const TlsConfig& c) {
  return {"--client-ca", c.ca_file, "--cert", c.cert_file, "--key", c.key_file};
}

class Tls : public ::testing::Test {
 protected:
  Folder folder_;
  TestAuthority authority_, stranger_{"another authority"};
  std::string model_ = small_model(folder_);
  Words good_ = client_flags(authority_.client());
};

TEST_F(Tls, SeveralImages) {
  Server server(folder_, model_, server_flags(authority_.server()));
  const json document = run_json(
      Words{"infer", "--data", images(), "--index", "0-3", "--server", server.address(), "--verify", model_} + good_);
  ASSERT_EQ(document["images"].size(), 4U);
  for (const json& image : document["images"]) EXPECT_EQ(image["verified"], true);
  // TLS does not change what is counted.
  const json plan = run_json({"plan", model_});
  EXPECT_EQ(document["communication"]["total_bytes"], plan["communication"]["total_bytes"]);
  const std::string log = server.stop();
  EXPECT_NE(log.find("CN=test client"), std::string::npos) << log;
}

TEST_F(Tls, TheClientRefusesTheServer) {
  Server server(folder_, model_, server_flags(authority_.server()));
  Words wrong_ca = good_;
  wrong_ca[1] = stranger_.ca_file();
  expect_error(infer_arguments(server, wrong_ca), Category::kTls);
  expect_error(infer_arguments(server, good_ + Words{"--server-name", "elsewhere.example"}), Category::kTls);
  expect_served(server, good_);
  expect_served(server, good_ + Words{"--server-name", "localhost"});
  server.stop();
}

TEST_F(Tls, TheNameIsTheAddress) {
  CertificateSpec spec;
  spec.dns = {"named.example"};
  Server server(folder_, model_, server_flags(authority_.issue("named", spec)));
  expect_error(infer_arguments(server, good_), Category::kTls);
  expect_served(server, good_ + Words{"--server-name", "named.example"});
  server.stop();
}

TEST_F(Tls, TheServersCertificateIsOutOfDate) {
  const auto hours = [](int h) { return std::chrono::seconds(3600 * h); };
  CertificateSpec spec;
  spec.ips = {"127.0.0.1"};
  spec.valid_from = hours(-2), spec.valid_to = hours(-1);
  Server expired(folder_, model_, server_flags(authority_.issue("old", spec)));
  expect_error(infer_arguments(expired, good_), Category::kTls);
  expired.stop();
  spec.valid_from = hours(1), spec.valid_to = hours(2);
  Server early(folder_, model_, server_flags(authority_.issue("early", spec)));
  expect_error(infer_arguments(early, good_), Category::kTls);
  early.stop();
}

TEST_F(Tls, TheServerRefusesTheClient) {
  Server server(folder_, model_, server_flags(authority_.server()));
  TlsConfig foreign = stranger_.client();
  foreign.ca_file = authority_.ca_file();
  expect_error(infer_arguments(server, client_flags(foreign)), Category::kTls);
  CertificateSpec spec;
  spec.self_signed = true;
  TlsConfig self = authority_.issue("self", spec);
  self.ca_file = authority_.ca_file();
  expect_error(infer_arguments(server, client_flags(self)), Category::kTls);
  spec = {};
  spec.valid_from = std::chrono::hours(-2), spec.valid_to = std::chrono::hours(-1);
  expect_error(infer_arguments(server, client_flags(authority_.issue("old-client", spec))), Category::kTls);
  expect_served(server, good_);
  const std::string log = server.stop();
  EXPECT_EQ(log.find("internal"), std::string::npos) << log;
}

TEST_F(Tls, PlainAndTlsDoNotMix) {
  Server tls(folder_, model_, server_flags(authority_.server()) + Words{"--deadline", "2"});
  const Ended plain_client = run_eqo(infer_arguments(tls, {"--insecure", "--deadline", "3"}));
  EXPECT_TRUE(plain_client.code == 5 || plain_client.code == 7) << plain_client.code << plain_client.err;
  EXPECT_LT(plain_client.seconds, 20);
  expect_served(tls, good_);
  tls.stop();
  Server plain(folder_, model_, {"--insecure", "--deadline", "2"});
  const Ended tls_client = run_eqo(infer_arguments(plain, good_));
  EXPECT_TRUE(tls_client.code == 5 || tls_client.code == 6) << tls_client.code << tls_client.err;
  expect_served(plain);
  plain.stop();
}

TEST_F(Tls, FilesThatAreNoCertificates) {
  const Words flags = server_flags(authority_.server());
  write_file(folder_ / "text.pem", "not a certificate\n");
  for (const std::size_t at : {1U, 3U, 5U})
    for (const std::string& file : {folder_ / "absent.pem", folder_ / "text.pem"}) {
      Words broken = flags;
      broken[at] = file;
      expect_error(Words{"serve", model_, "--listen", "127.0.0.1:0"} + broken, Category::kTls, file);
      Words client = good_;
      client[at] = file;
      expect_error(Words{"infer", "--data", images(), "--index", "0", "--server", "127.0.0.1:1"} + client,
                   Category::kTls, file);
    }
  // A key that belongs to another certificate.
  Words mixed = flags;
  mixed[5] = authority_.client().key_file;
  expect_error(Words{"serve", model_, "--listen", "127.0.0.1:0"} + mixed, Category::kTls);
}

TEST_F(Tls, PinnedModel) {
  Server server(folder_, model_, server_flags(authority_.server()));
  const std::string digest = run_json({"inspect", model_})["model_digest"];
  expect_served(server, good_ + Words{"--pin", digest});
  std::string other = digest;
  other[0] = other[0] == '0' ? '1' : '0';
  expect_error(infer_arguments(server, good_ + Words{"--pin", other}), Category::kTls);
  server.stop();
}

}  // namespace
}  // namespace eqo::e2e
