#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace eqo {

// What went wrong, in the terms a user can act on. The values are the executable's exit codes.
enum class Category : int {
  kInternal = 1,      // a bug of ours
  kUsage = 2,         // the call or the flags: fix the call
  kModel = 3,         // a model file (ONNX or .eqo)
  kData = 4,          // an image, a data set
  kConnection = 5,    // socket: refused, closed, timed out
  kTls = 6,           // certificates, authentication
  kProtocol = 7,      // the other party sent something it must not
  kPolicy = 8,        // refused by the owner's policy
  kResource = 9,      // memory, disk, sessions
  kVerification = 10  // private result and twin differ
};

constexpr const char* category_name(Category c) {
  switch (c) {
    case Category::kInternal:
      return "internal";
    case Category::kUsage:
      return "usage";
    case Category::kModel:
      return "model";
    case Category::kData:
      return "data";
    case Category::kConnection:
      return "connection";
    case Category::kTls:
      return "tls";
    case Category::kProtocol:
      return "protocol";
    case Category::kPolicy:
      return "policy";
    case Category::kResource:
      return "resource";
    case Category::kVerification:
      return "verification";
  }
  return "internal";
}

// Every exception this project throws on purpose. `message` says what and where, `hint` what to do; neither ever
// holds a share, a seed, a key, a weight or a pixel.
class Error : public std::runtime_error {
 public:
  Error(Category category, const std::string& message, std::string hint = {})
      : std::runtime_error(message), category_(category), hint_(std::move(hint)) {}
  Category category() const noexcept { return category_; }
  const std::string& hint() const noexcept { return hint_; }

 private:
  Category category_;
  std::string hint_;
};

inline Error internal_error(const std::string& m) { return {Category::kInternal, m, "please report this"}; }
inline Error usage_error(const std::string& m, std::string hint = {}) { return {Category::kUsage, m, std::move(hint)}; }
inline Error model_error(const std::string& m, std::string hint = {}) { return {Category::kModel, m, std::move(hint)}; }
inline Error data_error(const std::string& m, std::string hint = {}) { return {Category::kData, m, std::move(hint)}; }
inline Error connection_error(const std::string& m, std::string hint = {}) {
  return {Category::kConnection, m, std::move(hint)};
}
inline Error tls_error(const std::string& m, std::string hint = {}) { return {Category::kTls, m, std::move(hint)}; }
inline Error protocol_error(const std::string& m, std::string hint = {}) {
  return {Category::kProtocol, m, std::move(hint)};
}
inline Error policy_error(const std::string& m, std::string hint = {}) {
  return {Category::kPolicy, m, std::move(hint)};
}
inline Error resource_error(const std::string& m, std::string hint = {}) {
  return {Category::kResource, m, std::move(hint)};
}

}  // namespace eqo
