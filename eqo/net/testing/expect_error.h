#pragma once
#include <gtest/gtest.h>

#include <string>

#include "eqo/core/error.h"

namespace eqo::testing {

// Runs `f` and returns the error it throws; a test failure (and an internal error without text) if it throws none.
template <typename F>
Error error_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  } catch (const std::exception& e) {
    ADD_FAILURE() << "not one of our errors: " << e.what();
    return {Category::kInternal, e.what()};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {Category::kInternal, ""};
}

// `call` throws an Error of `category` whose message holds `text`.
#define EQO_EXPECT_ERROR(call, expected_category, text)                                                         \
  do {                                                                                                          \
    const ::eqo::Error eqo_error = ::eqo::testing::error_of([&] { call; });                                     \
    EXPECT_EQ(::eqo::category_name(eqo_error.category()), std::string(::eqo::category_name(expected_category))) \
        << eqo_error.what();                                                                                    \
    EXPECT_NE(std::string(eqo_error.what()).find(text), std::string::npos) << eqo_error.what();                 \
  } while (false)

}  // namespace eqo::testing
