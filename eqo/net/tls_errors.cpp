#include "eqo/net/tls_errors.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "eqo/net/socket.h"

namespace eqo {
namespace {

// Why we refuse the peer's certificate.
Error refused_certificate(long verdict, const std::string& where) {
  const std::string what = where + ": the peer's certificate is not accepted: ";
  switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return tls_error(what + "it has expired", "renew it, or set this machine's clock");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return tls_error(what + "it is not yet valid",
                       "set this machine's clock, or use a certificate that is valid now");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return tls_error(what + "it is for another name",
                       "connect by the name in its subjectAltName, or have one issued for this name");
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return tls_error(what + "it is self-signed", "use a certificate from the expected CA");
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return tls_error(what + "it was issued by another CA", "give the CA file that issued the peer's certificate");
    case X509_V_ERR_INVALID_PURPOSE:
      return tls_error(what + "it is for another purpose", "use one for TLS servers or clients, as the peer is");
    default:
      return tls_error(what + X509_verify_cert_error_string(verdict), "use another certificate");
  }
}

// What the peer's alert says about us; empty if this reason is not such an alert.
std::string peers_alert(int reason) {
  switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "the peer demands a certificate";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "the peer refuses our certificate: expired or not yet valid";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "the peer refuses our certificate: it does not trust the CA";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
      return "the peer refuses our certificate";
    default:
      return {};
  }
}

}  // namespace

std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  std::string text = "unknown reason";
  if (ERR_SYSTEM_ERROR(code)) {
    text = std::generic_category().message(ERR_GET_REASON(code));
  } else if (const char* reason = ERR_reason_error_string(code)) {
    text = reason;
  }
  ERR_clear_error();
  return text;
}

Error tls_failure(const SSL* ssl, int result, int error_number, const std::string& where) {
  // The last error of the TLS layer names the step; those before it are details of the layers below.
  int reason = 0;
  std::string text = "unknown reason";
  bool system_call = result == SSL_ERROR_SYSCALL;
  for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
    system_call |= ERR_SYSTEM_ERROR(code);
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) continue;
    reason = ERR_GET_REASON(code);
    if (const char* known = ERR_reason_error_string(code)) text = known;
  }
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING || (system_call && error_number == 0))
    return connection_error(where + ": the peer closed the connection", "see the other party's messages");
  if (system_call) return socket_error(where + ": the connection broke", error_number);
  if (const std::string alert = peers_alert(reason); !alert.empty())
    return tls_error(where + ": " + alert, "give --cert and --key of a certificate from the CA that the peer trusts");
  switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return refused_certificate(SSL_get_verify_result(ssl), where);
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return tls_error(where + ": the peer shows no certificate", "the client must give a certificate and its key");
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return tls_error(where + ": the peer speaks plain HTTP", "this port is for this program's own client over TLS");
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_WRONG_SSL_VERSION:
      return tls_error(where + ": the peer does not offer TLS 1.3", "both parties need TLS 1.3");
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_PACKET_LENGTH:
      return tls_error(where + ": what the peer sends is not TLS 1.3", "use TLS on both sides, or on neither");
    default:
      return tls_error(where + ": " + text, "both parties need TLS 1.3 and certificates from the expected CAs");
  }
}

}  // namespace eqo
