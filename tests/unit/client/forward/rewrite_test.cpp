#include "client/forward/rewrite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace overwinter::forward {
namespace {

TEST(PlaceTest, IsWhatTheCoordinatorSays) {
  const auto place = place_of("https://gpu.example:7601", "10.0.0.5:7600");
  ASSERT_TRUE(place);
  EXPECT_EQ(*place, (Place{"gpu.example", 7601, true}));
  EXPECT_EQ(text_of(*place), "gpu.example:7601");
  EXPECT_EQ(*place_of("https://127.0.0.1:7601", "127.0.0.1:7600"),
            (Place{"127.0.0.1", 7601, true}));
  EXPECT_EQ(*place_of("https://[fd00::1]:7601/", "[fd00::1]:7600"), (Place{"fd00::1", 7601, true}));
  EXPECT_EQ(text_of(Place{"fd00::1", 7601, true}), "[fd00::1]:7601");
}

TEST(PlaceTest, LoopbackOfAnotherMachineIsThatMachine) {
  for (const char* own : {"https://127.0.0.1:7601", "https://localhost:7601", "https://[::1]:7601",
                          "https://0.0.0.0:7601", "https://[::]:7601"}) {
    const auto place = place_of(own, "10.0.0.5:7600");
    ASSERT_TRUE(place) << own;
    EXPECT_EQ(*place, (Place{"10.0.0.5", 7601, false})) << own;
  }
  EXPECT_EQ(*place_of("https://127.0.0.1:7601", "[fd00::1]:7600"), (Place{"fd00::1", 7601, false}));
  EXPECT_EQ(*place_of("https://0.0.0.0:7601", "127.0.0.1:7600"), (Place{"127.0.0.1", 7601, false}));
}

TEST(PlaceTest, WhatIsNoAddressIsSaidToBeNone) {
  for (const char* none : {"", "http://a:1", "https://a", "https://a:", "https://a:0",
                           "https://a:x", "https://a:70000", "https://:7601", "a:7601"}) {
    const auto place = place_of(none, "10.0.0.5:7600");
    ASSERT_FALSE(place) << none;
    EXPECT_EQ(place.error().code, Code::kFailedPrecondition) << none;
  }
}

TEST(SourceTest, OwnNamesAndOwnOriginPass) {
  for (const char* host : {"127.0.0.1:7680", "localhost:7680"}) {
    EXPECT_TRUE(check_source(host, "", 7680).ok()) << host;
    EXPECT_TRUE(check_source(host, std::string("http://") + host, 7680).ok()) << host;
  }
}

TEST(SourceTest, OthersAreRefusedInOneSentence) {
  for (const char* host :
       {"", "127.0.0.1", "127.0.0.1:7681", "127.0.0.1:76800", "evil.example:7680", "evil.example",
        "127.0.0.1.evil.example:7680", "localhost.:7680", "[::1]:7680", "0.0.0.0:7680",
        "127.0.0.2:7680", "127.0.0.1:7680, evil.example"}) {
    const Status status = check_source(host, "", 7680);
    EXPECT_EQ(status.code, Code::kPermissionDenied) << host;
    EXPECT_EQ(status.field, "host") << host;
  }
  for (const char* origin :
       {"null", "http://evil.example", "https://127.0.0.1:7680", "http://127.0.0.1",
        "http://127.0.0.1:7681", "http://localhost:7680", "http://127.0.0.1:7680/", "file://"}) {
    const Status status = check_source("127.0.0.1:7680", origin, 7680);
    EXPECT_EQ(status.code, Code::kPermissionDenied) << origin;
    EXPECT_EQ(status.field, "origin") << origin;
  }
}

TEST(SourceTest, TheCoordinatorIsAskedUnderANameItAnswersTo) {
  EXPECT_EQ(host_for_coordinator(7601), "localhost:7601");
  EXPECT_EQ(origin_for_coordinator(7601), "https://localhost:7601");
}

TEST(HeadersTest, ThoseOfOneConnectionStay) {
  for (const char* name : {"Connection", "connection", "Keep-Alive", "Transfer-Encoding", "TE",
                           "Upgrade", "Trailer", "Proxy-Authorization", "X-Own"}) {
    EXPECT_FALSE(passes_to_coordinator(name, "close, X-Own")) << name;
    EXPECT_FALSE(passes_to_browser(name, "close, X-Own")) << name;
  }
  EXPECT_TRUE(passes_to_coordinator("X-Own", "close"));
  EXPECT_TRUE(passes_to_coordinator("X-Own", ""));
}

TEST(HeadersTest, WhatIsWrittenAnewDoesNotPass) {
  for (const char* name : {"Host", "ORIGIN", "Cookie", "Referer", "Content-Length", "Expect"}) {
    EXPECT_FALSE(passes_to_coordinator(name, "")) << name;
  }
  for (const char* name : {"Authorization", "Overwinter-Session", "Content-Type", "Last-Event-ID",
                           "Accept-Encoding", "If-None-Match", "Sec-Fetch-Site"}) {
    EXPECT_TRUE(passes_to_coordinator(name, "keep-alive")) << name;
  }
  EXPECT_FALSE(passes_to_browser("Set-Cookie", ""));
  EXPECT_FALSE(passes_to_browser("Strict-Transport-Security", ""));
  for (const char* name : {"Content-Length", "Content-Type", "Content-Security-Policy", "ETag",
                           "Overwinter-Event", "Cache-Control"}) {
    EXPECT_TRUE(passes_to_browser(name, "keep-alive")) << name;
  }
}

TEST(CookieTest, TheSessionsCookieChangesItsNameBothWays) {
  EXPECT_EQ(cookie_for_browser("__Host-overwinter=abc_-1; Path=/; Secure; HttpOnly; "
                               "SameSite=Strict; Max-Age=43200",
                               7680),
            "overwinter-7680=abc_-1; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200");
  EXPECT_EQ(cookie_for_browser("__Host-overwinter=;Path=/;secure;Max-Age=0", 7680),
            "overwinter-7680=; Path=/; Max-Age=0");
  EXPECT_EQ(cookie_for_coordinator("overwinter-7680=abc_-1", 7680), "__Host-overwinter=abc_-1");
}

TEST(CookieTest, OthersGoNowhere) {
  for (const char* cookie :
       {"", "other=1; Path=/", "__Host-overwinter", "overwinter-7680=1", "__host-overwinter=1"}) {
    EXPECT_EQ(cookie_for_browser(cookie, 7680), "") << cookie;
  }
  EXPECT_EQ(cookie_for_coordinator("notebook=1; overwinter-7681=a; overwinter-7680=b; x=2", 7680),
            "__Host-overwinter=b");
  for (const char* cookie : {"", ";;", "notebook=1", "overwinter-7681=a", "overwinter-7680",
                             "__Host-overwinter=a", "xoverwinter-7680=a"}) {
    EXPECT_EQ(cookie_for_coordinator(cookie, 7680), "") << cookie;
  }
}

}  // namespace
}  // namespace overwinter::forward
