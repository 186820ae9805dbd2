#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "eqo/core/error.h"
#include "eqo/model/testing/random_model.h"
#include "eqo/model/twin.h"
#include "eqo/net/memory_transport.h"
#include "eqo/planner/he_choice.h"
#include "eqo/runtime/session.h"

namespace eqo::testing {

// What one end of a session came to: its value, or the error that ended it.
template <typename T>
struct End {
  std::optional<T> value;
  std::optional<Error> error;
  explicit operator bool() const { return value.has_value(); }
  std::string text() const { return error ? std::string(category_name(error->category())) + ": " + error->what() : ""; }
};

// It ended with an error of this category, whose text holds `says`.
template <typename T>
void expect_end(const End<T>& end, Category category, const std::string& says) {
  ASSERT_TRUE(end.error.has_value()) << "no error; expected: " << says;
  EXPECT_EQ(category_name(end.error->category()), std::string(category_name(category))) << end.text();
  EXPECT_NE(end.text().find(says), std::string::npos) << end.text() << "\nexpected: " << says;
}

template <typename F>
auto end_of(F f) {
  End<decltype(f())> end;
  try {
    end.value = f();
  } catch (const Error& e) {
    end.error = e;
  }
  return end;
}

// Both ends of one session at once: the server in a thread of its own, `client` in the caller's. What either throws
// that is not an Error fails the test.
template <typename F>
auto run_session(std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>> ends, const Offer& offer, F client) {
  auto server = std::async(std::launch::async, [&, t = std::move(ends.first)]() mutable {
    return end_of([&] { return serve_session(std::move(t), offer); });
  });
  auto answer = end_of([&] { return client(std::move(ends.second)); });
  return std::pair(server.get(), std::move(answer));
}

// `n` random images of a plan, one behind the other.
inline std::vector<Word> random_images(const PublicPlan& plan, std::uint64_t seed, std::size_t n) {
  std::vector<Word> images;
  for (std::size_t i = 0; i < n; ++i) {
    const auto image = random_image(plan, seed * 1000 + i);
    images.insert(images.end(), image.begin(), image.end());
  }
  return images;
}

// What a client must be told: logits, or the label if the plan ends in argmax.
inline std::vector<std::int64_t> expected_answers(const Model& model, std::span<const Word> images, std::size_t batch) {
  const bool label = model.plan.nodes[static_cast<std::size_t>(model.plan.output)].op == Op::kArgMax;
  std::vector<std::int64_t> all;
  for (const Twin::Result& r : Twin(model).run_batch(images, batch)) {
    if (label) all.push_back(r.label);
    if (!label) all.insert(all.end(), r.logits.begin(), r.logits.end());
  }
  return all;
}

// A random model that ends in logits, so that both kinds of answers can be asked of it.
inline Model random_logits_model(std::uint64_t seed) {
  for (;; seed += 1'000'000) {
    Model model = random_model(seed);
    const Node& last = model.plan.nodes.back();
    if (last.op != Op::kArgMax && last.type.shape.h == 1 && last.type.shape.w == 1) return model;
  }
}

inline Offer random_offer(std::uint64_t seed, Reveal reveal = Reveal::kLogits, const ExecOptions& exec = {}) {
  Digest digest{};
  digest[0] = std::byte{static_cast<unsigned char>(seed)};
  return make_offer(random_logits_model(seed), digest, exec, reveal);
}

// One whose convolutions are homomorphic, for sessions of so many images.
inline Offer homomorphic_offer(std::uint64_t seed, std::uint64_t images, Reveal reveal = Reveal::kLogits) {
  for (;; seed += 1'000'000) {
    Model model = random_logits_model(seed);
    ExecOptions exec;
    exec.he = choose_he(model.plan, images);
    try {
      Offer offer = make_offer(std::move(model), {}, exec, reveal, {{}, {}, Products::kHe});
      const auto& nodes = offer.model.plan.nodes;
      if (std::any_of(nodes.begin(), nodes.end(), [](const Node& n) { return n.method.homomorphic; })) return offer;
    } catch (const Error& e) {
      if (e.category() != Category::kModel) throw;  // no parameters for one of its rings
    }
  }
}

}  // namespace eqo::testing
