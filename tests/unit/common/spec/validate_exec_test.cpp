#include <gtest/gtest.h>

#include "common/spec/spec.h"

namespace overwinter::spec {
namespace {

const SpecOptions kAll{.release = {.train = true, .exec = true, .mpi = true}};
using Fields = std::vector<std::string>;

v1::JobSpec a_program() {
  v1::JobSpec spec;
  spec.mutable_exec()->set_shell("python3 train.py");
  return spec;
}
Fields fields(v1::JobSpec spec, const SpecOptions& options = kAll) {
  Fields out;
  for (const Violation& violation : complete_and_validate(spec, "team", options)) {
    EXPECT_EQ(violation.message.back(), '.') << violation.message;
    out.push_back(violation.field);
  }
  return out;
}
std::string message(v1::JobSpec spec) {
  return to_status(complete_and_validate(spec, "team", kAll)).message;
}

TEST(ValidateExec, FillsDefaults) {
  v1::JobSpec spec = a_program();
  ASSERT_TRUE(complete_and_validate(spec, "team", kAll).empty());
  EXPECT_EQ(spec.name(), "exec");
  EXPECT_EQ(spec.exec().launcher(), "env");
  EXPECT_EQ(spec.exec().workdir(), "");
  EXPECT_EQ(spec.workers().min(), 1u);
  EXPECT_EQ(spec.workers().max(), 1u);
  EXPECT_EQ(spec.spot(), "never");
  EXPECT_EQ(spec.stop().signal(), "SIGTERM");
  EXPECT_EQ(spec.stop().grace().seconds(), 90);
  EXPECT_EQ(spec.checkpoint().keep(), 3u);
  v1::JobSpec again = spec;
  EXPECT_TRUE(complete_and_validate(again, "other", kAll).empty());
  EXPECT_EQ(again.SerializeAsString(), spec.SerializeAsString());

  v1::JobSpec wide = a_program();
  wide.mutable_exec()->set_checkpoint_dir("ckpt");
  wide.mutable_workers()->set_min(4);
  wide.mutable_workers()->set_device("H100:8");
  ASSERT_TRUE(complete_and_validate(wide, "team", kAll).empty());
  EXPECT_EQ(wide.spot(), "allowed");
  EXPECT_EQ(wide.workers().max(), 4u);
  v1::JobSpec up_to = a_program();
  up_to.mutable_workers()->set_max(3);
  ASSERT_TRUE(complete_and_validate(up_to, "team", kAll).empty());
  EXPECT_EQ(up_to.workers().min(), 1u);
  EXPECT_EQ(up_to.workers().max(), 3u);
}

TEST(ValidateExec, ComesWithItsRelease) {
  EXPECT_EQ(fields(a_program(), {.release = {}}), Fields{"workload.exec"});
  EXPECT_EQ(fields(a_program(), {.release = {.exec = true}}), Fields{});
  v1::JobSpec ranks = a_program();
  ranks.mutable_exec()->set_launcher("mpi");
  EXPECT_EQ(fields(ranks, {.release = {.exec = true}}), Fields{"workload.exec.launcher"});
  EXPECT_EQ(fields(ranks), Fields{});
}

TEST(ValidateExec, Command) {
  v1::JobSpec spec;
  spec.mutable_exec();
  EXPECT_EQ(fields(spec), Fields{"workload.exec.command"});
  spec.mutable_exec()->set_shell(" \n ");
  EXPECT_EQ(fields(spec), Fields{"workload.exec.command"});
  spec.mutable_exec()->set_shell("a");
  spec.mutable_exec()->add_argv("b");
  EXPECT_EQ(fields(spec), Fields{"workload.exec.command"});
  spec.mutable_exec()->clear_shell();
  EXPECT_EQ(fields(spec), Fields{});
  spec.mutable_exec()->set_argv(0, "");
  EXPECT_EQ(fields(spec), Fields{"workload.exec.command"});
  spec = a_program();
  spec.mutable_exec()->set_shell(std::string("a\0b", 3));
  EXPECT_EQ(fields(spec), Fields{"workload.exec.command"});
  spec.mutable_exec()->set_shell("a");
  spec.mutable_exec()->set_launcher("ssh");
  EXPECT_EQ(fields(spec), Fields{"workload.exec.launcher"});
}

TEST(ValidateExec, Variables) {
  v1::JobSpec spec = a_program();
  auto& env = *spec.mutable_exec()->mutable_env();
  env["GOOD_1"] = "several\nlines";
  EXPECT_EQ(fields(spec), Fields{});
  env["1BAD"] = "x";
  env["A=B"] = "x";
  env["RANK"] = "0";
  env["OVERWINTER_JOB"] = "x";
  EXPECT_EQ(fields(spec), (Fields(4, "workload.exec.env")));
  env.erase("1BAD");
  env.erase("A=B");
  env.erase("OVERWINTER_JOB");
  EXPECT_NE(message(spec).find("RANK is set for each process by itself"), std::string::npos);
  spec.mutable_exec()->set_launcher("none");  // which sets none of them
  EXPECT_EQ(fields(spec), Fields{});
  spec.mutable_exec()->add_secrets("GOOD_1");
  EXPECT_EQ(fields(spec), Fields{"workload.exec.secrets"});
  spec.mutable_exec()->set_secrets(0, "not a name");
  EXPECT_EQ(fields(spec), Fields{"workload.exec.secrets"});
  spec.mutable_exec()->set_secrets(0, "HF_TOKEN");
  env["NUL"] = std::string("a\0b", 3);
  EXPECT_EQ(fields(spec), Fields{"workload.exec.env"});
}

TEST(ValidateExec, PathsStayWhereTheyBelong) {
  v1::JobSpec spec = a_program();
  v1::ExecSpec& exec = *spec.mutable_exec();
  exec.set_checkpoint_dir("a/ckpt");
  exec.add_outputs("out");
  exec.add_outputs("dir/..file");
  exec.add_cache("~/.cache/pip");
  exec.add_cache("build");
  (*exec.mutable_mounts())["/data"] = "/mnt/data:rw";
  EXPECT_EQ(fields(spec), Fields{});
  exec.set_checkpoint_dir("..");
  exec.set_outputs(0, "../../etc/passwd");
  exec.set_outputs(1, "/etc/passwd");
  exec.set_cache(0, "~/../x");
  exec.set_cache(1, "~/");
  EXPECT_EQ(fields(spec),
            (Fields{"workload.exec.outputs", "workload.exec.outputs", "workload.exec.cache",
                    "workload.exec.cache", "workload.exec.checkpoint_dir"}));
  exec.set_checkpoint_dir("./");
  EXPECT_EQ(fields(spec).back(), "workload.exec.checkpoint_dir");
  for (const auto& [inside, outside] :
       {std::pair("data", "/mnt"), std::pair("/", "/mnt"), std::pair("/data", "mnt"),
        std::pair("/data/../etc", "/mnt"), std::pair("/data", "/mnt/../../etc:rw"),
        std::pair("/data", ""), std::pair("/..", "/mnt")}) {
    v1::JobSpec mounted = a_program();
    (*mounted.mutable_exec()->mutable_mounts())[inside] = outside;
    EXPECT_EQ(fields(mounted), Fields{"workload.exec.mounts"}) << inside << " " << outside;
  }
}

TEST(ValidateExec, Metrics) {
  const auto of = [](const std::string& name, const std::string& regex) {
    v1::JobSpec spec = a_program();
    v1::MetricPattern& metric = *spec.mutable_exec()->add_metrics();
    metric.set_name(name);
    metric.set_regex(regex);
    return spec;
  };
  EXPECT_EQ(fields(of("loss", "loss[=: ]+([0-9.]+)")), Fields{});
  const Fields wrong{"workload.exec.metrics"};
  EXPECT_EQ(fields(of("", "(a)")), wrong);
  EXPECT_EQ(fields(of("loss", "([0-9")), wrong);
  EXPECT_NE(message(of("loss", "loss=[0-9]+")).find("needs a group"), std::string::npos);
  EXPECT_EQ(fields(of("loss", "(" + std::string(600, 'a') + ")")), wrong);
  // Would take a backtracking engine for ever, or gigabytes: refused, or harmless.
  EXPECT_EQ(fields(of("loss", "(a{1000}){1000}")), wrong);
  EXPECT_EQ(fields(of("loss", "(a*)*b")), Fields{});
  v1::JobSpec twice = of("loss", "(a)");
  *twice.mutable_exec()->add_metrics() = twice.exec().metrics(0);
  EXPECT_EQ(fields(twice), wrong);
}

TEST(ValidateExec, Rest) {
  v1::JobSpec spec = a_program();
  spec.set_transport("elastic");
  spec.mutable_stop()->set_signal("SIGKILL");
  spec.mutable_stop()->mutable_grace()->set_seconds(0);
  EXPECT_EQ(fields(spec), (Fields{"transport", "stop.signal", "stop.grace"}));
  SpecOptions stored = kAll;
  stored.require_artifacts = true;
  spec = a_program();
  EXPECT_EQ(fields(spec, stored), Fields{});
  spec.mutable_exec()->set_workdir(".");
  EXPECT_EQ(fields(spec, stored), Fields{"workload.exec.workdir"});
  spec.mutable_exec()->set_workdir("artifact://" + std::string(64, 'c'));
  EXPECT_EQ(fields(spec, stored), Fields{});
}

TEST(ValidateExec, AProductHasNoUseForKeysOfGangs) {
  v1::JobSpec spec;
  spec.mutable_matmul()->set_a("A.npy");
  spec.mutable_matmul()->set_b("B.npy");
  EXPECT_EQ(fields(spec), Fields{});
  spec.mutable_checkpoint()->set_keep(2);
  spec.mutable_stall_timeout()->set_seconds(5);
  spec.mutable_stop()->set_signal("SIGTERM");
  spec.set_retries(2);
  spec.mutable_host()->set_cpus(2);
  spec.set_transport("gang");
  spec.mutable_workers()->set_device("H100");
  EXPECT_EQ(fields(spec), (Fields{"checkpoint", "stall_timeout", "stop", "retries", "host",
                                  "transport", "workers.device"}));
}

}  // namespace
}  // namespace overwinter::spec
