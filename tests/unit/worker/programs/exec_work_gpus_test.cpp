#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/fake_nvml.h"
#include "tests/unit/worker/programs/exec_work_room.h"
#include "worker/programs/exec_work.h"

namespace overwinter::worker::test {
namespace {

using testing::HasSubstr;

// A worker of a processor (device 0) and two GPUs (1 and 2), as far as its driver is concerned.
class GpuProgramTest : public ExecWorkTest {
 protected:
  void SetUp() override {
    ExecWorkTest::SetUp();
    if (IsSkipped()) return;
    fake_.emplace(base_);
    fake_->gpus = {{.uuid = "GPU-a", .used = 1024 * kMib},
                   {.uuid = "GPU-b", .number = 1, .bus = "00000000:02:00.0"}};
    fake_->save();
    gpus_.emplace(gpus::Gpus::find(overwinter::test::FakeNvml::library()));
    ASSERT_EQ(gpus_->list().size(), 2U) << gpus_->why_none();
    fs::create_directory(base_ / "dev");
    ASSERT_EQ(::chmod((base_ / "dev").c_str(), 0755), 0);
    for (const char* name : {"nvidia0", "nvidia1", "nvidiactl"}) {
      write_node(name, name);
      ASSERT_EQ(::chmod(node(name).c_str(), 0666), 0);
    }
    site_.gpus = &*gpus_;
    site_.own_pid_numbers = true;
    look_at_nodes();
  }
  void look_at_nodes() {
    site_.devices = {ProgramDevice{}};
    for (const gpus::Gpu& gpu : gpus_->list())
      site_.devices.push_back({gpu.uuid, "H100",
                               gpus::nodes_of(gpu, site_.confinement.own_uid, base_ / "dev"),
                               512 * kMib});
  }
  std::string node(const std::string& name) { return (base_ / "dev" / name).string(); }
  void write_node(const std::string& name, const std::string& text) {
    std::ofstream(node(name)) << text;
  }
  void run_on(const std::vector<DeviceIndex>& devices) {
    const Status prepared = prepare();
    ASSERT_TRUE(prepared.ok()) << prepared.message;
    const Status started = start_on(devices);
    ASSERT_TRUE(started.ok()) << started.message;
  }

  std::optional<overwinter::test::FakeNvml> fake_;
  std::optional<gpus::Gpus> gpus_;
};

TEST_F(GpuProgramTest, EachProcessIsToldOfAllOfTheJobsInTheOrderOfItsRanks) {
  bash("echo \"$CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER\"");
  run_on({2, 1});
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  for (const std::uint32_t rank : {0U, 1U})
    EXPECT_EQ(ports_.text(rank), "GPU-b,GPU-a PCI_BUS_ID\n");
}

TEST_F(GpuProgramTest, WhatTheJobFileSaysOfThemDoesNotCount) {
  (*spec_.mutable_exec()->mutable_env())["CUDA_VISIBLE_DEVICES"] = "GPU-b";
  bash("echo $CUDA_VISIBLE_DEVICES");
  run_on({1});
  ports_.wait_over();
  EXPECT_EQ(ports_.text(), "GPU-a\n");
}

TEST_F(GpuProgramTest, OnAProcessorItSeesNoneAndOpensNone) {
  bash("echo \"[$CUDA_VISIBLE_DEVICES]\"; cat " + node("nvidia0") + " " + node("nvidiactl") +
       " || echo closed");
  run_on({0});
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  EXPECT_THAT(ports_.text(), HasSubstr("[]\n"));
  EXPECT_THAT(ports_.text(), HasSubstr("closed\n"));
  EXPECT_THAT(ports_.text(), testing::Not(HasSubstr("nvidia0\nn")));
}

TEST_F(GpuProgramTest, ItOpensItsOwnAndNoOther) {
  bash("cat " + node("nvidia0") + "; echo; cat " + node("nvidiactl") + "; echo; echo mine > " +
       node("nvidia0") + "; cat " + node("nvidia1") + " || echo closed");
  run_on({1});
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted) << ports_.text();
  EXPECT_THAT(ports_.text(), HasSubstr("nvidia0\n"));
  EXPECT_THAT(ports_.text(), HasSubstr("nvidiactl\n"));
  EXPECT_THAT(ports_.text(), HasSubstr("closed\n"));
  EXPECT_EQ(file_text(node("nvidia0")), "mine\n");
}

TEST_F(GpuProgramTest, AGroupOfTheNodesIsItsToo) {
  if (!site_.confinement.own_uid) GTEST_SKIP() << "programs run as this user";
  for (const char* name : {"nvidia0", "nvidiactl"}) {
    ASSERT_EQ(::chmod(node(name).c_str(), 0660), 0);
    ASSERT_EQ(::chown(node(name).c_str(), 0, 44), 0);
  }
  look_at_nodes();
  bash("cat " + node("nvidia0"));
  run_on({1});
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted) << ports_.text();
}

TEST_F(GpuProgramTest, OneWhoseProcessesUseMoreThanItsSeatIsEndedWithTheNumbers) {
  bash("if [ $RANK = 1 ]; then sleep 1000 & echo pid $!; wait; fi; sleep 1000");
  run_on({1, 2});
  const pid_t pid = std::stoi(ports_.wait_word("pid", 1));
  // Of another's, on the same GPU, and of its own on the other, within its seat.
  fake_->processes = {{"GPU-b", 1, 9000 * kMib}, {"GPU-a", pid, 200 * kMib}};
  fake_->processes.push_back({"GPU-b", pid, 300 * kMib});
  fake_->save();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_THAT(how.message,
              HasSubstr("ended for its memory on the H100 GPU-b: 300.0 MiB of 256.0 MiB"));
  EXPECT_THAT(how.message, HasSubstr("by what its driver says of the program's processes"));
  EXPECT_EQ(how.exit.rank, 1U);
  EXPECT_EQ(ports_.peak(), 300 * kMib);
  EXPECT_NE(::kill(pid, 0), 0) << "a process of it lives on";
}

TEST_F(GpuProgramTest, WhereTheDriverNamesNoProcessTheWholeGpuCounts) {
  site_.own_pid_numbers = false;
  bash("echo up; sleep 1000");
  run_on({1});
  ports_.wait_line("up");
  fake_->gpus[0].used += 257 * kMib;
  fake_->save();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_THAT(how.message, HasSubstr("257.0 MiB of 256.0 MiB allowed"));
  EXPECT_THAT(how.message, HasSubstr("by what all of it uses more than before the program"));
}

TEST_F(GpuProgramTest, WhatItUsesIsToldAndAtMostIsItsPeak) {
  bash("echo pid $$; while [ \"$(cat " + node("nvidia0") +
       ")\" != go ]; do echo at it; sleep 0.05; done");
  run_on({1});
  const pid_t pid = std::stoi(ports_.wait_word("pid"));
  fake_->processes = {{"GPU-a", pid, kSeatMemory}};
  fake_->save();
  ports_.wait_used(kSeatMemory, kSeatMemory);
  ports_.wait_peak(kSeatMemory);
  fake_->processes[0].used = 1;
  fake_->save();
  ports_.wait_used(1, 1);
  write_node("nvidia0", "go");
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted) << "all of its seat is its own";
  EXPECT_EQ(ports_.peak(), kSeatMemory);
  EXPECT_EQ(ports_.used(), 0U);
}

TEST_F(GpuProgramTest, ADriverThatFailsMeanwhileEndsNothing) {
  bash("echo up; while [ \"$(cat " + node("nvidia0") + ")\" != go ]; do sleep 0.05; done");
  run_on({1});
  ports_.wait_line("up");
  fake_->lost["GPU-a"] = 15;
  fake_->save();
  write_node("nvidia0", "go");
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
}

TEST_F(GpuProgramTest, TheMachinesMemoryBesideItIsLimitedToo) {
  site_.devices[1].host_memory_bytes = 64 * kMib;
  bash("head -c 200M /dev/zero | tail -c 150M > /dev/null; sleep 1000");
  run_on({1});
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_THAT(how.message, HasSubstr("of 64.0 MiB allowed"));
}

}  // namespace
}  // namespace overwinter::worker::test
