#include "eqo/crypto/sha256.h"

#include <openssl/evp.h>

#include "eqo/core/error.h"

namespace eqo {

Sha256::Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
  if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
    throw internal_error("SHA-256 is not available");
}

Sha256& Sha256::add(std::span<const std::byte> data) {
  if (EVP_DigestUpdate(context_.get(), data.data(), data.size()) != 1) throw internal_error("SHA-256 failed");
  return *this;
}

Sha256& Sha256::add(std::string_view text) { return add(std::as_bytes(std::span(text))); }

Digest Sha256::digest() {
  Digest out;
  if (EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr) != 1)
    throw internal_error("SHA-256 failed");
  return out;
}

Digest sha256(std::span<const std::byte> data) { return Sha256().add(data).digest(); }

}  // namespace eqo
