#pragma once
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "eqo/net/tls_transport.h"

namespace eqo::testing {

struct CertificateSpec {
  std::string name = "test party";                         // common name
  std::vector<std::string> dns, ips;                       // subjectAltName
  std::chrono::seconds valid_from{-3600}, valid_to{3600};  // from now
  bool self_signed = false;
};

// A certification authority for one test, in a new folder that is removed with it. Keys are P-256.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name = "test authority");
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  std::string ca_file() const { return folder_ / "ca.pem"; }
  // Writes STEM.pem and STEM.key into the folder; what comes back trusts this authority.
  TlsConfig issue(const std::string& stem, const CertificateSpec& spec) const;
  // A server for localhost, 127.0.0.1 and ::1, and a client.
  TlsConfig server() const;
  TlsConfig client() const;

 private:
  struct Keys;
  std::filesystem::path folder_;
  std::unique_ptr<Keys> ca_;
};

}  // namespace eqo::testing
