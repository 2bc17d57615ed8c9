#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <random>

#include "common/spec/spec.h"
#include "common/spec/spec_fields.h"
#include "common/spec/spec_keys.h"

namespace overwinter::spec {
namespace {

constexpr std::string_view kFull = R"(# a product
project: demo
name: "my product"
labels: { team: research, run.id: "7" }
workload:
  matmul: { a: A.npy, b: dir/B.npy, algorithm: auto, precision: fp32 }
workers: { min: 1, max: 2, device: any }
transport: auto
memory_per_device: 64 MiB
budget: { cap: 0.50, deadline: 30m }
time_limit: 12h
priority: high
spot: never
)";

constexpr std::string_view kFullJson = R"({
  "project": "demo", "name": "my product",
  "labels": {"team": "research", "run.id": "7"},
  "workload": {"matmul": {"a": "A.npy", "b": "dir\/B.npy", "algorithm": "auto", "precision": "fp32"}},
  "workers": {"min": 1, "max": 2, "device": "any"},
  "transport": "auto", "memory_per_device": "64MiB",
  "budget": {"cap": 0.50, "deadline": "30m"},
  "time_limit": "12h", "priority": "high", "spot": "never"
})";

std::string message_of(std::string_view text, const SpecOptions& options = {}) {
  const auto parsed = parse_spec(text, "job.yaml", options);
  return parsed ? "accepted" : parsed.error().message;
}

std::string field_of(std::string_view text) {
  const auto parsed = parse_spec(text, "job.yaml");
  return parsed ? "accepted" : parsed.error().field;
}

#define EXPECT_SAYS(text, part) \
  EXPECT_NE(message_of(text).find(part), std::string::npos) << message_of(text)

TEST(ParseSpec, ReadsEveryKey) {
  const auto parsed = parse_spec(kFull, "job.yaml");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  const v1::JobSpec& spec = parsed->spec;
  EXPECT_EQ(spec.project(), "demo");
  EXPECT_EQ(spec.name(), "my product");
  EXPECT_EQ(spec.labels().at("run.id"), "7");
  EXPECT_EQ(spec.matmul().b(), "dir/B.npy");
  EXPECT_EQ(spec.matmul().precision(), "fp32");
  EXPECT_EQ(spec.workers().max(), 2u);
  EXPECT_EQ(spec.memory_per_device_bytes(), 64u << 20);
  EXPECT_EQ(spec.budget().cap().amount_micros(), 500'000);
  EXPECT_EQ(spec.budget().deadline().seconds(), 1800);
  EXPECT_EQ(spec.time_limit().seconds(), 12 * 3600);
  EXPECT_EQ(spec.priority(), "high");
  EXPECT_EQ(spec.spot(), "never");
  EXPECT_FALSE(parsed->json);
}

TEST(ParseSpec, JsonIsTheSameMessage) {
  const auto yaml = parse_spec(kFull, "job.yaml");
  const auto json = parse_spec(kFullJson, "job.json");
  ASSERT_TRUE(json.has_value()) << json.error().message;
  EXPECT_TRUE(json->json);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(yaml->spec, json->spec));
}

TEST(ParseSpec, PrintedAndReadAgainIsTheSame) {
  const auto yaml = parse_spec(kFull, "job.yaml");
  const auto again = parse_spec(spec_to_yaml(yaml->spec), "printed");
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(yaml->spec, again->spec))
      << spec_to_yaml(yaml->spec);
}

TEST(ParseSpec, UnknownKeysNameLineAndNearestKey) {
  EXPECT_EQ(message_of("name: x\nworker: { min: 1 }\n"),
            "job.yaml:2: unknown key \"worker\"; did you mean \"workers\"?");
  EXPECT_EQ(message_of("workers:\n  min: 1\n  mxa: 2\n"),
            "job.yaml:3: unknown key \"workers.mxa\"; did you mean \"workers.max\"?");
  EXPECT_EQ(message_of("\n\ncap: 1\n"),
            "job.yaml:3: unknown key \"cap\"; did you mean \"budget.cap\"?");
  EXPECT_EQ(message_of("{\n\"prioriti\": \"low\"}"),
            "job.yaml:2: unknown key \"prioriti\"; did you mean \"priority\"?");
  EXPECT_EQ(message_of("qwertzuiop: 1\n"), "job.yaml:1: unknown key \"qwertzuiop\".");
  EXPECT_EQ(field_of("workers:\n  mxa: 2\n"), "workers.mxa");
}

TEST(ParseSpec, KeysOfOtherSystemsGetTheirAnswer) {
  EXPECT_SAYS("num_nodes: 2\n", "workers: {min, max}");
  EXPECT_SAYS("gres: gpu:1\n", "workers: {device}");
  EXPECT_SAYS("time: 10\n", "time_limit");
  EXPECT_SAYS("resources:\n  cpus: 2\n", "memory_per_device");
  EXPECT_SAYS("run: echo\n", "workload: {exec: {command");
  EXPECT_SAYS("workers:\n  gpus: 1\n", "workers: {device}");
}

TEST(ParseSpec, WordsOfLaterReleasesAreKnown) {
  EXPECT_SAYS("workload: { matmul: { algorithm: winograd } }\n", "auto, classical, strassen, not");
  EXPECT_SAYS("workload: { matmul: { tolerance: 2 } }\n", "workload.matmul.tolerance must be");
  EXPECT_SAYS("workload: { noop: { units: 5 } }\n", "unknown key");
  EXPECT_EQ(message_of("workload: { noop: { units: 5 } }\n", {.allow_test_workloads = true}),
            "accepted");
}

TEST(ParseSpec, ValuesNeedTheirUnitsAndRanges) {
  EXPECT_SAYS("memory_per_device: 64\n", "unit");
  EXPECT_SAYS("memory_per_device: 64 parsecs\n", "unit");
  EXPECT_SAYS("time_limit: 30\n", "unit");
  EXPECT_SAYS("time_limit: 0s\n", "duration");
  EXPECT_SAYS("budget: { cap: -1 }\n", "amount");
  EXPECT_SAYS("budget: { cap: a lot }\n", "amount");
  EXPECT_SAYS("workers: { min: two }\n", "whole number");
  EXPECT_SAYS("workers: { min: -1 }\n", "whole number");
  EXPECT_SAYS("workers: { min: 99999999999999999999 }\n", "whole number");
  EXPECT_SAYS("workers: { min: 1.5 }\n", "whole number");
  EXPECT_SAYS("priority: urgent\n", "low, normal, high");
  EXPECT_SAYS("priority:\n", "has no value");
  EXPECT_SAYS("priority: [low]\n", "single value");
  EXPECT_SAYS("workers: 2\n", "section");
  EXPECT_SAYS("labels: [a]\n", "section");
  EXPECT_EQ(message_of("memory_per_device: auto\n"), "accepted");
}

TEST(ParseSpec, ExactlyOneWorkload) {
  EXPECT_SAYS("workload: { matmul: { a: A, b: B }, train: {} }\n", "exactly one");
  EXPECT_SAYS("workload: {}\n", "exactly one");
}

TEST(ParseSpec, BombsAndTricksAreRefused) {
  EXPECT_SAYS("a: &x [1]\nb: *x\n", "anchors");
  EXPECT_SAYS("name: &x y\n", "anchors");
  EXPECT_SAYS("name: *x\n", "job.yaml:1");
  EXPECT_SAYS("name: x\nname: y\n", "twice");
  EXPECT_SAYS("{\"name\": \"x\", \"name\": \"y\"}", "twice");
  EXPECT_SAYS("name: !!binary abcd\n", "tags");
  EXPECT_SAYS("name: x\n---\nname: y\n", "several documents");
  EXPECT_SAYS("? [a]\n: b\n", "key");
  EXPECT_SAYS(std::string(100'000, '['), "nested");
  EXPECT_SAYS("{\"a\":" + std::string(100'000, '['), "nested");
  EXPECT_SAYS("a: " + std::string(100'000, '{'), "job.yaml");
  EXPECT_SAYS(std::string(kSpecBytesMax + 1, ' '), "1 MiB");
  EXPECT_SAYS(std::string("name: a\0b\n", 10), "NUL");
  EXPECT_SAYS("name: \"a\\0b\"\n", "control character");
  EXPECT_SAYS("{\"name\": \"a\\u0000b\"}", "control character");
  EXPECT_SAYS("name: \"a\\nb\"\n", "control character");
  EXPECT_SAYS("name: \xff\n", "UTF-8");
  EXPECT_SAYS("", "empty");
  EXPECT_SAYS("- a\n- b\n", "keys and values");
  EXPECT_SAYS("just a word", "keys and values");
  EXPECT_SAYS("name: [1, 2\n", "job.yaml");
  EXPECT_SAYS("{\"name\": \"a\" \"b\"}", "job.yaml");
  std::string many = "labels:\n";
  for (int i = 0; i < 60'000; ++i) many += "  l" + std::to_string(i) + ": x\n";
  EXPECT_SAYS(many, "too many values");
}

TEST(ParseSpec, JsonEscapes) {
  const auto parsed = parse_spec(R"({"name": "\u00e9\ud83d\ude00 \"x\" \\"})", "j");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(parsed->spec.name(), "\xC3\xA9\xF0\x9F\x98\x80 \"x\" \\");
  EXPECT_FALSE(parse_spec(R"({"name": "\ud83d"})", "j"));
  EXPECT_FALSE(parse_spec(R"({"workers": {"min": 01}})", "j") &&
               parse_spec(R"({"workers": {"min": 01}})", "j")->json);
}

// Whatever is cut off or changed: an answer, and never a message that is not text.
TEST(ParseSpec, TruncationsAndMutationsNeverCrash) {
  const auto try_text = [](const std::string& text) {
    const auto parsed = parse_spec(text, "fuzz");
    if (parsed) {
      v1::JobSpec spec = parsed->spec;
      (void)complete_and_validate(spec, "p");
      (void)parse_spec(spec_to_yaml(spec), "again");
    } else {
      EXPECT_EQ(parsed.error().message.substr(0, 5), "fuzz:");
    }
  };
  std::mt19937_64 random(11);
  for (std::string_view base : {kFull, kFullJson}) {
    for (std::size_t n = 0; n <= base.size(); ++n) try_text(std::string(base.substr(0, n)));
    for (int round = 0; round < 2500; ++round) {
      std::string text(base);
      for (std::uint64_t edits = 1 + random() % 4; edits > 0; --edits) {
        const std::size_t at = random() % text.size();
        constexpr std::string_view kNasty = "{}[]:,&*!|>'\"%@`#-?\n\t \\\0\xff~<";
        switch (random() % 4) {
          case 0:
            text[at] = static_cast<char>(random());
            break;
          case 1:
            text.insert(at, 1, kNasty[random() % kNasty.size()]);
            break;
          case 2:
            text.erase(at, 1 + random() % 8);
            break;
          default:
            text.insert(at, text.substr(random() % text.size(), random() % 30));
        }
        if (text.empty()) text = "x";
      }
      try_text(text);
    }
  }
}

TEST(ApplySetting, SetsWhatAFileSets) {
  v1::JobSpec spec = parse_spec(kFull, "f")->spec;
  EXPECT_TRUE(apply_setting(spec, "workers.max=7").ok());
  EXPECT_TRUE(apply_setting(spec, "budget.cap=1.25").ok());
  EXPECT_TRUE(apply_setting(spec, "labels.a=b=c").ok());
  EXPECT_TRUE(apply_setting(spec, "memory_per_device=auto").ok());
  EXPECT_EQ(spec.workers().max(), 7u);
  EXPECT_EQ(spec.budget().cap().amount_micros(), 1'250'000);
  EXPECT_EQ(spec.labels().at("a"), "b=c");
  EXPECT_EQ(spec.memory_per_device_bytes(), 0u);
  EXPECT_NE(apply_setting(spec, "workers.mxa=7").message.find("workers.max"), std::string::npos);
  EXPECT_EQ(apply_setting(spec, "workers.max=x").field, "workers.max");
  EXPECT_FALSE(apply_setting(spec, "workers=2").ok());
  EXPECT_FALSE(apply_setting(spec, "workers.max").ok());
  EXPECT_FALSE(apply_setting(spec, "=2").ok());
  EXPECT_FALSE(apply_setting(spec, "workload.noop.units=2").ok());
  EXPECT_FALSE(apply_setting(spec, "workload.noop.units=2", {.allow_test_workloads = true}).ok());
}

TEST(KnownKeys, EveryOneHasAFieldAndHelp) {
  for (const Key& key : known_keys()) {
    EXPECT_FALSE(get_field({}, key).present) << key.path;  // ends the process without a field
    EXPECT_FALSE(key.help.empty()) << key.path;
    EXPECT_EQ(find_key(key.path), &key);
  }
}

}  // namespace
}  // namespace overwinter::spec
