#include "coordinator/telemetry/refusal_limiter.h"

#include <gtest/gtest.h>

namespace overwinter::telemetry {
namespace {

constexpr Time kStart{Duration(1'764'000'000'000)};

AuditEvent from(const std::string& address, const std::string& actor, Time time) {
  AuditEvent event;
  event.time = time;
  event.code = Code::kUnauthenticated;
  event.address = address;
  event.actor = actor;
  return event;
}

TEST(RefusalLimiter, WritesTenAMinuteAndCountsTheRest) {
  RefusalLimiter limiter;
  std::size_t lines = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto line = limiter.take(from("192.0.2.1", "", kStart + Duration(i)));
    if (line) {
      EXPECT_EQ(line->repeated, 0U);
    }
    lines += line ? 1 : 0;
  }
  EXPECT_EQ(lines, 10U);
  EXPECT_TRUE(limiter.due(kStart + Duration(59'999)).empty());
  EXPECT_EQ(limiter.next_due(), kStart + Duration(60'000));
  const auto told = limiter.due(kStart + Duration(60'000));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].repeated, 1989U);
  EXPECT_EQ(told[0].time, kStart + Duration(1999));  // the last of them
  EXPECT_FALSE(limiter.next_due());
  EXPECT_TRUE(limiter.drain().empty());
}

// Not of a minute by the clock: of any sixty seconds.
TEST(RefusalLimiter, HoldsInEveryWindow) {
  RefusalLimiter limiter;
  std::vector<Time> lines;
  std::uint64_t told = 0;
  for (int s = 0; s < 600; ++s) {
    for (int i = 0; i < 3; ++i) {
      const Time now = kStart + Duration(s * 1000 + i * 300);
      if (const auto line = limiter.take(from("192.0.2.1", "tokens/7", now))) {
        lines.push_back(now);
        told += 1 + line->repeated;
      }
    }
  }
  for (std::size_t i = 10; i < lines.size(); ++i) {
    EXPECT_GE(lines[i] - lines[i - 10], Duration(60'000));
  }
  EXPECT_LE(lines.size(), 101U);
  for (const AuditEvent& rest : limiter.drain()) told += 1 + rest.repeated;
  EXPECT_EQ(told, 1800U);  // none is forgotten
}

TEST(RefusalLimiter, AnotherAddressOrActorHasItsOwn) {
  RefusalLimiter limiter;
  for (int i = 0; i < 50; ++i) (void)limiter.take(from("192.0.2.1", "", kStart));
  EXPECT_TRUE(limiter.take(from("192.0.2.2", "", kStart)));
  EXPECT_TRUE(limiter.take(from("192.0.2.1", "tokens/7", kStart)));
  EXPECT_FALSE(limiter.take(from("192.0.2.1", "", kStart)));
}

TEST(RefusalLimiter, AHostCannotChooseItsWayPastByIpv6) {
  RefusalLimiter limiter;
  std::size_t lines = 0;
  for (int i = 1; i <= 500; ++i) {
    const std::string address = "2001:db8:1:2::" + std::to_string(i);
    lines += limiter.take(from(address, "", kStart)) ? 1 : 0;
  }
  EXPECT_EQ(lines, 10U);
  EXPECT_TRUE(limiter.take(from("2001:db8:1:3::1", "", kStart)));
  EXPECT_EQ(network_of("2001:db8:1:2:a:b:c:d"), "2001:db8:1:2::");
  EXPECT_EQ(network_of("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(network_of("::1"), "::1");
  EXPECT_EQ(network_of(""), "");
}

TEST(RefusalLimiter, MoreAddressesThanItKnowsShareOne) {
  RefusalLimits limits;
  limits.keys_max = 16;
  RefusalLimiter limiter(limits);
  std::size_t lines = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string address = "10." + std::to_string(i / 65536) + "." +
                                std::to_string(i / 256 % 256) + "." + std::to_string(i % 256);
    lines += limiter.take(from(address, "", kStart)) ? 1 : 0;
  }
  EXPECT_EQ(lines, 16U + 10U);
  EXPECT_LE(limiter.keys(), 17U);
  // A minute later the known ones make room.
  EXPECT_TRUE(limiter.take(from("203.0.113.9", "", kStart + Duration(60'000))));
  EXPECT_LE(limiter.keys(), 17U);
}

}  // namespace
}  // namespace overwinter::telemetry
