#include "worker/gpus/gpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_nvml.h"

namespace overwinter::worker::gpus {
namespace {

using test::FakeNvml;
using testing::HasSubstr;

constexpr std::uint64_t kGb = std::uint64_t{1} << 30;

class GpusTest : public testing::Test {
 protected:
  GpusTest() {
    std::string form = (std::filesystem::temp_directory_path() / "gpus-XXXXXX").string();
    folder_ = ::mkdtemp(form.data());
    fake_.emplace(folder_);
  }
  ~GpusTest() override { std::filesystem::remove_all(folder_); }
  Gpus found() {
    fake_->save();
    return Gpus::find(FakeNvml::library());
  }

  std::filesystem::path folder_;
  std::optional<FakeNvml> fake_;
};

TEST_F(GpusTest, WithoutALibraryThereIsNone) {
  const Gpus gpus = Gpus::find("libno-such-library.so.1");
  EXPECT_TRUE(gpus.list().empty());
  EXPECT_THAT(gpus.why_none(), HasSubstr("libno-such-library.so.1"));
  EXPECT_EQ(gpus.use("GPU-a").error().code, Code::kNotFound);
}

TEST_F(GpusTest, AnotherLibraryIsNone) {
  const Gpus gpus = Gpus::find("libc.so.6");
  EXPECT_TRUE(gpus.list().empty());
  EXPECT_THAT(gpus.why_none(), HasSubstr("nvmlInit_v2"));
}

TEST_F(GpusTest, ADriverThatDoesNotAnswerIsSaidInItsOwnWords) {
  fake_->init = 9;
  const Gpus gpus = found();
  EXPECT_TRUE(gpus.list().empty());
  EXPECT_THAT(gpus.why_none(), HasSubstr("Driver Not Loaded (NVML error 9)"));
}

TEST_F(GpusTest, AMachineWithoutOneSaysSo) {
  const Gpus gpus = found();
  EXPECT_TRUE(gpus.list().empty());
  EXPECT_EQ(gpus.why_none(), "NVIDIA's driver knows no GPU");
}

TEST_F(GpusTest, TheyAreListedInTheOrderOfTheirBusIds) {
  fake_->gpus = {{.uuid = "GPU-b", .number = 0, .bus = "00000000:9B:00.0", .name = "NVIDIA L40S"},
                 {.uuid = "GPU-a",
                  .total = 80 * kGb,
                  .used = 2 * kGb,
                  .reserved = kGb,
                  .number = 7,
                  .bus = "00000000:3B:00.0",
                  .name = "NVIDIA H100 80GB HBM3"}};
  const Gpus gpus = found();
  EXPECT_EQ(gpus.driver(), "550.54.15");
  EXPECT_EQ(gpus.why_none(), "");
  ASSERT_EQ(gpus.list().size(), 2U);
  const Gpu& first = gpus.list()[0];
  EXPECT_EQ(first.uuid, "GPU-a");
  EXPECT_EQ(first.name, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(first.pci_bus_id, "00000000:3B:00.0");
  EXPECT_EQ(first.memory_bytes, 80 * kGb);
  EXPECT_EQ(first.reserved_bytes, kGb);
  EXPECT_EQ(first.number, 7U);
  EXPECT_EQ(gpus.list()[1].uuid, "GPU-b");
}

TEST_F(GpusTest, OneInPiecesAndOneThatFailsAreLeftOutAloud) {
  fake_->gpus = {{.uuid = "GPU-a", .mig = true}, {.uuid = "GPU-b"}, {.uuid = "GPU-c"}};
  fake_->lost["GPU-b"] = 15;
  const Gpus gpus = found();
  ASSERT_EQ(gpus.list().size(), 1U);
  EXPECT_EQ(gpus.list()[0].uuid, "GPU-c");
  ASSERT_EQ(gpus.left_out().size(), 2U);
  EXPECT_THAT(gpus.left_out()[0], HasSubstr("GPU 0 (GPU-a): it is divided by MIG"));
  EXPECT_THAT(gpus.left_out()[1], HasSubstr("GPU 1: Unknown Error (NVML error 15)"));
  fake_->gpus.pop_back();
  EXPECT_THAT(found().why_none(), HasSubstr("MIG")) << "when none is left, the first is why";
}

TEST_F(GpusTest, UseIsTheDevicesAndThatOfEachProcess) {
  fake_->gpus = {{.uuid = "GPU-a"}, {.uuid = "GPU-b", .used = 5 * kGb}};
  const Gpus gpus = found();
  fake_->processes = {{"GPU-b", 11, 3 * kGb}, {"GPU-b", 12, std::nullopt}, {"GPU-a", 13, kGb}};
  fake_->save();
  const auto use = gpus.use("GPU-b");
  ASSERT_TRUE(use.has_value()) << use.error().message;
  EXPECT_EQ(use->used_bytes, 5 * kGb);
  ASSERT_EQ(use->processes.size(), 2U);
  EXPECT_EQ(use->processes[0].pid, 11);
  EXPECT_EQ(use->processes[0].used_bytes, 3 * kGb);
  EXPECT_EQ(use->processes[1].pid, 12);
  EXPECT_EQ(use->processes[1].used_bytes, std::nullopt);
}

TEST_F(GpusTest, ManyProcessesAreAllListed) {
  fake_->gpus = {{.uuid = "GPU-a"}};
  for (pid_t pid = 1; pid <= 500; ++pid) fake_->processes.push_back({"GPU-a", pid, 1});
  EXPECT_EQ(found().use("GPU-a")->processes.size(), 500U);
  for (pid_t pid = 501; pid <= 5000; ++pid) fake_->processes.push_back({"GPU-a", pid, 1});
  EXPECT_TRUE(found().use("GPU-a")->processes.empty()) << "more than are ever taken: not believed";
}

TEST_F(GpusTest, OneThatFallsOffItsBusIsSaid) {
  fake_->gpus = {{.uuid = "GPU-a"}};
  const Gpus gpus = found();
  fake_->lost["GPU-a"] = 15;
  fake_->save();
  EXPECT_EQ(gpus.use("GPU-a").error().code, Code::kUnavailable);
  EXPECT_THAT(gpus.use("GPU-a").error().message, HasSubstr("GPU-a: "));
  EXPECT_EQ(gpus.use("GPU-x").error().code, Code::kNotFound);
}

TEST_F(GpusTest, AnOlderDriverTellsLess) {
  fake_->gpus = {{.uuid = "GPU-a", .total = 16 * kGb, .used = kGb, .reserved = 7, .number = 3}};
  fake_->processes = {{"GPU-a", 11, kGb}, {"GPU-a", 12, 2}};
  fake_->save();
  const Gpus gpus = Gpus::find(FakeNvml::old_library());
  ASSERT_EQ(gpus.list().size(), 1U) << gpus.why_none();
  const Gpu& gpu = gpus.list()[0];
  EXPECT_EQ(gpu.memory_bytes, 16 * kGb);
  EXPECT_EQ(gpu.reserved_bytes, 0U);
  EXPECT_EQ(gpu.pci_bus_id, "");
  EXPECT_EQ(gpu.number, std::nullopt);
  const auto use = gpus.use("GPU-a");
  ASSERT_TRUE(use.has_value());
  ASSERT_EQ(use->processes.size(), 2U);
  EXPECT_EQ(use->processes[1].pid, 12);
  EXPECT_EQ(use->processes[1].used_bytes, 2U);
}

}  // namespace
}  // namespace overwinter::worker::gpus
