// A device's memory by a driver that is made up: blocks of 256 bytes' alignment that nobody may
// read or write.
#include "worker/cuda/device_resource.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>
#include <random>
#include <vector>

namespace overwinter::worker::cuda {
namespace {

constexpr std::size_t kPage = 4096;

// Alternately 256 bytes and a whole number of pages past a page's begin, all of it without access.
class ForbiddenMemory final : public RawDeviceMemory {
 public:
  explicit ForbiddenMemory(std::size_t all) : left_(all) {}
  ~ForbiddenMemory() override { EXPECT_TRUE(blocks_.empty()) << "not given back"; }
  [[nodiscard]] Result<void*> take(std::size_t bytes) override {
    EXPECT_NE(bytes, 0U);
    if (bytes > left_) return fail(Code::kResourceExhausted, "the device is full");
    const std::size_t mapped = (bytes + 256 + kPage - 1) / kPage * kPage;
    void* const begin = ::mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(begin, MAP_FAILED);
    void* const memory = static_cast<std::byte*>(begin) + (taken_++ % 2 == 0 ? 256 : 0);
    blocks_[memory] = {begin, mapped, bytes};
    left_ -= bytes;
    return memory;
  }
  void give(void* memory) noexcept override {
    const auto found = blocks_.find(memory);
    ASSERT_NE(found, blocks_.end()) << "not a block of the driver's";
    left_ += found->second.bytes;
    ::munmap(found->second.begin, found->second.mapped);
    blocks_.erase(found);
  }
  [[nodiscard]] std::size_t left() const { return left_; }

 private:
  struct Block {
    void* begin;
    std::size_t mapped, bytes;
  };
  std::map<void*, Block> blocks_;
  std::size_t left_;
  std::size_t taken_ = 0;
};

bool lies_on(const void* memory, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(memory) % alignment == 0;
}

TEST(DeviceResource, AlignsWhatTheDriverDoesNot) {
  ForbiddenMemory raw(std::size_t{1} << 30);
  DeviceResource memory(raw);
  std::vector<std::pair<void*, std::size_t>> held;
  for (const std::size_t alignment : {std::size_t{64}, std::size_t{256}, std::size_t{512}, kPage}) {
    for (int i = 0; i < 4; ++i) {
      const auto got = memory.allocate(1000, alignment);
      ASSERT_TRUE(got.has_value()) << got.error().message;
      EXPECT_TRUE(lies_on(*got, alignment)) << alignment;
      held.emplace_back(*got, alignment);
    }
  }
  for (const auto& [at, alignment] : held) memory.deallocate(at, 1000, alignment);
  EXPECT_EQ(raw.left(), std::size_t{1} << 30);
}

TEST(DeviceResource, NothingAndTooMuch) {
  ForbiddenMemory raw(10'000);
  DeviceResource memory(raw);
  EXPECT_EQ(memory.allocate(0, 64).value(), nullptr);
  memory.deallocate(nullptr, 0, 64);
  EXPECT_EQ(memory.allocate(SIZE_MAX - 5000, 64).error().code, Code::kResourceExhausted);
  EXPECT_EQ(memory.allocate(10'001, 64).error().message, "the device is full");
  const auto all = memory.allocate(10'000, 256);
  ASSERT_TRUE(all.has_value());
  EXPECT_FALSE(memory.allocate(1, 64).has_value());
  memory.deallocate(*all, 10'000, 256);
}

class Pool : public ::testing::TestWithParam<std::uint32_t> {};

// Any sizes in any order: the pool reads and writes none of the memory (it could not), stays within
// the bound, hands out no byte twice, and gives all of it back.
TEST_P(Pool, NeverTouchesTheDeviceAndKeepsTheBound) {
  constexpr std::size_t kAllowed = std::size_t{24} << 20;
  ForbiddenMemory raw(std::size_t{64} << 20);
  DeviceResource device(raw);
  {
    BoundedPool bounded(device, kAllowed, "GPU 0");
    std::mt19937 random(GetParam());
    std::map<std::byte*, std::pair<std::size_t, std::size_t>> live;
    for (int move = 0; move < 3000; ++move) {
      if (live.empty() || random() % 5 < 3) {
        const std::size_t bytes = 1 + random() % (std::size_t{1} << (random() % 21));
        const std::size_t alignment = std::size_t{16} << (random() % 9);
        const auto got = bounded.memory().allocate(bytes, alignment);
        EXPECT_LE(bounded.held_bytes(), kAllowed);
        if (!got) {
          EXPECT_EQ(got.error().code, Code::kResourceExhausted);
          EXPECT_NE(got.error().message.find("GPU 0"), std::string::npos) << got.error().message;
          continue;
        }
        auto* const begin = static_cast<std::byte*>(*got);
        EXPECT_TRUE(lies_on(begin, alignment));
        const auto next = live.lower_bound(begin);
        if (next != live.end()) {
          ASSERT_LE(begin + bytes, next->first);
        }
        if (next != live.begin()) {
          const auto before = std::prev(next);
          ASSERT_LE(before->first + before->second.first, begin);
        }
        live[begin] = {bytes, alignment};
      } else {
        auto one = std::next(live.begin(), static_cast<std::ptrdiff_t>(random() % live.size()));
        bounded.memory().deallocate(one->first, one->second.first, one->second.second);
        live.erase(one);
      }
    }
    for (const auto& [begin, of] : live) bounded.memory().deallocate(begin, of.first, of.second);
    EXPECT_LE(bounded.peak_bytes(), kAllowed);
  }
  EXPECT_EQ(raw.left(), std::size_t{64} << 20);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Pool, ::testing::Range(1U, 9U));

}  // namespace
}  // namespace overwinter::worker::cuda
