#include "eqo/net/endpoint.h"

#include <gtest/gtest.h>

#include "eqo/net/testing/expect_error.h"

namespace eqo {
namespace {

TEST(Endpoint, ParsesNamesAndAddresses) {
  EXPECT_EQ(parse_endpoint("localhost:7700"), (Endpoint{"localhost", 7700}));
  EXPECT_EQ(parse_endpoint("my-host_1.example.org:1"), (Endpoint{"my-host_1.example.org", 1}));
  EXPECT_EQ(parse_endpoint("127.0.0.1:0"), (Endpoint{"127.0.0.1", 0}));
  EXPECT_EQ(parse_endpoint("[::1]:65535"), (Endpoint{"::1", 65535}));
  EXPECT_EQ(parse_endpoint("[fe80::1%eth0]:80"), (Endpoint{"fe80::1%eth0", 80}));
  for (const char* text : {"localhost:7700", "10.0.0.1:1", "[::1]:65535"})
    EXPECT_EQ(to_string(parse_endpoint(text)), text);
}

TEST(Endpoint, RefusesEverythingElse) {
  for (const char* bad : {"",
                          ":",
                          "host",
                          "host:",
                          ":80",
                          "host:65536",
                          "host:-1",
                          "host:+1",
                          "host: 80",
                          "host:80 ",
                          "host:8a",
                          "::1:80",
                          "[::1]",
                          "[::1]80",
                          "[::1",
                          "[]:80",
                          "[host]:80",
                          "[1.2.3.4]:80",
                          "[::1%]:80",
                          "[::1%a b]:80",
                          "ho st:80",
                          "-host:80",
                          ".host:80",
                          "h\x1b[2J:80",
                          "host:99999999999999999999",
                          "user@host:80",
                          "http://host:80"})
    EQO_EXPECT_ERROR(parse_endpoint(bad), Category::kUsage, "not an address");
  EQO_EXPECT_ERROR(parse_endpoint(std::string(300, 'a') + ":80"), Category::kUsage, "not an address");
  EQO_EXPECT_ERROR(parse_endpoint(std::string("a\0b:80", 6)), Category::kUsage, "not an address");
}

TEST(Endpoint, KnowsLoopback) {
  for (const char* yes : {"localhost", "127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(is_loopback(yes)) << yes;
  for (const char* no : {"", "0.0.0.0", "::", "128.0.0.1", "10.0.0.1", "localhost.example.org", "127.0.0.1.example.org",
                         "example.org", "::2"})
    EXPECT_FALSE(is_loopback(no)) << no;
}

TEST(Endpoint, KnowsAddressesFromNames) {
  for (const char* yes : {"1.2.3.4", "::1", "fe80::1%eth0"}) EXPECT_TRUE(is_ip_address(yes)) << yes;
  for (const char* no : {"", "localhost", "1.2.3", "1.2.3.4.5"}) EXPECT_FALSE(is_ip_address(no)) << no;
}

}  // namespace
}  // namespace eqo
