#include <openssl/err.h>
#include <openssl/ssl.h>

#include <system_error>

#include "eqo/core/error.h"
#include "eqo/net/tls_errors.h"
#include "eqo/net/tls_transport.h"

namespace eqo {
namespace {

// Never asks a terminal for a passphrase.
int no_passphrase(char*, int, int, void*) { return -1; }

void require(bool ok, const std::string& what, const std::string& hint) {
  if (!ok) throw tls_error(what + ": " + openssl_reason(), hint);
}

void load_identity(SSL_CTX* ctx, const TlsConfig& c) {
  if (c.cert_file.empty() || c.key_file.empty() || c.ca_file.empty())
    throw usage_error("TLS needs a certificate, its key and the CA of the other party",
                      "give all three files, or use plain TCP on loopback");
  require(SSL_CTX_use_certificate_chain_file(ctx, c.cert_file.c_str()) == 1,
          "cannot load the certificate " + c.cert_file, "give a PEM file");
  require(SSL_CTX_use_PrivateKey_file(ctx, c.key_file.c_str(), SSL_FILETYPE_PEM) == 1,
          "cannot load the private key " + c.key_file, "give the certificate's own key, as PEM without a passphrase");
  require(SSL_CTX_check_private_key(ctx) == 1, "the key " + c.key_file + " does not belong to " + c.cert_file,
          "give the certificate's own key");
  require(SSL_CTX_load_verify_locations(ctx, c.ca_file.c_str(), nullptr) == 1, "cannot load the CA " + c.ca_file,
          "give a PEM file with the CA's certificate");
}

}  // namespace

TlsContext::TlsContext(const TlsConfig& config, bool is_server)
    : context_(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()), &SSL_CTX_free),
      config_(std::make_shared<const TlsConfig>(config)) {
  ERR_clear_error();
  SSL_CTX* ctx = context_.get();
  require(ctx != nullptr, "cannot set up TLS", "check the OpenSSL installation");
  const bool set = SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
                   SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
                   SSL_CTX_set_ciphersuites(
                       ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
                   SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1 && SSL_CTX_set_num_tickets(ctx, 0) == 1;
  require(set, "cannot set up TLS 1.3", "check the OpenSSL installation");
  SSL_CTX_set_security_level(ctx, 2);
  SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(ctx, 1);
  SSL_CTX_set_default_read_buffer_len(ctx, std::size_t{1} << 16);
  SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_verify_depth(ctx, 8);
  load_identity(ctx, config);
}

TlsContext TlsContext::server(const TlsConfig& config) { return {config, true}; }
TlsContext TlsContext::client(const TlsConfig& config) { return {config, false}; }

}  // namespace eqo
