#pragma once

struct bio_st;  // OpenSSL

namespace eqo {

// A BIO on a non-blocking socket, which it does not own. Unlike OpenSSL's own it never raises SIGPIPE. Null if out of
// memory.
bio_st* new_socket_bio(int fd);

}  // namespace eqo
