// What every Accelerator does: the twin in the host's memory, and a GPU where there is one.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "worker/cuda/accelerator.h"
#include "worker/cuda/device_resource.h"

namespace overwinter::worker::cuda {

inline void expect_done(const Status& status) {
  EXPECT_TRUE(status.ok()) << status.message;
}

// Bytes go there and back, whole and by rows with gaps on either side, and nothing else is written.
inline void expect_copies(Accelerator& device) {
  constexpr std::size_t kRows = 37;
  constexpr std::size_t kRowBytes = 101;
  constexpr std::size_t kDeviceStride = 128;
  constexpr std::size_t kHostStride = 110;
  std::mt19937 random(1);
  std::vector<std::uint8_t> from(kRows * kHostStride);
  for (std::uint8_t& byte : from) byte = static_cast<std::uint8_t>(random());
  auto first = Buffer::make(device.memory(), kRows * kDeviceStride);
  auto second = Buffer::make(device.memory(), kRows * kDeviceStride);
  ASSERT_TRUE(first && second);
  expect_done(device.clear(first->data(), first->size()));
  expect_done(
      device.upload({first->data(), kDeviceStride, from.data(), kHostStride, kRowBytes, kRows}));
  expect_done(device.copy(bytes_copy(second->data(), first->data(), first->size())));
  expect_done(device.clear(first->data(), first->size()));
  std::vector<std::uint8_t> back(kRows * kHostStride, 7);
  expect_done(
      device.download({back.data(), kHostStride, second->data(), kDeviceStride, kRowBytes, kRows}));
  std::vector<std::uint8_t> whole(second->size());
  expect_done(device.download(bytes_copy(whole.data(), second->data(), whole.size())));
  for (std::size_t i = 0; i < back.size(); ++i)
    ASSERT_EQ(back[i], i % kHostStride < kRowBytes ? from[i] : 7) << i;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::size_t column = i % kDeviceStride;
    ASSERT_EQ(whole[i], column < kRowBytes ? from[i / kDeviceStride * kHostStride + column] : 0);
  }
  expect_done(device.upload({}));  // nothing
  expect_done(device.clear(nullptr, 0));
  expect_done(device.wait());
}

// Pieces of a bounded pool are apart, and what is too much is refused in words.
inline void expect_memory(Accelerator& device) {
  EXPECT_FALSE(device.name().empty());
  EXPECT_GT(device.memory_bytes(), std::size_t{1} << 28);
  constexpr std::size_t kAllowed = std::size_t{64} << 20;
  BoundedPool bounded(device.memory(), kAllowed, "the device");
  std::vector<Buffer> held;
  for (std::size_t i = 0; i < 50; ++i) {
    auto one = Buffer::make(bounded.memory(), 1000 * (i + 1));
    ASSERT_TRUE(one) << one.error().message;
    held.push_back(*std::move(one));
    const std::vector<std::uint8_t> filled(held[i].size(), static_cast<std::uint8_t>(i));
    expect_done(device.upload(bytes_copy(held[i].data(), filled.data(), filled.size())));
  }
  for (std::size_t i = 0; i < held.size(); ++i) {
    std::vector<std::uint8_t> back(held[i].size());
    expect_done(device.download(bytes_copy(back.data(), held[i].data(), back.size())));
    ASSERT_EQ(back, std::vector<std::uint8_t>(back.size(), static_cast<std::uint8_t>(i)));
  }
  const auto refused = Buffer::make(bounded.memory(), kAllowed);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  const auto impossible = Buffer::make(device.memory(), SIZE_MAX - 5000);
  ASSERT_FALSE(impossible);
  EXPECT_EQ(impossible.error().code, Code::kResourceExhausted);
  const auto too_much = Buffer::make(device.memory(), std::size_t{1} << 46);
  ASSERT_FALSE(too_much);
  EXPECT_EQ(too_much.error().code, Code::kResourceExhausted);
  expect_done(device.wait());  // a refusal is no failure of the device
}

}  // namespace overwinter::worker::cuda
