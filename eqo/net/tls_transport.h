#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "eqo/net/socket.h"
#include "eqo/net/socket_transport.h"

struct ssl_ctx_st;  // OpenSSL

namespace eqo {

// Who we are and whom we trust. Files are PEM; keys have no passphrase. A file may be a certificate chain, leaf first.
struct TlsConfig {
  std::string cert_file, key_file;  // our certificate
  std::string ca_file;      // the peer's certificate must lead to one of these; the system's CAs are not trusted
  std::string server_name;  // client only: the name or IP address in the server's certificate; default: the host
  std::chrono::milliseconds handshake_deadline{10'000};  // for the handshake as a whole
};

// A loaded TlsConfig; cheap to copy, usable by several threads. TLS 1.3 only, both parties show a certificate, no
// session tickets or early data. Loading throws tls_error that names the file.
class TlsContext {
 public:
  static TlsContext server(const TlsConfig& config);
  static TlsContext client(const TlsConfig& config);
  ssl_ctx_st* get() const { return context_.get(); }
  const TlsConfig& config() const { return *config_; }

 private:
  TlsContext(const TlsConfig& config, bool is_server);
  std::shared_ptr<ssl_ctx_st> context_;
  std::shared_ptr<const TlsConfig> config_;
};

// Public, for logs.
struct PeerCertificate {
  std::string subject;      // RFC 2253, printable ASCII
  std::string fingerprint;  // SHA-256 of the certificate in hex
};

// An authenticated connection. A peer that refuses our certificate shows at the first read() as a tls_error, because a
// TLS 1.3 client has finished its handshake by then.
class TlsTransport final : public SocketTransport {
 public:
  TlsTransport(std::unique_ptr<SocketStream> stream, const SocketLimits& limits, PeerCertificate peer, Bytes binding);
  const PeerCertificate& peer() const { return peer_; }
  // 32 bytes of the TLS exporter "EXPORTER-Channel-Binding" (RFC 9266).
  Bytes channel_binding() override { return binding_; }

 private:
  PeerCertificate peer_;
  Bytes binding_;
};

// Both throw tls_error (category 6) if a certificate, a name or the TLS version is not acceptable to one of the
// parties, connection_error if the connection ends or the handshake exceeds its deadline.
std::unique_ptr<TlsTransport> tls_accept(const TlsContext& server, Socket socket, const SocketLimits& limits = {});
std::unique_ptr<TlsTransport> tls_connect(const TlsContext& client, const std::string& host, std::uint16_t port,
                                          std::chrono::milliseconds deadline, const SocketLimits& limits = {});
// The client's handshake on a connected socket. `server_name` as in TlsConfig, not empty.
std::unique_ptr<TlsTransport> tls_connect(const TlsContext& client, Socket socket, const std::string& server_name,
                                          const SocketLimits& limits = {});

}  // namespace eqo
