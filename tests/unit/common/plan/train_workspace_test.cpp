#include "common/plan/train_workspace.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace overwinter::plan {
namespace {

TrainRank a_gpt(std::uint64_t batch, std::uint32_t threads,
                TrainPrecision precision = TrainPrecision::kFp32) {
  TrainRank rank;
  rank.shape = {TrainKind::kGpt, 4, 8, 256, 256, 256, {}, true};
  rank.tensors = train_tensors(rank.shape);
  rank.micro_batch = batch;
  rank.threads = threads;
  rank.precision = precision;
  return rank;
}

TEST(TrainWorkspace, ProductsAreAThreadsShareOfRowsInTheEnginesParts) {
  const auto most_rows = [](const TrainRank& rank) {
    std::uint64_t most = 0;
    for (const TrainProduct& p : train_products(rank)) most = std::max(most, p.m);
    return most;
  };
  EXPECT_EQ(most_rows(a_gpt(16, 1)), kWideProductRows);
  EXPECT_EQ(most_rows(a_gpt(16, 2)), 2064U) << "86 of 171 blocks of rows";
  EXPECT_EQ(most_rows(a_gpt(16, 1, TrainPrecision::kBf16)), kNarrowProductRows);
  EXPECT_EQ(most_rows(a_gpt(1, 8)), 144U) << "of a weight's 1,024 rows, 43 blocks";
  TrainRank rows;
  rows.shape.kind = TrainKind::kDense;
  rows.shape.widths = {784, 512, 10};
  rows.micro_batch = 100;
  EXPECT_EQ(train_products(rows).size(), 5U) << "what rows begin with has no gradient";
  EXPECT_EQ(most_rows(rows), 512U);
}

TEST(TrainWorkspace, GrowsWithThreadsAndRowsAndHasABound) {
  for (const TrainPrecision precision :
       {TrainPrecision::kFp32, TrainPrecision::kBf16, TrainPrecision::kFp16}) {
    std::uint64_t before = 0;
    for (const std::uint64_t batch : {1U, 2U, 8U, 32U, 1U << 24U}) {
      const std::uint64_t one = train_workspace_bytes(a_gpt(batch, 1, precision));
      EXPECT_GE(one, before);
      EXPECT_LE(one, 20ULL << 20) << "buffers have sizes of their own";
      EXPECT_GT(train_workspace_bytes(a_gpt(batch, 2, precision)), one / 2);
      before = one;
    }
  }
  EXPECT_GT(train_workspace_bytes(a_gpt(16, 1, TrainPrecision::kBf16)),
            train_workspace_bytes(a_gpt(16, 1)))
      << "widened";
}

TEST(TrainWorkspace, IsChargedToTheSeat) {
  for (const std::uint32_t threads : {1U, 3U}) {
    const TrainRank rank = a_gpt(2, threads);
    EXPECT_EQ(train_memory(rank).workspace_bytes, train_workspace_bytes(rank));
  }
}

}  // namespace
}  // namespace overwinter::plan
