#include "coordinator/dashboard/sessions.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "common/security/token.h"

namespace overwinter::dashboard {
namespace {

class SessionsTest : public testing::Test {
 protected:
  SessionsTest() {
    std::string pattern = "/dev/shm/ow-sessions-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SessionsTest() override { std::filesystem::remove_all(folder_); }
  Sessions sessions(const std::string& key) const {
    auto sealer = Sealer::open(folder_ / key);
    if (!sealer) sealer = Sealer::create(folder_ / key);
    EXPECT_TRUE(sealer) << sealer.error().message;
    return Sessions(std::move(*sealer), {"box", "localhost", "::1"});
  }
  static Request with(const Sessions::Opened& opened) {
    Request request{"GET", "/", {}, "box:7601"};
    request.cookie = "theme=dark; " + opened.set_cookie.substr(0, opened.set_cookie.find(';'));
    request.session = opened.secret;
    return request;
  }

  std::filesystem::path folder_;
  const Time now_ = time_from_unix_ms(1'764'000'000'000);
  const Digest token_ = token_hash("ow_token");
};

TEST_F(SessionsTest, OpensForTwelveHoursAndOutlivesARestart) {
  const auto opened = sessions("key").open(token_, now_);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->ends, now_ + kSessionLife);
  const Sessions restarted = sessions("key");
  EXPECT_EQ(restarted.token_of(with(*opened), now_).value(), token_);
  EXPECT_TRUE(restarted.token_of(with(*opened), now_ + kSessionLife - Duration(1)));
  EXPECT_FALSE(restarted.token_of(with(*opened), now_ + kSessionLife));
}

TEST_F(SessionsTest, NothingOpensThatIsNotWhole) {
  const Sessions ours = sessions("key");
  const auto opened = ours.open(token_, now_);
  const auto other = ours.open(token_, now_);
  ASSERT_TRUE(opened && other);
  EXPECT_NE(opened->secret, other->secret);
  const auto refused = [&](const char* what, auto spoil) {
    Request request = with(*opened);
    spoil(request);
    const auto token = ours.token_of(request, now_);
    ASSERT_FALSE(token) << what;
    EXPECT_EQ(token.error().code, Code::kUnauthenticated) << what;
  };
  refused("no cookie", [](Request& r) { r.cookie.clear(); });
  refused("no secret", [](Request& r) { r.session.clear(); });
  refused("another's secret", [&](Request& r) { r.session = other->secret; });
  refused("a changed cookie",
          [](Request& r) { r.cookie.back() = r.cookie.back() == 'A' ? 'E' : 'A'; });
  refused("a short cookie", [](Request& r) { r.cookie.resize(r.cookie.size() - 8); });
  refused("a cookie of another name", [](Request& r) { r.cookie[r.cookie.find("__Host")] = 'x'; });
  refused("no text", [](Request& r) { r.cookie = "__Host-overwinter=%%%"; });
  EXPECT_FALSE(sessions("another").token_of(with(*opened), now_)) << "of another coordinator";
}

TEST_F(SessionsTest, KnowsItsOwnNamesAlone) {
  const Sessions ours = sessions("key");
  const auto known = [&](std::string host) {
    Request request{"GET", "/", {}, std::move(host)};
    return ours.check_host(request).ok();
  };
  for (const char* host : {"box", "box:7601", "localhost:1", "[::1]:7601", "[::1]"}) {
    EXPECT_TRUE(known(host)) << host;
  }
  for (const char* host :
       {"", ":7601", "evil.example", "box.evil.example", "localhost.evil", "[::2]"}) {
    EXPECT_FALSE(known(host)) << host;
  }
  EXPECT_EQ(host_without_port("fe80::1"), "fe80::1");
}

}  // namespace
}  // namespace overwinter::dashboard
