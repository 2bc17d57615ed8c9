// A report of `overwinter doctor` in which all is well, and what is found wrong once something was
// changed in it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client/cli/doctor_findings.h"
#include "common/base/bytes.h"
#include "common/base/result.h"

namespace overwinter::cli {

inline constexpr std::int64_t kNow = 1'764'000'000;
inline constexpr std::int64_t kDay = 86'400;

inline v1::Worker worker(const std::string& name, const std::string& network = "10.0.0.0/24") {
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

inline v1::HostProbe host(const std::string& name) {
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

inline v1::PairProbe way(const std::string& from, const std::string& to) {
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
inline v1::DoctorReport healthy() {
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
  known.mutable_page_certificate_expire_time()->set_seconds(kNow + 60 * kDay);
  known.set_workers_port(7602);
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
inline std::vector<std::string> wrong(v1::DoctorReport report) {
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

inline int exit_code_after(void (*change)(v1::DoctorReport&)) {
  v1::DoctorReport report = healthy();
  change(report);
  judge(report);
  return doctor_exit_code(report);
}

inline void not_answered(v1::DoctorReport& report, const char* question, Code code) {
  v1::Unanswered& one = *report.add_unanswered();
  one.set_question(question);
  one.set_code(static_cast<int>(code));
  one.set_message("because");
}

// Whether that is the only thing found wrong: it begins so and says so.
inline testing::AssertionResult only(const std::vector<std::string>& found,
                                     const std::string& begin, const std::string& text) {
  if (found.size() == 1 && found[0].starts_with(begin) &&
      found[0].find(text) != std::string::npos) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << testing::PrintToString(found);
}

}  // namespace overwinter::cli
