#include "common/domain/device.h"

#include <gtest/gtest.h>

namespace overwinter {
namespace {

constexpr std::uint64_t kMib = std::uint64_t{1} << 20;

DeviceInfo a_gpu(const char* kind, std::uint64_t total_mib) {
  DeviceInfo device;
  device.kind = kind;
  device.memory_total_bytes = total_mib * kMib;
  device.memory_bytes = device.memory_total_bytes / 2;
  return device;
}

TEST(Device, WhatIsNoProcessorIsAGpu) {
  EXPECT_FALSE(is_gpu({.kind = "cpu"}));
  EXPECT_TRUE(is_gpu({.kind = "H100"}));
  EXPECT_TRUE(is_gpu({.kind = "gpu"}));
}

TEST(Device, AKindIsAnyOneClassOrAModel) {
  const DeviceInfo cpu{.kind = "cpu", .memory_bytes = 900'000 * kMib};
  const DeviceInfo gpu = a_gpu("H100", 81'559);
  for (const char* wish : {"any", "cpu"}) EXPECT_TRUE(suits(wish, cpu)) << wish;
  for (const char* wish : {"gpu", "H100", "80GB", "", "CPU"})
    EXPECT_FALSE(suits(wish, cpu)) << wish;
  for (const char* wish : {"any", "gpu", "H100", "h100"}) EXPECT_TRUE(suits(wish, gpu)) << wish;
  for (const char* wish : {"cpu", "H200", "GH100", "H10", "", "H100 "})
    EXPECT_FALSE(suits(wish, gpu)) << wish;
}

// Makers count in powers of ten, or leave out what error correction takes: each GPU holds at least
// what its name says.
TEST(Device, ASizeIsTheLeastThatAGpuHas) {
  EXPECT_TRUE(suits("80GB", a_gpu("H100", 81'559)));
  EXPECT_TRUE(suits("80GB", a_gpu("H200", 143'771)));
  EXPECT_TRUE(suits("16GB", a_gpu("T4", 15'360)));
  EXPECT_TRUE(suits("24gb", a_gpu("A10", 23'028)));
  EXPECT_FALSE(suits("80GB", a_gpu("A100", 40'960)));
  EXPECT_FALSE(suits("80GiB", a_gpu("H100", 81'559)));
  EXPECT_TRUE(suits("79GiB", a_gpu("H100", 81'559)));
  DeviceInfo old{.kind = "T4", .memory_bytes = 15'360 * kMib};
  EXPECT_TRUE(suits("16GB", old)) << "from before all of it was told";
  for (const char* wish : {"0GB", "GB", "80", "80TB", "80GB ", "80GBx", "-1GB", "1000001GB",
                           "99999999999999999999999GB"})
    EXPECT_FALSE(suits(wish, a_gpu("H100", 81'559))) << wish;
}

TEST(Device, ExactlyTheSizeIsEnough) {
  DeviceInfo device{.kind = "X"};
  device.memory_total_bytes = 80'000'000'000;
  EXPECT_TRUE(suits("80GB", device));
  --device.memory_total_bytes;
  EXPECT_FALSE(suits("80GB", device));
}

}  // namespace
}  // namespace overwinter
