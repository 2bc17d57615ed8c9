// What a step asks for: of its resource and of the heap. This file counts calls of operator new in
// the whole program, but where a sanitizer does.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <new>

#include "tests/unit/worker/train/train_support.h"
#include "worker/memory/limiting_resource.h"
#include "worker/memory/statistics_resource.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(_GLIBCXX_TSAN)
#define OW_COUNTS_NEW
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // it sees one of the pair inlined
#endif
namespace {
std::atomic<std::uint64_t> news{0};
}
void* operator new(std::size_t bytes) {
  news.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(bytes);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif

namespace overwinter::worker {
namespace {

v1::TrainSpec spec_of(const std::string& kind) {
  v1::TrainSpec spec = gpt_spec();
  spec.set_accumulate(2);
  if (kind == "mlp") {
    for (const std::uint32_t width : {3U, 40U, 5U})
      spec.mutable_model()->mutable_mlp()->add_layers(width);
  }
  return spec;
}

class StepMemory : public ::testing::TestWithParam<std::string> {
 protected:
  StepMemory() : spec_(spec_of(GetParam())), text_(some_text()) {
    csv_ = "a,b,c,y\n";
    for (int i = 0; i < 500; ++i)
      csv_ += "0.5,1," + std::to_string(i % 7) + "," + std::to_string(i % 5) + "\n";
    if (GetParam() == "gpt") {
      data_ = text_data(text_, spec_);
    } else {
      data_ = std::move(*make_csv_source(bytes_of(csv_), "y", 0.1, 1, host()));
    }
  }

  const v1::TrainSpec spec_;
  const std::string text_;
  std::string csv_;
  std::unique_ptr<DataSource> data_;
};

TEST_P(StepMemory, FromTheSecondStepOnNothingIsAskedFor) {
  for (const std::uint32_t threads : {1U, 2U}) {
    StatisticsResource counted(host());
    SingleCollective single;
    const auto trainer = std::move(*Trainer::make(spec_, *data_, single, counted, threads));
    const std::uint64_t asked = counted.statistics().allocations;
    EXPECT_TRUE(trainer->step().has_value());
#ifdef OW_COUNTS_NEW
    const std::uint64_t before = news;
#endif
    for (int step = 0; step < 10; ++step) EXPECT_TRUE(trainer->step().has_value());
#ifdef OW_COUNTS_NEW
    EXPECT_EQ(news - before, 0U) << threads << " threads";
#endif
    EXPECT_EQ(counted.statistics().allocations, asked);
  }
}

TEST_P(StepMemory, RanksAskTheirResourceForNothingEither) {
  std::array<StatisticsResource, 2> counted{StatisticsResource(host()), StatisticsResource(host())};
  on_ranks(2, [&](std::size_t rank, Collective& collective) {
    const auto trainer = std::move(*Trainer::make(spec_, *data_, collective, counted[rank], 1));
    const std::uint64_t asked = counted[rank].statistics().allocations;
    for (int step = 0; step < 10; ++step) EXPECT_TRUE(trainer->step().has_value());
    EXPECT_EQ(counted[rank].statistics().allocations, asked);
  });
}

TEST_P(StepMemory, WhatAStepNeedsIsRefusedBeforeTheFirst) {
  SingleCollective single;
  const auto undisturbed = trainer_of(spec_, *data_, single);
  const auto wanted = losses(*undisturbed, 5);
  const plan::TrainMemory planned = undisturbed->memory();
  const std::uint64_t enough = planned.total_bytes() - planned.workspace_bytes -
                               plan::train_aligned(data_->facts().table_bytes);

  LimitingResource tight(host(), enough - 1, "the seat");
  const auto refused = Trainer::make(spec_, *data_, single, tight, 1);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().message.find("out of the memory of the seat: "), 0U);
  EXPECT_EQ(tight.held_bytes(), 0U);

  LimitingResource seat(host(), enough, "the seat");
  const auto trainer = std::move(*Trainer::make(spec_, *data_, single, seat, 1));
  EXPECT_EQ(losses(*trainer, 5), wanted);
  EXPECT_EQ(seat.peak_bytes(), enough);
}

// Refuses one allocation, counted from 0.
class Refusing final : public MemoryResource {
 public:
  explicit Refusing(std::size_t which) : which_(which) {}
  [[nodiscard]] Result<void*> allocate(std::size_t bytes, std::size_t alignment) override {
    if (count_++ == which_) return fail(Code::kResourceExhausted, "there is no more");
    return host().allocate(bytes, alignment);
  }
  void deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept override {
    host().deallocate(memory, bytes, alignment);
  }

 private:
  const std::size_t which_;
  std::size_t count_ = 0;
};

TEST_P(StepMemory, WhicheverAllocationIsRefusedNothingIsHeldAndItIsSaidOnce) {
  SingleCollective single;
  std::size_t refused = 0;
  for (std::size_t which = 0;; ++which) {
    Refusing refusing(which);
    LimitingResource seat(refusing, SIZE_MAX / 2, "the seat");
    const auto trainer = Trainer::make(spec_, *data_, single, seat, 2);
    if (trainer) {
      // Whatever it was that would have been refused later: steps ask for nothing.
      EXPECT_TRUE((*trainer)->step().has_value());
      break;
    }
    ++refused;
    EXPECT_EQ(trainer.error().code, Code::kResourceExhausted);
    EXPECT_EQ(seat.held_bytes(), 0U) << which;
  }
  EXPECT_EQ(refused, 2U) << "the arena, and a step's own";
}

#ifdef OW_COUNTS_NEW
// In a process of its own, which the system gives no more memory: ends it with 0 when that is said.
[[noreturn]] void make_without_memory(v1::TrainSpec spec, const DataSource& data) {
  SingleCollective single;
  // Of fp32 first: what is mapped once for the whole process is not what is looked for.
  if (!Trainer::make(spec, data, single, host(), 1)) std::_Exit(1);
  spec.set_precision("fp16");
  constexpr std::uint64_t kRoom = 6ULL << 20;  // for the arena, not for widening
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlimit limit{pages * 4096 + kRoom, RLIM_INFINITY};
  ::setrlimit(RLIMIT_AS, &limit);
  const auto trainer = Trainer::make(spec, data, single, host(), 1);
  std::_Exit(!trainer && trainer.error().code == Code::kResourceExhausted ? 0 : 2);
}

TEST(StepMemoryOfLibraries, WhatTheyKeepIsRefusedBeforeTheFirstStepToo) {
  const v1::TrainSpec spec = gpt_spec();
  const std::string text = some_text();
  const auto data = text_data(text, spec);
  EXPECT_EXIT(make_without_memory(spec, *data), ::testing::ExitedWithCode(0), "");
}
#endif

INSTANTIATE_TEST_SUITE_P(All, StepMemory, ::testing::Values("gpt", "mlp"));

}  // namespace
}  // namespace overwinter::worker
