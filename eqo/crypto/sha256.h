#pragma once
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL

namespace eqo {

using Digest = std::array<std::byte, 32>;

// SHA-256 of public bytes (FIPS 180-4).
class Sha256 {
 public:
  Sha256();
  Sha256& add(std::span<const std::byte> data);
  Sha256& add(std::string_view text);
  // Once.
  Digest digest();

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

Digest sha256(std::span<const std::byte> data);

}  // namespace eqo
