#include "worker/app/device_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/bytes.h"

namespace overwinter::worker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const HostSize kMachine{100 * kGiB, 24};

gpus::Gpu a_gpu(const std::string& uuid, std::uint64_t gib = 80) {
  gpus::Gpu gpu;
  gpu.uuid = uuid;
  gpu.name = "NVIDIA H100";
  gpu.memory_bytes = gib * kGiB;
  gpu.reserved_bytes = kGiB / 2 + 1;
  return gpu;
}
DeviceSpec wish(const char* text) {
  const auto spec = parse_device(text);
  EXPECT_TRUE(spec.has_value()) << text;
  return spec ? *spec : DeviceSpec{};
}
DevicePlan plan(const std::vector<DeviceSpec>& wishes, const std::vector<gpus::Gpu>& gpus,
                const std::string& why_none = "") {
  return plan_devices(wishes, wished_gpus(wishes, gpus), why_none, kMachine);
}

TEST(DevicePlan, WithoutAWishItIsTheProcessorAndEveryGpu) {
  const DevicePlan none = plan({}, {}, "no library");
  ASSERT_EQ(none.devices.size(), 1U);
  EXPECT_EQ(none.devices[0].memory_bytes, 80 * kGiB);
  EXPECT_EQ(none.devices[0].threads, 24U);
  EXPECT_TRUE(none.missing.empty()) << "nobody asked for one";
  const DevicePlan all = plan({}, {a_gpu("GPU-a"), a_gpu("GPU-b")});
  ASSERT_EQ(all.devices.size(), 3U);
  EXPECT_FALSE(all.devices[0].gpu);
  EXPECT_EQ(all.devices[0].memory_bytes, 80 * kGiB / 3 / kMiB * kMiB);
  EXPECT_EQ(all.devices[0].threads, 8U);
  for (const std::size_t i : {1U, 2U}) {
    const PlannedDevice& device = all.devices[i];
    ASSERT_TRUE(device.gpu);
    EXPECT_EQ(device.gpu->uuid, i == 1 ? "GPU-a" : "GPU-b");
    EXPECT_EQ(device.memory_bytes, 79 * kGiB + 511 * kMiB) << "whole MiB, less the driver's own";
    EXPECT_EQ(device.host_memory_bytes, 80 * kGiB / 3 / kMiB * kMiB);
    EXPECT_EQ(device.threads, 8U);
  }
}

TEST(DevicePlan, WhatIsSaidIsTakenAndTheRestShared) {
  const DevicePlan some = plan({wish("cpu:memory=4GiB,threads=2"),
                                wish("gpu:memory=40GiB,host-memory=16GiB,threads=4"), wish("cpu")},
                               {a_gpu("GPU-a")});
  ASSERT_EQ(some.devices.size(), 3U);
  EXPECT_EQ(some.devices[0].memory_bytes, 4 * kGiB);
  EXPECT_EQ(some.devices[0].threads, 2U);
  EXPECT_EQ(some.devices[1].memory_bytes, 40 * kGiB);
  EXPECT_EQ(some.devices[1].host_memory_bytes, 16 * kGiB);
  EXPECT_EQ(some.devices[1].threads, 4U);
  EXPECT_EQ(some.devices[2].memory_bytes, 80 * kGiB);
  EXPECT_EQ(some.devices[2].threads, 24U);
  EXPECT_TRUE(some.missing.empty());
}

TEST(DevicePlan, OneByItsNameAndTheOthers) {
  const std::vector<gpus::Gpu> gpus = {a_gpu("GPU-a"), a_gpu("GPU-b"), a_gpu("GPU-c")};
  const DevicePlan all = plan({wish("gpu:uuid=GPU-b,memory=10GiB"), wish("gpu")}, gpus);
  ASSERT_EQ(all.devices.size(), 3U);
  EXPECT_EQ(all.devices[0].gpu->uuid, "GPU-b");
  EXPECT_EQ(all.devices[0].memory_bytes, 10 * kGiB);
  EXPECT_EQ(all.devices[1].gpu->uuid, "GPU-a");
  EXPECT_EQ(all.devices[2].gpu->uuid, "GPU-c");
  const std::vector<DeviceSpec> one = {wish("gpu:uuid=GPU-c")};
  ASSERT_EQ(wished_gpus(one, gpus).size(), 1U) << "others are for other workers";
  EXPECT_EQ(wished_gpus(one, gpus)[0].uuid, "GPU-c");
  EXPECT_TRUE(wished_gpus({wish("cpu")}, gpus).empty());
  EXPECT_EQ(wished_gpus({}, gpus).size(), 3U);
}

TEST(DevicePlan, WhatWasAskedForAndIsNotThereIsSaid) {
  EXPECT_THAT(plan({wish("gpu")}, {}, "Driver Not Loaded").missing,
              ElementsAre("there is no GPU to offer here: Driver Not Loaded"));
  const DevicePlan other = plan({wish("cpu"), wish("gpu:uuid=GPU-x")}, {a_gpu("GPU-a")});
  EXPECT_THAT(other.missing, ElementsAre("there is no GPU-x to offer here"));
  EXPECT_EQ(other.devices.size(), 1U) << "what is there is offered";
  const DevicePlan large = plan({wish("gpu:memory=90GiB")}, {a_gpu("GPU-a")});
  ASSERT_EQ(large.missing.size(), 1U);
  EXPECT_THAT(large.missing[0], HasSubstr("90.0 GiB of GPU-a"));
  EXPECT_EQ(large.devices[0].memory_bytes, 79 * kGiB + 511 * kMiB);
  EXPECT_THAT(plan({wish("gpu"), wish("gpu")}, {a_gpu("GPU-a")}).missing,
              ElementsAre(HasSubstr("given twice")));
}

TEST(DevicePlan, ThereIsAMostOfDevices) {
  std::vector<gpus::Gpu> gpus;
  for (int i = 0; i < 70; ++i) gpus.push_back(a_gpu("GPU-" + std::to_string(i)));
  const DevicePlan many = plan({}, gpus);
  EXPECT_EQ(many.devices.size(), kDevicesOfWorkerMax);
  EXPECT_EQ(many.missing.size(), 1U);
}

}  // namespace
}  // namespace overwinter::worker
