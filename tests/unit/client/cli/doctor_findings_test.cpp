#include "client/cli/doctor_findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/client/cli/doctor_report.h"

namespace overwinter::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

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

TEST(DoctorFindings, AStatusThatCannotBeReadIsADamagedStore) {
  const auto change = [](v1::DoctorReport& report) {
    report.clear_status();
    not_answered(report, "status", Code::kDataLoss);
  };
  EXPECT_TRUE(only(wrong_after(change), "FAILURE store ", "is damaged: because"));
  EXPECT_EQ(exit_code_after(change), 1);
}

TEST(DoctorFindings, APageThatIsOutOfReachIsAWarning) {
  const auto change = [](v1::DoctorReport& r) { not_answered(r, "page", Code::kUnavailable); };
  EXPECT_TRUE(only(wrong_after(change), "WARNING page ", "--listen-dashboard"));
  EXPECT_EQ(exit_code_after(change), 0);
}

TEST(DoctorFindings, AWorkersPortThatIsOutOfReachIsAWarning) {
  const auto change = [](v1::DoctorReport& r) { not_answered(r, "port", Code::kUnavailable); };
  EXPECT_TRUE(only(wrong_after(change), "WARNING ports ", "--listen-workers"));
  EXPECT_EQ(exit_code_after(change), 0);
}

TEST(DoctorFindings, CertificatesAndTokensThatEndSoon) {
  EXPECT_TRUE(only(wrong_after([](v1::DoctorReport& r) {
                     r.mutable_diagnosis()->mutable_page_certificate_expire_time()->set_seconds(
                         kNow + 13 * kDay);
                   }),
                   "WARNING certificates ", "--dashboard-cert"));
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

TEST(DoctorFindings, HooksThatCannotBeReadAreAWarning) {
  const auto change = [](v1::DoctorReport& r) {
    r.mutable_diagnosis()->set_notify_problem("notify.yaml: line 3: hooks[0].url");
  };
  EXPECT_TRUE(only(wrong_after(change), "WARNING hooks", "hooks[0].url; what was set before"));
  EXPECT_EQ(exit_code_after(change), 0);
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
