#include <gtest/gtest.h>

#include "common/base/bytes.h"
#include "worker/runtime/device.h"

namespace overwinter::worker {
namespace {

constexpr std::byte kMark{0xA5};

// The first byte of so much memory, which is marked and given back.
std::byte first_byte(Device& device, std::size_t bytes) {
  Buffer buffer = Buffer::make(device.memory(), bytes).value();
  const std::byte first = buffer.data()[0];
  buffer.data()[0] = kMark;
  return first;
}

TEST(CpuDevice, WhatASeatGaveBackIsWarmForTheNextUntilATrim) {
  const auto device = make_cpu_device(256 * kMiB, 1, 0);
  EXPECT_EQ(first_byte(*device, 8 * kMiB), std::byte{0});  // the system's
  EXPECT_EQ(first_byte(*device, 8 * kMiB), kMark);
  EXPECT_EQ(device->memory().held_bytes(), 0U);
  device->trim();
  EXPECT_EQ(first_byte(*device, 8 * kMiB), std::byte{0});
}

TEST(CpuDevice, AnEighthOfItsBudgetStaysWarmAtMost) {
  const auto device = make_cpu_device(64 * kMiB, 1, 0);
  first_byte(*device, 8 * kMiB + 4096);
  EXPECT_EQ(first_byte(*device, 8 * kMiB + 4096), std::byte{0});
}

TEST(CpuDevice, ItsWholeBudgetCanBeHadWhateverIsWarm) {
  const auto device = make_cpu_device(64 * kMiB, 1, 0);
  first_byte(*device, 5 * kMiB);
  first_byte(*device, 3 * kMiB);
  EXPECT_TRUE(Buffer::make(device->memory(), 64 * kMiB).has_value());
  const auto refused = Buffer::make(device->memory(), 64 * kMiB + 1);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message,
            "out of the memory of device 0: 64.0 MiB asked, 0 B held, 64.0 MiB allowed");
}

TEST(CpuDevice, TellsTheSpeedOfWhatItHasInstructionsFor) {
  const auto device = make_cpu_device(64 * kMiB, 1, 0);
  measure(*device, 0.01);
  const DeviceInfo& info = device->info();
  EXPECT_GT(info.gflops_fp32, 0);
  EXPECT_GT(info.gflops_fp64, 0);
  EXPECT_EQ(info.gflops_bf16 > 0, !device->gemm().widens(GemmType::kBf16));
  EXPECT_EQ(info.gflops_fp16 > 0, !device->gemm().widens(GemmType::kFp16));
  EXPECT_EQ(info.gflops_int8 > 0, !device->gemm().widens(GemmType::kInt8));
}

}  // namespace
}  // namespace overwinter::worker
