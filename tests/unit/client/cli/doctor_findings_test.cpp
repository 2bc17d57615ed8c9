#include "client/cli/doctor_findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace overwinter::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t kNow = 1'764'000'000;
constexpr std::int64_t kDay = 86'400;

v1::Worker worker(const std::string& name, const std::string& network = "10.0.0.0/24") {
  v1::Worker out;
  out.set_name("workers/" + name);
  out.set_state(v1::Worker::READY);
  out.set_version("0.1.0");
  out.set_host_id("host of " + name);
  out.set_peer_address(network.empty() ? "" : "10.0.0.9:7610");
  out.set_network(network);
  out.set_memory_limit("cgroup v2");
  return out;
}

v1::HostProbe host(const std::string& name) {
  v1::HostProbe out;
  out.set_worker("workers/" + name);
  v1::HostFacts& facts = *out.mutable_facts();
  facts.mutable_time()->set_seconds(kNow);
  facts.set_shared_memory_free_bytes(kGiB);
  facts.set_shared_memory_total_bytes(2 * kGiB);
  facts.set_job_disk_free_bytes(40 * kGiB);
  facts.set_job_disk_total_bytes(50 * kGiB);
  facts.set_descriptors_open(30);
  facts.set_descriptors_limit(1024);
  facts.mutable_certificate_expire_time()->set_seconds(kNow + 29 * kDay);
  return out;
}

v1::PairProbe way(const std::string& from, const std::string& to) {
  v1::PairProbe out;
  out.set_from("workers/" + from);
  out.set_to("workers/" + to);
  out.set_peer_address("10.0.0.9:7610");
  out.set_same_network(true);
  v1::LinkFacts& link = *out.mutable_link();
  link.set_reachable(true);
  link.mutable_round_trip()->set_nanos(210'000);
  link.set_bytes_per_second(100 * kMiB);
  v1::PortFacts& port = *link.add_ports();
  port.set_port(7799);
  port.set_stands_for("ranks of Open MPI, 7620 to 7799");
  port.set_answer(v1::PortFacts::CLOSED);
  return out;
}

// Two machines where all is well.
v1::DoctorReport healthy() {
  v1::DoctorReport report;
  report.mutable_time()->set_seconds(kNow);
  report.set_version("0.1.0");
  report.set_address("10.0.0.1:7600");
  report.mutable_root_expire_time()->set_seconds(kNow + 3000 * kDay);
  report.set_pairs(true);
  report.mutable_status()->set_cluster("demo");
  report.mutable_status()->set_version("0.1.0");
  report.mutable_status()->set_dashboard("https://10.0.0.1:7601");
  v1::ClusterDiagnosis& known = *report.mutable_diagnosis();
  known.set_role("operator");
  known.mutable_now()->set_seconds(kNow);
  known.mutable_wall_time()->set_seconds(kNow);
  known.mutable_certificate_expire_time()->set_seconds(kNow + 80 * kDay);
  known.mutable_issuer_expire_time()->set_seconds(kNow + 300 * kDay);
  known.set_disk_free_bytes(40 * kGiB);
  known.set_disk_total_bytes(50 * kGiB);
  known.set_descriptors_open(90);
  known.set_descriptors_limit(65'536);
  known.set_store_turns(7'000);
  known.set_store_checked_turns(7'000);
  report.mutable_clock_offset()->set_nanos(3'000'000);
  report.mutable_clock_uncertainty()->set_nanos(2'000'000);
  for (const char* name : {"w1", "w2"}) {
    *report.add_workers() = worker(name);
    *report.mutable_probes()->add_hosts() = host(name);
  }
  *report.mutable_probes()->add_pairs() = way("w1", "w2");
  *report.mutable_probes()->add_pairs() = way("w2", "w1");
  return report;
}

// What is not OK, one line each: "FAILURE pairs workers/w2 text → next".
std::vector<std::string> wrong(v1::DoctorReport report) {
  judge(report);
  std::vector<std::string> out;
  for (const v1::Finding& one : report.findings()) {
    EXPECT_EQ(one.next().empty(), one.severity() == v1::Finding::OK) << one.ShortDebugString();
    EXPECT_FALSE(one.message().empty() || one.check().empty()) << one.ShortDebugString();
    if (one.severity() == v1::Finding::OK) continue;
    out.push_back(v1::Finding::Severity_Name(one.severity()) + " " + one.check() + " " +
                  one.subject() + " " + one.message() + " → " + one.next());
  }
  return out;
}

// Of a report in which one thing was changed.
template <class Change>
std::vector<std::string> wrong_after(Change change) {
  v1::DoctorReport report = healthy();
  change(report);
  return wrong(report);
}

int exit_code_after(void (*change)(v1::DoctorReport&)) {
  v1::DoctorReport report = healthy();
  change(report);
  judge(report);
  return doctor_exit_code(report);
}

void not_answered(v1::DoctorReport& report, const char* question, Code code) {
  v1::Unanswered& one = *report.add_unanswered();
  one.set_question(question);
  one.set_code(static_cast<int>(code));
  one.set_message("because");
}

// Whether that is the only thing found wrong: it begins so and says so.
testing::AssertionResult only(const std::vector<std::string>& found, const std::string& begin,
                              const std::string& text) {
  if (found.size() == 1 && found[0].starts_with(begin) &&
      found[0].find(text) != std::string::npos) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << testing::PrintToString(found);
}

TEST(DoctorFindings, NothingIsWrongWhereAllIsWell) {
  EXPECT_THAT(wrong(healthy()), IsEmpty());
  v1::DoctorReport report = healthy();
  judge(report);
  EXPECT_EQ(doctor_exit_code(report), 0);
  std::string pairs;
  for (const auto& one : report.findings()) {
    if (one.check() == "pairs") pairs = one.message();
  }
  EXPECT_THAT(pairs, HasSubstr("2 of 2 ways are open"));
  EXPECT_THAT(pairs, HasSubstr("100.0 MiB/s"));
  EXPECT_THAT(pairs, HasSubstr("0.21 ms"));
}

TEST(DoctorFindings, JudgingTwiceSaysItOnce) {
  v1::DoctorReport report = healthy();
  judge(report);
  const int once = report.findings_size();
  judge(report);
  EXPECT_EQ(report.findings_size(), once);
}

TEST(DoctorFindings, WhoReachesNobodyIsToldThatAlone) {
  const auto cut_off = [](v1::DoctorReport& report) {
    v1::DoctorReport little;
    *little.mutable_time() = report.time();
    *little.mutable_root_expire_time() = report.root_expire_time();
    not_answered(little, "status", Code::kUnavailable);
    report = little;
  };
  EXPECT_TRUE(only(wrong_after(cut_off), "FAILURE coordinator ", "because"));
  EXPECT_EQ(exit_code_after(cut_off), 3);
  EXPECT_EQ(exit_code_after([](v1::DoctorReport& report) {
              report.clear_status();
              not_answered(report, "status", Code::kUnauthenticated);
            }),
            4);
}

TEST(DoctorFindings, APageThatIsOutOfReachIsAWarning) {
  const auto change = [](v1::DoctorReport& r) { not_answered(r, "page", Code::kUnavailable); };
  EXPECT_TRUE(only(wrong_after(change), "WARNING page ", "--listen-dashboard"));
  EXPECT_EQ(exit_code_after(change), 0);
}

TEST(DoctorFindings, CertificatesAndTokensThatEndSoon) {
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.mutable_diagnosis()->mutable_certificate_expire_time()->set_seconds(kNow +
                                                                                           kDay);
                   }),
                   "WARNING certificates ", "the coordinator"));
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.mutable_diagnosis()->mutable_issuer_expire_time()->set_seconds(kNow - 1);
                   }),
                   "FAILURE certificates ", "root.key"));
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.mutable_root_expire_time()->set_seconds(kNow + 100 * kDay);
                   }),
                   "WARNING certificates ", "the root"));
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.mutable_diagnosis()->mutable_token_expire_time()->set_seconds(kNow +
                                                                                     13 * kDay);
                   }),
                   "WARNING token ", "tokens create"));
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.mutable_probes()
                         ->mutable_hosts(1)
                         ->mutable_facts()
                         ->mutable_certificate_expire_time()
                         ->set_seconds(kNow + 14 * kDay);
                   }),
                   "WARNING certificates workers/w2 ", "w2"));
}

TEST(DoctorFindings, AClockIsJudgedByWhatIsSure) {
  const auto with = [](std::int64_t offset_s, std::int64_t uncertain_s) {
    return wrong_after([=](v1::DoctorReport& r) {
      r.mutable_clock_offset()->set_seconds(offset_s);
      r.mutable_clock_offset()->set_nanos(0);
      r.mutable_clock_uncertainty()->set_seconds(uncertain_s);
    });
  };
  EXPECT_TRUE(only(with(-5, 0), "WARNING clock ", "5.0s behind this machine's"));
  EXPECT_TRUE(only(with(400, 0), "FAILURE clock ", "ahead of"));
  EXPECT_THAT(with(5, 4), IsEmpty());
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.mutable_diagnosis()->mutable_now()->set_seconds(kNow + 60);
                   }),
                   "WARNING clock ", "has jumped"));
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.mutable_probes()->mutable_hosts(0)->mutable_clock_offset()->set_seconds(-7);
                   }),
                   "WARNING clock workers/w1 ", "w1's clock"));
}

TEST(DoctorFindings, VersionsApart) {
  EXPECT_TRUE(
      only(wrong_after([](v1::DoctorReport& r) { r.mutable_workers(0)->set_version("0.2.3"); }),
           "WARNING versions workers/w1 ", "0.2.3"));
  EXPECT_TRUE(
      only(wrong_after([](v1::DoctorReport& r) { r.mutable_workers(0)->set_version("0.3.0"); }),
           "FAILURE versions workers/w1 ", "0.1.0"));
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) { r.set_version("1.1.0"); }),
                   "FAILURE versions ", "this command"));
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) { r.set_version("?"); }),
                   "FAILURE versions ", "this command"));
}

TEST(DoctorFindings, ADiskThatFills) {
  EXPECT_TRUE(only(
      wrong_after([](v1::DoctorReport& r) { r.mutable_diagnosis()->set_disk_free_bytes(kGiB); }),
      "WARNING disk ", "1.0 GiB of 50.0 GiB"));
  EXPECT_TRUE(
      only(wrong_after([](v1::DoctorReport& r) { r.mutable_status()->set_disk_full(true); }),
           "FAILURE disk ", "refused"));
}

TEST(DoctorFindings, WorkersThatAreNotThere) {
  const auto with = [](v1::Worker::State state) {
    return wrong_after([state](v1::DoctorReport& r) {
      v1::Worker& third = *r.add_workers();
      third = worker("w3");
      third.set_state(state);
    });
  };
  EXPECT_TRUE(only(with(v1::Worker::LOST), "FAILURE workers workers/w3 ", "workers remove w3"));
  EXPECT_TRUE(only(with(v1::Worker::DRAINING), "WARNING workers workers/w3 ", "workers resume w3"));
  EXPECT_TRUE(only(with(v1::Worker::JOINED), "WARNING workers workers/w3 ", "never connected"));
  EXPECT_THAT(with(v1::Worker::REMOVED), IsEmpty());
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.clear_workers();
                     r.clear_probes();
                   }),
                   "WARNING workers ", "tokens create --role worker"));
}

TEST(DoctorFindings, ProgramsAndMachines) {
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.mutable_workers(1)->set_no_exec("this kernel has no seccomp filters");
                   }),
                   "WARNING programs workers/w2 ", "seccomp"));
  EXPECT_THAT(
      wrong_after([](v1::DoctorReport& r) { r.mutable_workers(1)->set_no_exec("--no-exec"); }),
      IsEmpty());
  EXPECT_TRUE(
      only(wrong_after([](v1::DoctorReport& r) { r.mutable_workers(1)->clear_memory_limit(); }),
           "WARNING programs workers/w2 ", "memory"));
  const auto with = [](auto change) {
    return wrong_after([&](v1::DoctorReport& r) {
      change(*r.mutable_probes()->mutable_hosts(0)->mutable_facts());
    });
  };
  EXPECT_TRUE(only(with([](v1::HostFacts& f) { f.set_shared_memory_free_bytes(64 * kMiB); }),
                   "WARNING machines workers/w1 ", "--shm-size"));
  EXPECT_TRUE(only(with([](v1::HostFacts& f) { f.set_shared_memory_total_bytes(0); }),
                   "FAILURE machines workers/w1 ", "/dev/shm"));
  EXPECT_TRUE(only(with([](v1::HostFacts& f) { f.set_job_disk_free_bytes(kMiB); }),
                   "WARNING machines workers/w1 ", "--job-dir"));
  EXPECT_TRUE(only(with([](v1::HostFacts& f) { f.set_no_open_mpi("no /usr/bin/mpirun"); }),
                   "WARNING machines workers/w1 ", "no /usr/bin/mpirun"));
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.mutable_probes()->mutable_hosts(0)->clear_facts();
                     r.mutable_probes()->mutable_hosts(0)->set_message("w1 gave no answer");
                   }),
                   "WARNING machines workers/w1 ", "w1 gave no answer"));
}

TEST(DoctorFindings, MachinesThatShareNoNetwork) {
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.mutable_workers(1)->set_network("192.168.7.0/24");
                     r.set_pairs(false);
                   }),
                   "WARNING gangs ", "share a private network"));
  const auto found = wrong_after([](v1::DoctorReport& r) {
    *r.add_workers() = worker("w3", "");
    v1::PairProbe& none = *r.mutable_probes()->add_pairs();
    none.set_from("workers/w1");
    none.set_to("workers/w3");
    none.set_message("w3 has no peer port");
  });
  EXPECT_TRUE(only(found, "WARNING gangs workers/w3 ", "--peer-address"));
}

TEST(DoctorFindings, AWayThatIsClosedIsNamedWithBothEnds) {
  const auto silent = [](v1::DoctorReport& r) {
    v1::LinkFacts& link = *r.mutable_probes()->mutable_pairs(1)->mutable_link();
    link.set_reachable(false);
    link.set_message("no answer from 10.0.0.9:7610 within 2.0s");
    link.set_bytes_per_second(0);
  };
  EXPECT_TRUE(
      only(wrong_after(silent), "FAILURE pairs workers/w1 ", "from w2 to w1: no answer from"));
  EXPECT_EQ(exit_code_after(silent), 1);
  EXPECT_TRUE(only(wrong_after([&](v1::DoctorReport& r) {
                     silent(r);
                     r.mutable_probes()->mutable_pairs(1)->set_same_network(false);
                   }),
                   "WARNING pairs workers/w1 ", "private network"));
  const auto port = [](v1::PortFacts::Answer answer) {
    return wrong_after([answer](v1::DoctorReport& r) {
      r.mutable_probes()->mutable_pairs(0)->mutable_link()->mutable_ports(0)->set_answer(answer);
    });
  };
  EXPECT_TRUE(only(port(v1::PortFacts::SILENT), "FAILURE pairs workers/w2 ",
                   "from w1 to w2: ranks of Open MPI, 7620 to 7799: no answer on port 7799"));
  EXPECT_TRUE(only(port(v1::PortFacts::REJECTED), "FAILURE pairs workers/w2 ", "refused"));
  EXPECT_THAT(port(v1::PortFacts::ACCEPTED), IsEmpty());
  EXPECT_TRUE(
      only(wrong_after([](v1::DoctorReport& r) { r.mutable_probes()->set_pairs_left_out(3); }),
           "WARNING pairs ", "3 pairs"));
}

TEST(DoctorFindings, HooksThatCannotBeReadAreAWarning) {
  const auto change = [](v1::DoctorReport& r) {
    r.mutable_diagnosis()->set_notify_problem("notify.yaml: line 3: hooks[0].url");
  };
  EXPECT_TRUE(only(wrong_after(change), "WARNING hooks", "hooks[0].url; what was set before"));
  EXPECT_EQ(exit_code_after(change), 0);
}

TEST(DoctorFindings, DescriptorsThatRunOutAndLimitsThatAreLow) {
  const auto coordinator = [](std::uint64_t open, std::uint64_t limit) {
    return wrong_after([=](v1::DoctorReport& r) {
      r.mutable_diagnosis()->set_descriptors_open(open);
      r.mutable_diagnosis()->set_descriptors_limit(limit);
    });
  };
  EXPECT_TRUE(only(coordinator(8000, 10'000), "WARNING descriptors ", "8000 of 10000"));
  EXPECT_THAT(coordinator(7999, 10'000), IsEmpty());
  EXPECT_TRUE(only(coordinator(90, 4095), "WARNING descriptors ", "LimitNOFILE="));
  EXPECT_THAT(coordinator(90, 4096), IsEmpty());
  EXPECT_THAT(coordinator(90, std::numeric_limits<std::uint64_t>::max()), IsEmpty());
  EXPECT_THAT(coordinator(0, 0), IsEmpty());  // an older coordinator, or a token that may not know
  const auto worker = [](std::uint64_t open, std::uint64_t limit) {
    return wrong_after([=](v1::DoctorReport& r) {
      v1::HostFacts& facts = *r.mutable_probes()->mutable_hosts(1)->mutable_facts();
      facts.set_descriptors_open(open);
      facts.set_descriptors_limit(limit);
    });
  };
  EXPECT_TRUE(only(worker(900, 1024), "WARNING descriptors workers/w2 ", "w2 has 900 of 1024"));
  EXPECT_TRUE(only(worker(30, 256), "WARNING descriptors workers/w2 ", "ulimit"));
  EXPECT_THAT(worker(0, 0), IsEmpty());
}

TEST(DoctorFindings, AStoreThatIsDamagedFails) {
  const auto broken = [](v1::DoctorReport& r) {
    r.mutable_diagnosis()->set_store_problem("the log is damaged at turn 17: it is missing");
  };
  const auto found = wrong_after(broken);
  EXPECT_TRUE(only(found, "FAILURE store ", "turn 17"));
  EXPECT_THAT(found[0], HasSubstr("--verify"));
  EXPECT_THAT(found[0], HasSubstr("restore the newest backup"));
  EXPECT_EQ(exit_code_after(broken), 1);
  const auto not_looked_at = [](v1::DoctorReport& r) {
    r.mutable_diagnosis()->set_store_checked_turns(0);
  };
  EXPECT_TRUE(only(wrong_after(not_looked_at), "WARNING store ", "7000 turns"));
  EXPECT_EQ(exit_code_after(not_looked_at), 0);
}

TEST(DoctorFindings, ARestoreIsNewsForAWeek) {
  const auto restored = [](std::int64_t ago_s) {
    v1::DoctorReport report = healthy();
    report.mutable_status()->set_generation(2);
    report.mutable_status()->mutable_restored_time()->set_seconds(kNow - ago_s);
    report.mutable_status()->mutable_backup_time()->set_seconds(kNow - ago_s - 3600);
    return report;
  };
  EXPECT_TRUE(only(wrong(restored(kDay)), "WARNING restore ", "generation 2"));
  EXPECT_THAT(wrong(restored(8 * kDay)), IsEmpty());
  v1::DoctorReport old = restored(8 * kDay);
  judge(old);
  std::string text;
  for (const auto& one : old.findings()) {
    if (one.check() == "restore") text = one.message();
  }
  EXPECT_THAT(text, HasSubstr("is not known"));
}

TEST(DoctorFindings, WhatMayNotBeAskedFailsOnlyWhereItWasWanted) {
  const auto refused = [](v1::DoctorReport& r) {
    r.clear_probes();
    not_answered(r, "probes", Code::kPermissionDenied);
  };
  const auto alone = [](v1::DoctorReport& r) {
    r.set_pairs(false);
    r.clear_probes();
    not_answered(r, "probes", Code::kPermissionDenied);
  };
  EXPECT_TRUE(only(wrong_after(refused), "FAILURE pairs ", "operator"));
  EXPECT_EQ(exit_code_after(refused), 4);
  EXPECT_TRUE(only(wrong_after(alone), "WARNING machines ", "operator"));
  EXPECT_EQ(exit_code_after(alone), 0);
  const auto older = [](v1::DoctorReport& r) {
    r.clear_diagnosis();
    not_answered(r, "diagnosis", Code::kUnimplemented);
  };
  EXPECT_TRUE(only(wrong_after(older), "WARNING coordinator ", "upgrade the coordinator"));
  EXPECT_EQ(exit_code_after(older), 0);
}

}  // namespace
}  // namespace overwinter::cli
