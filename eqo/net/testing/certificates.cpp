#include "eqo/net/testing/certificates.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <stdexcept>

namespace eqo::testing {
namespace {

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* p) const { Free(p); }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509, X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION, X509_EXTENSION_free>>;

void check(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL failed to make a test certificate");
}

void add_extension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  const Extension e(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  check(e && X509_add_ext(cert, e.get(), -1) == 1);
}

// Issued by (issuer, issuer_key), or by itself without them.
Certificate make_certificate(EVP_PKEY* key, const CertificateSpec& spec, X509* issuer, EVP_PKEY* issuer_key, bool ca) {
  Certificate c(X509_new());
  check(c && X509_set_version(c.get(), X509_VERSION_3) == 1 && X509_set_pubkey(c.get(), key) == 1);
  std::uint64_t serial = 0;
  check(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(c.get()), serial >> 1 | 1);
  X509_gmtime_adj(X509_getm_notBefore(c.get()), static_cast<long>(spec.valid_from.count()));
  X509_gmtime_adj(X509_getm_notAfter(c.get()), static_cast<long>(spec.valid_to.count()));
  X509_NAME* name = X509_get_subject_name(c.get());
  check(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(spec.name.c_str()),
                                   -1, -1, 0) == 1);
  check(X509_set_issuer_name(c.get(), issuer != nullptr ? X509_get_subject_name(issuer) : name) == 1);
  X509* signer = issuer != nullptr ? issuer : c.get();
  add_extension(c.get(), signer, NID_basic_constraints, ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (ca) add_extension(c.get(), signer, NID_key_usage, "critical,keyCertSign,cRLSign");
  std::string names;
  for (const std::string& n : spec.dns) names += (names.empty() ? "DNS:" : ",DNS:") + n;
  for (const std::string& n : spec.ips) names += (names.empty() ? "IP:" : ",IP:") + n;
  if (!names.empty()) add_extension(c.get(), signer, NID_subject_alt_name, names);
  check(X509_sign(c.get(), issuer_key != nullptr ? issuer_key : key, EVP_sha256()) > 0);
  return c;
}

template <typename F>
void write_pem(const std::filesystem::path& file, F write) {
  const std::unique_ptr<BIO, Freer<BIO, BIO_free_all>> out(BIO_new_file(file.c_str(), "w"));
  check(out && write(out.get()) == 1);
}

}  // namespace

struct TestAuthority::Keys {
  Key key;
  Certificate certificate;
};

TestAuthority::TestAuthority(const std::string& name) {
  std::string pattern = std::filesystem::temp_directory_path() / "eqo-test-XXXXXX";
  check(::mkdtemp(pattern.data()) != nullptr);
  folder_ = pattern;
  Key key(EVP_EC_gen("P-256"));
  check(key != nullptr);
  CertificateSpec spec;
  spec.name = name;
  Certificate certificate = make_certificate(key.get(), spec, nullptr, nullptr, true);
  write_pem(ca_file(), [&](BIO* b) { return PEM_write_bio_X509(b, certificate.get()); });
  ca_ = std::make_unique<Keys>(Keys{std::move(key), std::move(certificate)});
}

TestAuthority::~TestAuthority() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

TlsConfig TestAuthority::issue(const std::string& stem, const CertificateSpec& spec) const {
  const Key key(EVP_EC_gen("P-256"));
  check(key != nullptr);
  const Certificate c = spec.self_signed
                            ? make_certificate(key.get(), spec, nullptr, nullptr, false)
                            : make_certificate(key.get(), spec, ca_->certificate.get(), ca_->key.get(), false);
  TlsConfig config;
  config.cert_file = folder_ / (stem + ".pem");
  config.key_file = folder_ / (stem + ".key");
  config.ca_file = ca_file();
  write_pem(config.cert_file, [&](BIO* b) { return PEM_write_bio_X509(b, c.get()); });
  write_pem(config.key_file,
            [&](BIO* b) { return PEM_write_bio_PKCS8PrivateKey(b, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  return config;
}

TlsConfig TestAuthority::server() const {
  CertificateSpec spec;
  spec.name = "test server";
  spec.dns = {"localhost"};
  spec.ips = {"127.0.0.1", "::1"};
  return issue("server", spec);
}

TlsConfig TestAuthority::client() const {
  CertificateSpec spec;
  spec.name = "test client";
  return issue("client", spec);
}

}  // namespace eqo::testing
