// What a step asks for: of its resource and of the heap. This file counts calls of operator new in
// the whole program, but where a sanitizer does.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
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

INSTANTIATE_TEST_SUITE_P(All, StepMemory, ::testing::Values("gpt", "mlp"));

}  // namespace
}  // namespace overwinter::worker
