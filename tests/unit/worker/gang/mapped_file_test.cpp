#include "worker/gang/mapped_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/bytes.h"
#include "tests/unit/worker/gang/train_support.h"

namespace overwinter::worker {
namespace {

// Of pages that belong to files.
std::uint64_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) return std::stoull(line.substr(8)) * kKiB;
  }
  return 0;
}

std::size_t nines(std::span<const std::byte> bytes) {
  return static_cast<std::size_t>(std::ranges::count(bytes, std::byte{9}));
}

TEST(MappedFileTest, WhatIsReleasedLeavesTheProcessAndCanBeReadAgain) {
  constexpr std::size_t kSize = 32 * kMiB;
  const fs::path path =
      fs::temp_directory_path() / ("mapped_file_" + std::to_string(::getpid()) + ".bin");
  std::ofstream(path, std::ios::binary) << std::string(kSize, '\x09');
  v1::LocalFile file;
  file.set_path(path.string());
  file.set_size_bytes(kSize);
  const auto mapped = MappedFile::open(file);
  fs::remove(path);
  ASSERT_TRUE(mapped.has_value()) << mapped.error().message;
  const auto bytes = mapped->bytes();

  const std::uint64_t before = resident_file_bytes();
  EXPECT_EQ(nines(bytes), kSize);
  EXPECT_GE(resident_file_bytes(), before + kSize * 9 / 10);
  // Pieces that begin and end within pages.
  for (std::size_t at = 0; at < kSize; at += 1'000'003)
    MappedFile::release(bytes.subspan(at, std::min<std::size_t>(1'000'003, kSize - at)));
  EXPECT_LE(resident_file_bytes(), before + kMiB);
  EXPECT_EQ(nines(bytes), kSize);
  MappedFile::release({});
}

}  // namespace
}  // namespace overwinter::worker
