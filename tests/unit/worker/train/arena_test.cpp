// The prediction of common/plan against what a rank holds at its peak, over shapes of all kinds.
#include "worker/train/arena.h"

#include <gtest/gtest.h>

#include "common/formats/npy.h"
#include "tests/unit/worker/train/train_support.h"
#include "worker/memory/limiting_resource.h"

namespace overwinter::worker {
namespace {

// Trains a step and validates as a rank does: everything, the data's table and the library's
// workspace too, from one limited seat. What the peak was, and what had been predicted.
void expect_predicted(const v1::TrainSpec& spec,
                      const std::function<std::unique_ptr<DataSource>(MemoryResource&)>& make_data,
                      std::uint32_t threads, const std::string& what) {
  LimitingResource seat(host(), std::size_t{8} << 30, "the seat");
  const auto data = make_data(seat);
  SingleCollective single;
  const auto rank = plan::train_rank(spec, data->facts(), 1, threads);
  ASSERT_TRUE(rank.has_value()) << what << rank.error().message;
  const plan::TrainMemory predicted = plan::train_memory(*rank);
  const auto workspace = seat.charge(predicted.workspace_bytes, "OpenBLAS");
  ASSERT_TRUE(workspace.has_value());
  const auto trainer = Trainer::make(spec, *data, single, seat, threads);
  ASSERT_TRUE(trainer.has_value()) << what << trainer.error().message;
  ASSERT_TRUE((*trainer)->step().has_value()) << what;
  ASSERT_TRUE((*trainer)->validation_loss(2).has_value()) << what;
  const double ratio =
      static_cast<double>(seat.peak_bytes()) / static_cast<double>(predicted.total_bytes());
  EXPECT_GT(ratio, 0.9) << what;
  EXPECT_LE(ratio, 1.0) << what;
}

TEST(Arena, APeakIsAsPredictedOverManyShapes) {
  const std::string text = some_text(20000);
  int shapes = 0;
  for (const std::uint32_t layers : {1U, 3U}) {
    for (const std::uint32_t width : {16U, 48U, 128U}) {
      for (const std::uint32_t context : {16U, 100U}) {
        for (const std::uint32_t threads : {1U, 3U}) {
          v1::TrainSpec spec = gpt_spec(layers, width / 16, width, context);
          spec.set_batch_size(5);
          if (layers == 3) spec.add_freeze("wte.weight");
          if (width == 48) spec.mutable_optimizer()->mutable_sgd()->set_learning_rate(0.1);
          if (context == 100) spec.set_accumulate(2);
          if (threads == 3) spec.set_precision(width == 16 ? "bf16" : "fp16");
          if (layers == 3 && width > 16) spec.set_activations("recomputed");
          expect_predicted(
              spec, [&](MemoryResource&) { return text_data(text, spec); }, threads,
              std::to_string(layers) + " " + std::to_string(width) + " " + std::to_string(context) +
                  " " + std::to_string(threads) + ": ");
          ++shapes;
        }
      }
    }
  }
  for (const std::uint32_t hidden : {4U, 64U, 700U}) {
    for (const std::uint64_t batch : {std::uint64_t{1}, std::uint64_t{33}}) {
      std::string csv = "a,b,c,y\n";
      for (int i = 0; i < 3000; ++i) csv += "0.5,1,2," + std::to_string(i % 5) + "\n";
      v1::TrainSpec spec = gpt_spec();
      spec.set_batch_size(batch);
      for (const std::uint32_t w : {3U, hidden, hidden, 5U})
        spec.mutable_model()->mutable_mlp()->add_layers(w);
      expect_predicted(
          spec,
          [&](MemoryResource& seat) {
            return std::move(*make_csv_source(bytes_of(csv), "y", 0.1, 1, seat));
          },
          2, "mlp " + std::to_string(hidden) + ": ");
      ++shapes;
    }
  }
  EXPECT_GE(shapes, 20);
}

TEST(Arena, PiecesAreApartAndZeroed) {
  plan::TrainRank rank;
  rank.shape = {plan::TrainKind::kGpt, 1, 2, 8, 4, 256, {}, true};
  rank.tensors = plan::train_tensors(rank.shape);
  rank.micro_batch = 2;
  Arena arena = std::move(*Arena::make(host(), rank));
  const std::byte* end = nullptr;
  for (int i = 0; i < static_cast<int>(plan::TrainPiece::kCount); ++i) {
    const auto piece = static_cast<plan::TrainPiece>(i);
    const auto* at = arena.piece<std::byte>(piece);
    if (at == nullptr) {
      EXPECT_EQ(arena.bytes(piece), 0U);
      continue;
    }
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(at) % plan::kTrainAlignment, 0U);
    EXPECT_GE(at, end);
    end = at + arena.bytes(piece);
    for (const std::byte* b = at; b < end; ++b) ASSERT_EQ(*b, std::byte{0});
  }
}

TEST(Arena, AnAbsurdSizeIsRefused) {
  plan::TrainRank rank;
  rank.shape = {plan::TrainKind::kGpt, 1024, 1, 1U << 20, 1U << 20, 256, {}, true};
  rank.tensors = plan::train_tensors(rank.shape);
  rank.micro_batch = 1U << 24;
  EXPECT_EQ(Arena::make(host(), rank).error().code, Code::kResourceExhausted);
}

}  // namespace
}  // namespace overwinter::worker
