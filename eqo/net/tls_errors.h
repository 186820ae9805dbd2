#pragma once
#include <string>

#include "eqo/core/error.h"

struct ssl_st;  // OpenSSL

namespace eqo {

// The reason of the first error in this thread's OpenSSL queue, which is emptied. OpenSSL's own text, never the peer's.
std::string openssl_reason();

// What the failed OpenSSL call on `ssl` means: connection_error if the connection broke, tls_error otherwise.
// `result` is SSL_get_error()'s, `error_number` errno right after the call, `where` for example "TLS handshake".
Error tls_failure(const ssl_st* ssl, int result, int error_number, const std::string& where);

}  // namespace eqo
