#include <gtest/gtest.h>

#include "common/spec/spec.h"

namespace overwinter::spec {
namespace {

v1::JobSpec a_spec() {
  v1::JobSpec spec;
  spec.mutable_matmul()->set_a("A.npy");
  spec.mutable_matmul()->set_b("B.npy");
  return spec;
}

// The fields that are violated, in order.
std::vector<std::string> fields(v1::JobSpec spec, const SpecOptions& options = {}) {
  std::vector<std::string> out;
  for (const Violation& violation : complete_and_validate(spec, "team", options)) {
    EXPECT_FALSE(violation.message.empty());
    out.push_back(violation.field);
  }
  return out;
}
using Fields = std::vector<std::string>;

TEST(Validate, FillsDefaults) {
  v1::JobSpec spec = a_spec();
  EXPECT_TRUE(complete_and_validate(spec, "team").empty());
  EXPECT_EQ(spec.project(), "team");
  EXPECT_EQ(spec.name(), "matmul");
  EXPECT_EQ(spec.transport(), "auto");
  EXPECT_EQ(spec.workers().min(), 1u);
  EXPECT_EQ(spec.workers().max(), 0u);
  EXPECT_EQ(spec.workers().device(), "any");
  EXPECT_EQ(spec.priority(), "normal");
  EXPECT_EQ(spec.spot(), "allowed");
  EXPECT_EQ(spec.matmul().algorithm(), "auto");
  v1::JobSpec again = spec;
  EXPECT_TRUE(complete_and_validate(again, "other").empty());
  EXPECT_EQ(again.SerializeAsString(), spec.SerializeAsString());
  v1::JobSpec lone = a_spec();
  EXPECT_TRUE(complete_and_validate(lone, "").empty());
  EXPECT_EQ(lone.project(), "default");
}

TEST(Validate, NamesEveryViolation) {
  v1::JobSpec spec;
  spec.mutable_matmul()->set_algorithm("fast");
  spec.set_project("Not A Project");
  spec.set_name("a/b");
  spec.mutable_workers()->set_min(5);
  spec.mutable_workers()->set_max(2);
  spec.mutable_workers()->set_device("H100:8");
  spec.set_transport("gang");
  spec.set_priority("urgent");
  spec.set_spot("maybe");
  spec.set_memory_per_device_bytes(5);
  spec.mutable_budget()->mutable_cap()->set_amount_micros(-1);
  spec.mutable_budget()->mutable_deadline()->set_seconds(-5);
  spec.mutable_time_limit();
  EXPECT_EQ(fields(spec),
            (Fields{"workload.matmul.a", "workload.matmul.b", "workload.matmul.algorithm",
                    "transport", "project", "name", "workers.device", "workers.max", "priority",
                    "spot", "memory_per_device", "time_limit", "budget.deadline", "budget.cap"}));
  const Status status = to_status(complete_and_validate(spec, ""));
  EXPECT_EQ(status.code, Code::kInvalidArgument);
  EXPECT_EQ(status.field, "workload.matmul.a");
  EXPECT_NE(status.message.find("gangs come with a later release"), std::string::npos);
}

TEST(Validate, WorkloadIsNeededAndNoopIsForTests) {
  EXPECT_EQ(fields({}), Fields{"workload"});
  v1::JobSpec spec;
  spec.mutable_noop()->set_units(10);
  EXPECT_EQ(fields(spec), Fields{"workload.noop"});
  EXPECT_EQ(fields(spec, {.allow_test_workloads = true}), Fields{});
  spec.mutable_noop()->set_units(~0ULL);
  EXPECT_EQ(fields(spec, {.allow_test_workloads = true}), Fields{"workload.noop.units"});
}

TEST(Validate, SubmittedFactorsAreStoredOnes) {
  const std::string digest(64, 'a');
  v1::JobSpec spec = a_spec();
  EXPECT_EQ(fields(spec, {.require_artifacts = true}),
            (Fields{"workload.matmul.a", "workload.matmul.b"}));
  spec.mutable_matmul()->set_a("artifact://" + digest);
  spec.mutable_matmul()->set_b("artifact://" + digest + "0");
  EXPECT_EQ(fields(spec), Fields{"workload.matmul.b"});
  EXPECT_EQ(artifact_digest("artifact://" + digest), digest);
  EXPECT_EQ(artifact_digest("artifact://" + std::string(64, 'A')), digest);
  EXPECT_EQ(artifact_digest(digest), "");
}

TEST(Validate, Labels) {
  v1::JobSpec spec = a_spec();
  (*spec.mutable_labels())["team"] = "research";
  EXPECT_EQ(fields(spec), Fields{});
  (*spec.mutable_labels())["a b"] = "x";
  EXPECT_EQ(fields(spec), Fields{"labels"});
  spec.mutable_labels()->erase("a b");
  (*spec.mutable_labels())["k"] = std::string("a\0b", 3);
  EXPECT_EQ(fields(spec), Fields{"labels.k"});
}

TEST(Names, Rules) {
  EXPECT_TRUE(is_job_name("licence-gpt 7"));
  EXPECT_TRUE(is_job_name(std::string(80, 'x')));
  EXPECT_FALSE(is_job_name(std::string(81, 'x')));
  std::string umlauts;
  for (int i = 0; i < 80; ++i) umlauts += "\xC3\xA4";
  EXPECT_TRUE(is_job_name(umlauts));  // characters, not bytes
  EXPECT_FALSE(is_job_name(""));
  EXPECT_FALSE(is_job_name("a/b"));
  EXPECT_FALSE(is_job_name(std::string("a\0b", 3)));
  EXPECT_FALSE(is_job_name("a\nb"));
  EXPECT_FALSE(is_job_name("\xff"));
  EXPECT_TRUE(is_project_name("demo-2"));
  EXPECT_FALSE(is_project_name("2demo"));
  EXPECT_FALSE(is_project_name("Demo"));
  EXPECT_FALSE(is_project_name("-"));
  EXPECT_FALSE(is_project_name(std::string(41, 'a')));
}

TEST(Names, Slug) {
  EXPECT_EQ(slug("Licence GPT"), "licence-gpt");
  EXPECT_EQ(slug("  a__b  "), "a-b");
  EXPECT_EQ(slug("\xC3\xA4\xC3\xB6"), "job");
  EXPECT_EQ(slug(""), "job");
  EXPECT_EQ(slug(std::string(100, 'x')), std::string(40, 'x'));
  EXPECT_EQ(slug("../../etc/passwd"), "etc-passwd");
}

}  // namespace
}  // namespace overwinter::spec
