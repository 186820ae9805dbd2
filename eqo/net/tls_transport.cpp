#include "eqo/net/tls_transport.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "eqo/net/endpoint.h"
#include "eqo/net/tls_bio.h"
#include "eqo/net/tls_errors.h"

namespace eqo {
namespace {

using Clock = std::chrono::steady_clock;
using SslPointer = std::unique_ptr<SSL, decltype(&SSL_free)>;

constexpr const char* kHandshake = "TLS handshake";

class TlsStream final : public SocketStream {
 public:
  TlsStream(Socket socket, SslPointer ssl) : socket_(std::move(socket)), ssl_(std::move(ssl)) {}
  int fd() const override { return socket_.fd(); }

  Outcome read_some(std::span<std::byte> out) override {
    prepare(broken_);
    std::size_t n = 0;
    const int r = SSL_read_ex(ssl_.get(), out.data(), out.size(), &n);
    return r == 1 ? Outcome{Status::kDone, n} : outcome(r, true);
  }
  Outcome write_some(std::span<const std::byte> data) override {
    prepare(broken_ || cannot_write_);
    std::size_t n = 0;
    const int r = SSL_write_ex(ssl_.get(), data.data(), data.size(), &n);
    return r == 1 ? Outcome{Status::kDone, n} : outcome(r, false);
  }
  Outcome end_writing() override {
    prepare(broken_ || cannot_write_);
    const int r = SSL_shutdown(ssl_.get());  // 0: our close_notify is out, the peer's is not here yet
    if (r < 0) return outcome(r, false);
    if (::shutdown(socket_.fd(), SHUT_WR) != 0) throw socket_error("TLS: the connection broke", errno);
    return {Status::kDone};
  }

 private:
  static void prepare(bool broken) {
    if (broken) throw connection_error("TLS: the connection broke");
    ERR_clear_error();
    errno = 0;
  }
  Outcome outcome(int r, bool reading) {
    const int error_number = errno, result = SSL_get_error(ssl_.get(), r);
    if (result == SSL_ERROR_WANT_READ) return {Status::kWantRead};
    if (result == SSL_ERROR_WANT_WRITE) return {Status::kWantWrite};
    if (result == SSL_ERROR_ZERO_RETURN && reading) return {Status::kEnd};
    // A socket that takes no more bytes may still hold the alert that says why. OpenSSL reports it as ZERO_RETURN once
    // the peer has ended its direction.
    const bool only_the_socket = !reading && (result == SSL_ERROR_SYSCALL || result == SSL_ERROR_ZERO_RETURN);
    (only_the_socket ? cannot_write_ : broken_) = true;
    if (only_the_socket) throw socket_error("TLS: the connection broke", error_number);
    throw tls_failure(ssl_.get(), result, error_number, "TLS");
  }

  Socket socket_;
  SslPointer ssl_;
  bool broken_ = false;  // after a fatal error OpenSSL must not be called again
  bool cannot_write_ = false;
};

// After a failed handshake: lets our alert reach the peer. Closing with its bytes unread would reset the connection,
// and the peer would never see why.
void linger(int fd, Clock::time_point until) noexcept {
  try {
    ::shutdown(fd, SHUT_WR);
    until = std::min(until, Clock::now() + std::chrono::seconds(1));
    std::array<std::byte, 4096> ignored;
    while (wait_for_socket(fd, POLLIN, until)) {
      const ssize_t n = ::recv(fd, ignored.data(), ignored.size(), 0);
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return;
      if (Clock::now() >= until) return;
    }
  } catch (const std::exception&) {  // the socket is closed next in any case
  }
}

void shake_hands(SSL* ssl, int fd, std::chrono::milliseconds deadline) {
  const auto until = Clock::now() + std::min(deadline, kLongestDeadline);
  for (;;) {
    ERR_clear_error();
    errno = 0;
    const int r = SSL_do_handshake(ssl);
    if (r == 1) return;
    const int error_number = errno, result = SSL_get_error(ssl, r);
    if (result != SSL_ERROR_WANT_READ && result != SSL_ERROR_WANT_WRITE) {
      const Error error = tls_failure(ssl, result, error_number, kHandshake);
      linger(fd, until);
      throw error;
    }
    // The limit is for the handshake as a whole: a peer that sends a byte now and then ends here, too.
    if (Clock::now() >= until || !wait_for_socket(fd, result == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until))
      throw connection_error(
          std::string(kHandshake) + ": not finished within " + std::to_string(deadline.count()) + " ms",
          "check that the other party speaks TLS and is reachable");
  }
}

PeerCertificate describe_peer(const SSL* ssl) {
  const std::unique_ptr<X509, decltype(&X509_free)> cert(SSL_get1_peer_certificate(ssl), &X509_free);
  if (!cert || SSL_get_verify_result(ssl) != X509_V_OK) throw tls_error("TLS handshake: the peer shows no certificate");
  PeerCertificate p;
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new(BIO_s_mem()), &BIO_free);
  if (text && X509_NAME_print_ex(text.get(), X509_get_subject_name(cert.get()), 0,
                                 XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_UTF8_CONVERT)) >= 0) {
    char* data = nullptr;
    const long n = BIO_get_mem_data(text.get(), &data);
    if (n > 0) p.subject.assign(data, static_cast<std::size_t>(std::min(n, 512L)));
  }
  for (char& c : p.subject)
    if (c < ' ' || c > '~') c = '?';
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(cert.get(), EVP_sha256(), digest.data(), &size) != 1)
    throw tls_error("TLS handshake: the peer's certificate cannot be hashed");
  constexpr std::string_view kHex = "0123456789abcdef";
  for (unsigned i = 0; i < size; ++i) {
    p.fingerprint += kHex[digest[i] >> 4];
    p.fingerprint += kHex[digest[i] & 15];
  }
  return p;
}

Bytes exporter(SSL* ssl) {
  constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  Bytes out(32);
  if (SSL_export_keying_material(ssl, reinterpret_cast<unsigned char*>(out.data()), out.size(), kLabel.data(),
                                 kLabel.size(), nullptr, 0, 1) != 1)
    throw tls_error("TLS handshake: no exporter: " + openssl_reason());
  return out;
}

SslPointer new_ssl(const TlsContext& context, int fd) {
  SslPointer ssl(SSL_new(context.get()), &SSL_free);
  BIO* bio = ssl ? new_socket_bio(fd) : nullptr;
  if (bio == nullptr) throw resource_error("TLS: out of memory");
  SSL_set_bio(ssl.get(), bio, bio);
  return ssl;
}

std::unique_ptr<TlsTransport> establish(const TlsContext& context, Socket socket, SslPointer ssl,
                                        const SocketLimits& limits) {
  shake_hands(ssl.get(), socket.fd(), context.config().handshake_deadline);
  PeerCertificate peer = describe_peer(ssl.get());
  Bytes binding = exporter(ssl.get());
  return std::make_unique<TlsTransport>(std::make_unique<TlsStream>(std::move(socket), std::move(ssl)), limits,
                                        std::move(peer), std::move(binding));
}

// The certificate must hold this name or address as a subjectAltName.
void expect_name(SSL* ssl, const std::string& name) {
  X509_VERIFY_PARAM* rules = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  const std::string bare = name.substr(0, name.find('%'));
  const bool set = is_ip_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(rules, bare.c_str()) == 1
                                       : X509_VERIFY_PARAM_set1_host(rules, name.c_str(), name.size()) == 1 &&
                                             SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
  if (name.empty() || !set) throw usage_error("not a server name that TLS can check", "give a host name or IP address");
}

}  // namespace

TlsTransport::TlsTransport(std::unique_ptr<SocketStream> stream, const SocketLimits& limits, PeerCertificate peer,
                           Bytes binding)
    : SocketTransport(std::move(stream), limits), peer_(std::move(peer)), binding_(std::move(binding)) {}

std::unique_ptr<TlsTransport> tls_accept(const TlsContext& server, Socket socket, const SocketLimits& limits) {
  SslPointer ssl = new_ssl(server, socket.fd());
  SSL_set_accept_state(ssl.get());
  return establish(server, std::move(socket), std::move(ssl), limits);
}

std::unique_ptr<TlsTransport> tls_connect(const TlsContext& client, Socket socket, const std::string& server_name,
                                          const SocketLimits& limits) {
  SslPointer ssl = new_ssl(client, socket.fd());
  SSL_set_connect_state(ssl.get());
  expect_name(ssl.get(), server_name);
  return establish(client, std::move(socket), std::move(ssl), limits);
}

std::unique_ptr<TlsTransport> tls_connect(const TlsContext& client, const std::string& host, std::uint16_t port,
                                          std::chrono::milliseconds deadline, const SocketLimits& limits) {
  const std::string& configured = client.config().server_name;
  return tls_connect(client, connect_socket(host, port, deadline), configured.empty() ? host : configured, limits);
}

}  // namespace eqo
