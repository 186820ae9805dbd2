#include "eqo/net/tls_bio.h"

#include <openssl/bio.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>

namespace eqo {
namespace {

int fd_of(BIO* bio) { return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))); }

bool may_retry() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

int write_bio(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  const ssize_t n = ::send(fd_of(bio), data, size, MSG_NOSIGNAL);
  BIO_clear_retry_flags(bio);
  if (n < 0 && may_retry()) BIO_set_retry_write(bio);
  *written = n > 0 ? static_cast<std::size_t>(n) : 0;
  return n > 0 ? 1 : 0;
}

int read_bio(BIO* bio, char* data, std::size_t size, std::size_t* got) {
  const ssize_t n = ::recv(fd_of(bio), data, size, 0);
  BIO_clear_retry_flags(bio);
  if (n < 0 && may_retry()) BIO_set_retry_read(bio);
  if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  *got = n > 0 ? static_cast<std::size_t>(n) : 0;
  return n > 0 ? 1 : 0;
}

long control_bio(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return 0;
}

BIO_METHOD* make_method() {
  BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "eqo socket");
  if (m == nullptr) return nullptr;
  BIO_meth_set_write_ex(m, write_bio);
  BIO_meth_set_read_ex(m, read_bio);
  BIO_meth_set_ctrl(m, control_bio);
  return m;
}

}  // namespace

BIO* new_socket_bio(int fd) {
  static const std::unique_ptr<BIO_METHOD, decltype(&BIO_meth_free)> method(make_method(), &BIO_meth_free);
  BIO* bio = method ? BIO_new(method.get()) : nullptr;
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace eqo
