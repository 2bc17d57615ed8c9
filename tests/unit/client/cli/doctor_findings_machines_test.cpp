#include "client/cli/doctor_findings_machines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/unit/client/cli/doctor_report.h"

namespace overwinter::cli {
namespace {

using testing::IsEmpty;

TEST(DoctorFindingsMachines, WorkersThatAreNotThere) {
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

TEST(DoctorFindingsMachines, ProgramsAndMachines) {
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

TEST(DoctorFindingsMachines, MachinesThatShareNoNetwork) {
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

TEST(DoctorFindingsMachines, AWayThatIsClosedIsNamedWithBothEnds) {
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

TEST(DoctorFindingsMachines, DescriptorsThatRunOutAndLimitsThatAreLow) {
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

}  // namespace
}  // namespace overwinter::cli
