#include "eqo/net/handshake.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <string>
#include <type_traits>

#include "eqo/core/error.h"
#include "eqo/core/party.h"
#include "eqo/crypto/sha256.h"

namespace eqo {
namespace {

// --- The wire format: fixed sizes, little-endian words ---

constexpr std::array<std::uint8_t, 8> kMagic{0x89, 'E', 'Q', 'O', '\r', '\n', 0x1a, '\n'};
constexpr std::size_t kGreetingBytes = 16;  // magic 8, major 2, minor 2, role 1, zero 3
constexpr std::size_t kClientHelloBytes = 40;
constexpr std::size_t kServerHelloBytes = 112;
constexpr std::size_t kPlanStep = std::size_t{1} << 14;

struct ClientHello {
  Nonce nonce{};
  std::uint32_t policy = 0;
  std::uint32_t zero = 0;
};

struct ServerHello {
  std::uint32_t status = 0;  // 0, or a Refusal with everything else 0
  std::uint32_t policy = 0;
  Nonce nonce{};
  Digest model_digest{}, plan_digest{};
  std::uint32_t plan_bytes = 0, params_bytes = 0;
};

// Calls f on each field, in wire order.
template <typename H, typename F>
void each_field(H& h, F f) {
  if constexpr (std::is_same_v<std::remove_const_t<H>, ClientHello>) {
    f(h.nonce), f(h.policy), f(h.zero);
  } else {
    f(h.status), f(h.policy), f(h.nonce), f(h.model_digest), f(h.plan_digest), f(h.plan_bytes), f(h.params_bytes);
  }
}

template <std::size_t N, typename H>
std::array<std::byte, N> encode(const H& hello) {
  std::array<std::byte, N> out{};
  auto* p = out.begin();
  each_field(hello, [&](const auto& field) {
    if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(field)>>) {
      for (unsigned i = 0; i < sizeof field; ++i) *p++ = static_cast<std::byte>(field >> (8 * i));
    } else {
      p = std::copy(field.begin(), field.end(), p);
    }
  });
  return out;
}

template <typename H, std::size_t N>
H decode(const std::array<std::byte, N>& in) {
  H hello;
  const auto* p = in.begin();
  each_field(hello, [&](auto& field) {
    if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(field)>>) {
      for (unsigned i = 0; i < sizeof field; ++i) field |= static_cast<std::uint32_t>(*p++) << (8 * i);
    } else {
      std::copy_n(p, field.size(), field.begin());
      p += field.size();
    }
  });
  return hello;
}

using Greeting = std::array<std::byte, kGreetingBytes>;

Greeting greeting_of(Party role) {
  Greeting g{};
  std::transform(kMagic.begin(), kMagic.end(), g.begin(), [](std::uint8_t b) { return std::byte{b}; });
  const std::array<std::uint16_t, 2> words{kProtocolVersion.major, kProtocolVersion.minor};
  for (std::size_t i = 0; i < 4; ++i) g[8 + i] = static_cast<std::byte>(words[i / 2] >> (8 * (i % 2)));
  g[12] = static_cast<std::byte>(role);
  return g;
}

std::string version_text(std::uint16_t major, std::uint16_t minor) {
  return std::to_string(major) + "." + std::to_string(minor);
}

void check_greeting(const Greeting& g, Party me) {
  const Greeting ours = greeting_of(me), expected = greeting_of(other(me));
  if (!std::equal(g.begin(), g.begin() + 8, expected.begin()))
    throw protocol_error("handshake: the other end does not speak this program's protocol",
                         "check the address and port, and that both sides use TLS or both don't");
  const auto word = [&](std::size_t at) {
    return static_cast<std::uint16_t>(static_cast<unsigned>(g[at]) | static_cast<unsigned>(g[at + 1]) << 8);
  };
  const ProtocolVersion theirs{word(8), word(10)};
  if (!(theirs == kProtocolVersion)) {
    const bool newer = theirs.major != kProtocolVersion.major ? theirs.major > kProtocolVersion.major
                                                              : theirs.minor > kProtocolVersion.minor;
    throw protocol_error(
        "handshake: the " + std::string(party_name(other(me))) + " speaks protocol version " +
            version_text(theirs.major, theirs.minor) + ", this program " +
            version_text(kProtocolVersion.major, kProtocolVersion.minor),
        newer ? "update this side: both need the same version" : "update the other side: both need the same version");
  }
  if (g == ours)
    throw protocol_error("handshake: both parties say they are the " + std::string(party_name(me)),
                         "run one side as the server and one as the client");
  if (g != expected) throw protocol_error("handshake: malformed greeting");
}

// --- What both parties do ---

struct Transcript {
  Greeting server_greeting = greeting_of(Party::kServer), client_greeting = greeting_of(Party::kClient);
  std::array<std::byte, kClientHelloBytes> client_hello{};
  std::array<std::byte, kServerHelloBytes> server_hello{};  // holds the plan's digest and length
  Digest params_digest{};

  // Digests for three purposes, each under a name of its own. Every part but the last has a fixed size.
  Digest digest(std::string_view purpose, std::span<const std::byte> binding) const {
    const Digest all = Sha256()
                           .add(server_greeting)
                           .add(client_greeting)
                           .add(client_hello)
                           .add(server_hello)
                           .add(params_digest)
                           .add(binding)
                           .digest();
    return Sha256().add(purpose).add(all).digest();
  }
};
constexpr std::string_view kServerConfirms = "eqo server confirms";
constexpr std::string_view kClientConfirms = "eqo client confirms";
constexpr std::string_view kSessionId = "eqo session";

template <std::size_t N>
std::array<std::byte, N> read_array(Transport& t) {
  std::array<std::byte, N> a;
  t.read(a);
  return a;
}

void check_confirmation(Transport& t, const Digest& expected) {
  const auto got = read_array<32>(t);
  if (CRYPTO_memcmp(got.data(), expected.data(), expected.size()) != 0)
    throw protocol_error("handshake: the parties do not agree on the session",
                         "the connection may be relayed or tampered with; connect directly");
}

[[noreturn]] void throw_refusal(std::uint32_t status) {
  switch (static_cast<Refusal>(status)) {
    case Refusal::kBusy:
      throw resource_error("the server is busy: it has as many sessions as it allows", "try again later");
    case Refusal::kDraining:
      throw resource_error("the server is shutting down and takes no new session", "try again later");
    case Refusal::kPolicy:
      throw policy_error("the server's owner does not reveal what was asked for", "ask for the label only");
    case Refusal::kBudget:
      throw policy_error("this client has used up the queries that the server's owner allows", "ask the owner");
  }
  throw protocol_error("handshake: the server refuses with an unknown reason " + std::to_string(status));
}

void receive_plan(Transport& t, const ServerHello& hello, PublicBytes& plan) {
  // Memory grows with what has really come.
  std::array<std::byte, kPlanStep> step;
  for (std::size_t left = hello.plan_bytes; left > 0;) {
    const auto part = std::span(step).first(std::min(step.size(), left));
    t.read(part);
    plan.insert(plan.end(), part.begin(), part.end());
    left -= part.size();
  }
  if (sha256(plan) != hello.plan_digest) throw protocol_error("handshake: the plan does not match its digest");
}

void check_server_hello(const ServerHello& hello, const std::array<std::byte, kServerHelloBytes>& raw,
                        const ClientRequest& request) {
  if (hello.status != 0) {
    if (raw != encode<kServerHelloBytes>(ServerHello{hello.status}))
      throw protocol_error("handshake: malformed refusal");
    throw_refusal(hello.status);
  }
  if (hello.plan_bytes == 0 || hello.plan_bytes > kMaxPlanBytes || hello.params_bytes > kMaxParamsBytes)
    throw protocol_error("handshake: the server announces a plan of " + std::to_string(hello.plan_bytes) +
                         " bytes and parameters of " + std::to_string(hello.params_bytes));
  if ((request.policy & ~hello.policy) != 0)
    throw policy_error("the server's owner does not reveal what was asked for", "ask for the label only");
  if (hello.plan_bytes > request.max_plan_bytes)
    throw resource_error("the server's plan of " + std::to_string(hello.plan_bytes) + " bytes is over the limit",
                         "raise the limit if you trust the server");
  if (request.pinned_model_digest && *request.pinned_model_digest != hello.model_digest)
    throw tls_error("handshake: the server's model is not the pinned one",
                    "check the server, or pin the digest of the model it should serve");
}

}  // namespace

HandshakeResult server_handshake(Transport& t, const ServerOffer& offer, const Nonce& nonce) {
  if (offer.plan.empty() || offer.plan.size() > kMaxPlanBytes || offer.params.size() > kMaxParamsBytes)
    throw resource_error("the plan or the session parameters are too large to send", "use a smaller model");
  Transcript transcript;
  t.write(transcript.server_greeting);
  transcript.client_greeting = read_array<kGreetingBytes>(t);
  check_greeting(transcript.client_greeting, Party::kServer);
  transcript.client_hello = read_array<kClientHelloBytes>(t);
  const auto client = decode<ClientHello>(transcript.client_hello);
  if (client.zero != 0) throw protocol_error("handshake: malformed hello from the client");
  if ((client.policy & ~offer.policy) != 0) {
    t.write(encode<kServerHelloBytes>(ServerHello{static_cast<std::uint32_t>(Refusal::kPolicy)}));
    try {
      t.finish();
    } catch (const Error&) {  // told or not, this client gets nothing
    }
    throw policy_error("the client asks for more than the policy reveals", "the client must ask for the label only");
  }

  ServerHello hello;
  hello.policy = offer.policy;
  hello.nonce = nonce;
  hello.model_digest = offer.model_digest;
  hello.plan_digest = sha256(offer.plan);
  hello.plan_bytes = static_cast<std::uint32_t>(offer.plan.size());
  hello.params_bytes = static_cast<std::uint32_t>(offer.params.size());
  transcript.server_hello = encode<kServerHelloBytes>(hello);
  transcript.params_digest = sha256(offer.params);
  const Bytes binding = t.channel_binding();
  t.write(transcript.server_hello);
  t.write(offer.plan);
  t.write(offer.params);
  t.write(transcript.digest(kServerConfirms, binding));
  check_confirmation(t, transcript.digest(kClientConfirms, binding));
  return {transcript.digest(kSessionId, binding), client.policy, offer.model_digest, {}, {}};
}

HandshakeResult client_handshake(Transport& t, const ClientRequest& request, const Nonce& nonce) {
  Transcript transcript;
  transcript.client_hello = encode<kClientHelloBytes>(ClientHello{nonce, request.policy, 0});
  t.write(transcript.client_greeting);
  t.write(transcript.client_hello);
  transcript.server_greeting = read_array<kGreetingBytes>(t);
  check_greeting(transcript.server_greeting, Party::kClient);
  transcript.server_hello = read_array<kServerHelloBytes>(t);
  const auto hello = decode<ServerHello>(transcript.server_hello);
  check_server_hello(hello, transcript.server_hello, request);

  HandshakeResult result;
  receive_plan(t, hello, result.plan);
  result.params.resize(hello.params_bytes);
  t.read(result.params);
  transcript.params_digest = sha256(result.params);
  const Bytes binding = t.channel_binding();
  check_confirmation(t, transcript.digest(kServerConfirms, binding));
  t.write(transcript.digest(kClientConfirms, binding));
  result.session_id = transcript.digest(kSessionId, binding);
  result.policy = request.policy;
  result.model_digest = hello.model_digest;
  return result;
}

void refuse(Transport& t, Refusal reason) noexcept {
  try {
    t.write(greeting_of(Party::kServer));
    t.write(encode<kServerHelloBytes>(ServerHello{static_cast<std::uint32_t>(reason)}));
    // Its greeting must be read, or the client may never see ours.
    read_array<kGreetingBytes + kClientHelloBytes>(t);
    t.finish();
  } catch (const std::exception&) {
    t.close();
  }
}

std::array<std::uint64_t, 2> handshake_bytes(std::uint64_t plan_bytes, std::uint64_t params_bytes) {
  return {kGreetingBytes + kServerHelloBytes + plan_bytes + params_bytes + sizeof(Digest),
          kGreetingBytes + kClientHelloBytes + sizeof(Digest)};
}

}  // namespace eqo
