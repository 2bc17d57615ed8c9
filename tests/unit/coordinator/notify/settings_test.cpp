#include "coordinator/notify/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace overwinter::notify {
namespace {

using testing::HasSubstr;
using testing::Not;

// A part of every address here: no message may hold it.
constexpr const char* kSecret = "B0SECRET";

std::string refusal(const std::string& text) {
  const auto read = parse_settings(text);
  if (read) return "taken";
  EXPECT_EQ(read.error().code, Code::kInvalidArgument);
  EXPECT_THAT(read.error().message, Not(HasSubstr(kSecret))) << text;
  return read.error().message;
}

std::string url_refusal(const std::string& text) {
  const auto url = parse_hook_url(text);
  if (url) return "taken";
  EXPECT_THAT(url.error().message, Not(HasSubstr(kSecret))) << text;
  return url.error().message;
}

TEST(NotifySettings, EveryKey) {
  const auto read = parse_settings(R"(
hooks:
  - { name: ops, url: "https://hooks.example.com/services/T0/B0SECRET", on: [failed, cap-80], projects: [demo] }
  - name: local
    url: http://127.0.0.1:8080/hook?x=1
on_idle: { after: 45m, command: ["/usr/local/bin/release", "{worker}"], workers: [w-1, w-2] }
page: https://host:7601/
)");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->hooks.size(), 2U);
  const Hook& ops = read->hooks[0];
  EXPECT_EQ(ops.name, "ops");
  EXPECT_EQ(ops.url, (HookUrl{true, "hooks.example.com", "443", "/services/T0/B0SECRET"}));
  EXPECT_EQ(ops.on, (std::set<Event>{Event::kFailed, Event::kCap80}));
  EXPECT_EQ(ops.projects, std::set<std::string>{"demo"});
  const Hook& local = read->hooks[1];
  EXPECT_EQ(local.url, (HookUrl{false, "127.0.0.1", "8080", "/hook?x=1"}));
  EXPECT_EQ(local.on.size(), 6U) << "all events when none is named";
  EXPECT_EQ(read->on_idle.after, std::chrono::minutes(45));
  EXPECT_EQ(read->on_idle.command.size(), 2U);
  EXPECT_EQ(read->on_idle.workers, (std::set<std::string>{"w-1", "w-2"}));
  EXPECT_EQ(read->page, "https://host:7601");
}

TEST(NotifySettings, NothingIsNoHook) {
  for (const char* text : {"", "# none yet\n", "hooks:\n", "hooks: []\n"}) {
    const auto read = parse_settings(text);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_TRUE(read->empty());
    EXPECT_EQ(read->on_idle.after, std::chrono::minutes(30));
  }
}

TEST(NotifySettings, WhatIsWrongIsSaidWithLineAndKeyAndNoAddress) {
  const std::string url = "https://x.example/B0SECRET";
  EXPECT_EQ(refusal("hooks:\n  - { name: ops }\n"), "line 2: hooks[0].url is missing");
  EXPECT_EQ(refusal("hooks:\n  - { url: \"" + url + "\" }\n"), "line 2: hooks[0].name is missing");
  EXPECT_THAT(refusal("hooks:\n- name: ops\n  url: ftp://x/B0SECRET\n"),
              HasSubstr("line 3: hooks[0].url must begin with https://"));
  EXPECT_THAT(refusal("hooks:\n- name: " + url + "\n  url: x\n"),
              HasSubstr("line 2: hooks[0].name must be"));
  EXPECT_THAT(refusal("hooks:\n- name: ops\n  " + url + ": x\n"), HasSubstr("line 3: hooks[0]"));
  EXPECT_THAT(refusal("hooks:\n- {name: a, url: \"" + url + "\", on: [\"" + url + "\"]}\n"),
              HasSubstr("line 2: hooks[0].on holds something, which is no event"));
  EXPECT_THAT(refusal("hooks:\n- {name: a, url: \"" + url + "\", on: [fialed]}\n"),
              HasSubstr("\"fialed\", which is no event; events are failed, paused, cap-80"));
  EXPECT_THAT(refusal("hooks:\n- {name: a, url: \"" + url + "\", when: []}\n"),
              HasSubstr("has no key \"when\""));
  EXPECT_THAT(refusal("hoks: []\n"), HasSubstr("the nearest is hooks"));
  EXPECT_THAT(
      refusal("hooks:\n- {name: a, url: \"" + url + "\"}\n- {name: a, url: \"" + url + "\"}\n"),
      HasSubstr("line 3: hooks[1].name is another hook's"));
  EXPECT_THAT(refusal("\"" + url + "\": 1\n\"" + url + "\": 2\n"), HasSubstr("line 2"));
  EXPECT_THAT(refusal("hooks: {\n"), HasSubstr("line "));
  EXPECT_THAT(refusal("on_idle: { after: 0s }\n"), HasSubstr("on_idle.after must be from 1s"));
  EXPECT_THAT(refusal("on_idle: { command: [\"release.sh\"] }\n"), HasSubstr("absolute path"));
  EXPECT_THAT(refusal("on_idle: { command: [\"/bin/{worker}\"] }\n"), HasSubstr("absolute path"));
  EXPECT_THAT(refusal("on_idle: { command: [] }\n"), HasSubstr("must be a list"));
  EXPECT_THAT(refusal("page: http://host:7601\n"), HasSubstr("page must be https://HOST:PORT"));
}

// What makes a small text large is refused before anything is built of it.
TEST(NotifySettings, Bounds) {
  EXPECT_THAT(refusal("a: &x [1, 1]\nb: [*x, *x]\n"), HasSubstr("anchors and aliases"));
  EXPECT_THAT(refusal(std::string(kSettingsBytesMax + 1, ' ')), HasSubstr("64 KiB"));
  std::string deep = "hooks: ";
  for (int i = 0; i < 40; ++i) deep += '[';
  EXPECT_THAT(refusal(deep), HasSubstr("nested too deeply"));
  std::string many = "hooks:\n";
  for (int i = 0; i < 17; ++i)
    many += "- {name: h" + std::to_string(i) + ", url: \"https://x/B0SECRET\"}\n";
  EXPECT_THAT(refusal(many), HasSubstr("at most 16 hooks"));
}

TEST(NotifySettings, AddressesWithoutTlsArePrivateOnes) {
  for (const char* good :
       {"http://localhost/x", "http://127.0.0.1:9/x", "http://10.1.2.3/", "http://172.16.0.1",
        "http://172.31.255.1", "http://192.168.1.1:8080/a", "http://169.254.1.1",
        "http://[::1]:80/x", "http://[fd00::1]/x", "http://[fe80::1]/x"}) {
    EXPECT_TRUE(parse_hook_url(good)) << good;
  }
  for (const char* bad : {"http://hooks.example.com/B0SECRET", "http://8.8.8.8/B0SECRET",
                          "http://172.32.0.1/B0SECRET", "http://192.169.0.1/",
                          "http://[2001:db8::1]/", "http://localhost.example.com/"}) {
    EXPECT_THAT(url_refusal(bad), HasSubstr("must begin with https://")) << bad;
  }
}

TEST(NotifySettings, AddressesThatAreNone) {
  EXPECT_THAT(url_refusal("https://user:B0SECRET@host/x"), HasSubstr("no password"));
  EXPECT_THAT(url_refusal("https://host:0/B0SECRET"), HasSubstr("port"));
  EXPECT_THAT(url_refusal("https://host:65536/B0SECRET"), HasSubstr("port"));
  EXPECT_THAT(url_refusal("https:///B0SECRET"), HasSubstr("no host name"));
  EXPECT_THAT(url_refusal("https://ho st/B0SECRET"), HasSubstr("no host name"));
  EXPECT_THAT(url_refusal("https://[zz]/B0SECRET"), HasSubstr("IPv6"));
  EXPECT_THAT(url_refusal("https://[::1/B0SECRET"), HasSubstr("whole host"));
  EXPECT_THAT(url_refusal("https://host/a b B0SECRET"), HasSubstr("%XX"));
  EXPECT_THAT(url_refusal("https://host/a\r\nX: B0SECRET"), HasSubstr("%XX"));
  EXPECT_THAT(url_refusal("https://host/" + std::string(3000, 'B')), HasSubstr("2048"));
  EXPECT_EQ(parse_hook_url("https://host?q=1")->target, "/?q=1");
  EXPECT_EQ(parse_hook_url("https://host")->target, "/");
  EXPECT_EQ(parse_hook_url("https://[::1]:8443/x")->port, "8443");
}

TEST(NotifySettings, WhoWantsWhat) {
  Hook hook;
  hook.on = {Event::kFailed, Event::kWorkerLost};
  Notice failed;
  failed.event = Event::kFailed;
  failed.job = JobId(1);
  failed.project = "demo";
  EXPECT_TRUE(wants(hook, failed));
  failed.event = Event::kPaused;
  EXPECT_FALSE(wants(hook, failed));
  hook.projects = {"other"};
  failed.event = Event::kFailed;
  EXPECT_FALSE(wants(hook, failed));
  Notice lost;
  lost.event = Event::kWorkerLost;
  lost.worker = WorkerId(1);
  EXPECT_TRUE(wants(hook, lost)) << "it serves all projects";
  lost.projects = {"demo"};
  EXPECT_FALSE(wants(hook, lost));
  lost.projects = {"demo", "other"};
  EXPECT_TRUE(wants(hook, lost));
}

}  // namespace
}  // namespace overwinter::notify
