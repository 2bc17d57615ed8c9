#include "coordinator/notify/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace overwinter::notify {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr Time kNow = time_from_unix_ms(1'764'000'000'000);
const MessageContext kContext{"lab", "USD", "https://host:7601"};

Notice failed() {
  Notice out;
  out.event = Event::kFailed;
  out.job = JobId(7);
  out.project = "demo";
  out.name = "mm-4096";
  out.state = "FAILED";
  out.sentence = "it failed 3 times without progress";
  out.charged = Money{21'300};
  out.cap = Money{500'000};
  out.at = kNow;
  return out;
}

nlohmann::json parsed(const Notice& notice, const MessageContext& context = kContext) {
  return nlohmann::json::parse(message_of(notice, context));
}

TEST(NotifyMessage, AJobWithSentenceMoneyAndLink) {
  const auto json = parsed(failed());
  EXPECT_EQ(json["text"],
            "[lab] Job mm-4096 (project demo) FAILED: it failed 3 times without progress\n"
            "Charged 0.0213 of 0.50 USD.\n"
            "https://host:7601/projects/demo/jobs/mm-4096");
  EXPECT_EQ(json["event"], "failed");
  EXPECT_EQ(json["job"], "projects/demo/jobs/mm-4096");
  EXPECT_EQ(json["project"], "demo");
  EXPECT_EQ(json["state"], "FAILED");
  EXPECT_EQ(json["charged"]["amountMicros"], "21300");
  EXPECT_EQ(json["charged"]["currencyCode"], "USD");
  EXPECT_EQ(json["cap"]["amountMicros"], "500000");
  EXPECT_EQ(json["time"], format_time(kNow));
  EXPECT_EQ(json["link"], "https://host:7601/projects/demo/jobs/mm-4096");
}

TEST(NotifyMessage, AMachine) {
  Notice idle;
  idle.event = Event::kIdle;
  idle.worker = WorkerId(3);
  idle.name = "w-3";
  idle.state = "READY";
  idle.sentence = "it has had no work for 30m and costs 0.36 an hour";
  idle.charged = Money{180'000};
  const auto json = parsed(idle);
  EXPECT_EQ(json["text"],
            "[lab] Worker w-3 is idle: it has had no work for 30m and costs 0.36 an hour\n"
            "Cost since: 0.18 USD.\nhttps://host:7601/workers/w-3");
  EXPECT_EQ(json["worker"], "workers/w-3");
  EXPECT_FALSE(json.contains("job"));
  idle.event = Event::kWorkerLost;
  EXPECT_FALSE(parsed(idle).contains("charged"));
}

TEST(NotifyMessage, WithoutAPageThereIsNoLink) {
  EXPECT_FALSE(parsed(failed(), {"lab", "USD", ""}).contains("link"));
}

// What a stranger's program printed, or a name, moves nothing and calls nobody.
TEST(NotifyMessage, TextOfUsersIsHarmless) {
  EXPECT_EQ(shown("<!channel> & <https://x|y>", 100), "&lt;!channel&gt; &amp; &lt;https://x|y&gt;");
  EXPECT_EQ(shown("@here", 100), "@\u200bhere");
  EXPECT_EQ(shown("a\x1b[31mb\x7f\u009bc", 100), "a?[31mb??c");
  EXPECT_EQ(shown("a\r\nb\tc", 100), "a  b c");
  EXPECT_EQ(shown("\u202Ereversed\u2066\u200b\ufeff", 100), "?reversed???");
  EXPECT_EQ(shown("Grüße, 世界 🙂", 100), "Grüße, 世界 🙂");
  EXPECT_EQ(shown("\xff\xc0\x80\xed\xa0\x80\xf5z", 100), "???????z") << "no UTF-8";
  Notice evil = failed();
  evil.name = "<script>\u202e\x01";
  evil.sentence = std::string("\xff\"\\") + "<!here>";
  const std::string body = message_of(evil, kContext);
  const auto json = nlohmann::json::parse(body);
  EXPECT_THAT(json["text"].get<std::string>(), HasSubstr("&lt;script&gt;??"));
  EXPECT_THAT(json["text"].get<std::string>(), Not(HasSubstr("<")));
}

TEST(NotifyMessage, ItIsBoundedAtWholeCharacters) {
  EXPECT_EQ(shown("abcdef", 3), "abc…");
  EXPECT_EQ(shown("aüb", 2), "a…");
  EXPECT_EQ(shown("a&b", 3), "a…");
  Notice long_one = failed();
  long_one.sentence = std::string(100'000, 'x');
  long_one.name = std::string(100'000, 'y');
  long_one.project = std::string(100'000, 'z');
  const auto json = parsed(long_one);
  EXPECT_LT(json["text"].get<std::string>().size(), 2'000U);
  EXPECT_LT(json["sentence"].get<std::string>().size(), 700U);
}

TEST(NotifyMessage, ATestSaysSo) {
  const auto json = nlohmann::json::parse(test_message("ops", kContext, kNow));
  EXPECT_THAT(json["text"].get<std::string>(), HasSubstr("This is a test of the hook ops"));
  EXPECT_EQ(json["event"], "test");
}

}  // namespace
}  // namespace overwinter::notify
