#include "common/plan/train_shape.h"

#include <gtest/gtest.h>

#include <map>

#include "common/plan/train_batch.h"
#include "common/plan/train_memory.h"

namespace overwinter::plan {
namespace {

v1::ModelSpec gpt(std::uint32_t layers, std::uint32_t heads, std::uint32_t width,
                  std::uint32_t context) {
  v1::ModelSpec model;
  model.mutable_gpt()->set_layers(layers);
  model.mutable_gpt()->set_heads(heads);
  model.mutable_gpt()->set_width(width);
  model.mutable_gpt()->set_context(context);
  return model;
}

DataFacts text(std::uint64_t bytes) {
  DataFacts facts;
  facts.text = true;
  facts.samples = bytes;
  return facts;
}

DataFacts rows(std::uint64_t inputs, std::uint64_t outputs, bool classes) {
  DataFacts facts;
  facts.samples = 100;
  facts.inputs = inputs;
  facts.outputs = outputs;
  facts.classes = classes;
  return facts;
}

TEST(TrainShape, AGptsTensorsAreNamedAndShapedAsHuggingFacesAre) {
  const auto shape = train_shape(gpt(4, 8, 256, 256), text(1000));
  ASSERT_TRUE(shape.has_value());
  std::map<std::string, std::vector<std::uint64_t>> tensors;
  const std::vector<TrainTensor> all = train_tensors(*shape);
  for (const TrainTensor& t : all) tensors[t.name] = t.shape;
  EXPECT_EQ(all.size(), 4U + 12 * 4);
  using Sizes = std::vector<std::uint64_t>;
  EXPECT_EQ(tensors["wte.weight"], (Sizes{256, 256}));
  EXPECT_EQ(tensors["wpe.weight"], (Sizes{256, 256}));
  EXPECT_EQ(tensors["h.3.attn.c_attn.weight"], (Sizes{256, 768}));
  EXPECT_EQ(tensors["h.0.mlp.c_fc.weight"], (Sizes{256, 1024}));
  EXPECT_EQ(tensors["h.0.mlp.c_proj.weight"], (Sizes{1024, 256}));
  EXPECT_EQ(tensors["ln_f.bias"], (Sizes{256}));
  EXPECT_EQ(train_parameters(all), 3290624U);  // what PyTorch counts for the same
}

TEST(TrainShape, ModelsThatDoNotFitTheirDataOrThemselves) {
  const auto field = [](const v1::ModelSpec& model, const DataFacts& data) {
    const auto shape = train_shape(model, data);
    return shape ? std::string("none") : shape.error().field.substr(20);
  };
  EXPECT_EQ(field(gpt(1, 2, 8, 16), text(17)), "none");
  EXPECT_EQ(field(gpt(1, 2, 8, 16), text(16)), ".gpt.context");
  EXPECT_EQ(field(gpt(0, 2, 8, 16), text(99)), ".gpt.layers");
  EXPECT_EQ(field(gpt(1, 3, 8, 16), text(99)), ".gpt.heads");
  EXPECT_EQ(field(gpt(1, 0, 8, 16), text(99)), ".gpt.heads");
  EXPECT_EQ(field(gpt(1, 2, 0, 16), text(99)), ".gpt.width");
  EXPECT_EQ(field(gpt(1, 2, 8, 0), text(99)), ".gpt.context");
  EXPECT_EQ(field(gpt(1, 2, 8, 16), text(0)), ".gpt.context");
  EXPECT_EQ(field(gpt(1, 1, 1U << 21, 16), text(99)), ".gpt.width");
  EXPECT_EQ(field(gpt(1024, 1, 1U << 20, 16), text(99)), ".gpt");
  EXPECT_EQ(field(gpt(1, 2, 8, 16), rows(2, 2, true)), ".gpt");
  v1::ModelSpec words = gpt(1, 2, 8, 16);
  words.mutable_gpt()->set_vocabulary("words");
  EXPECT_EQ(field(words, text(99)), ".gpt.vocabulary");
  v1::ModelSpec mlp;
  mlp.mutable_mlp()->add_layers(4);
  EXPECT_EQ(field(mlp, rows(4, 3, true)), ".mlp.layers");
  mlp.mutable_mlp()->add_layers(3);
  EXPECT_EQ(field(mlp, rows(4, 3, true)), "none");
  EXPECT_EQ(field(mlp, rows(4, 4, true)), ".mlp.layers");
  EXPECT_EQ(field(mlp, rows(5, 3, true)), ".mlp.layers");
  EXPECT_EQ(field(mlp, rows(4, 3, false)), "none");
  EXPECT_EQ(field(mlp, rows(4, 2, false)), ".mlp.layers");
  mlp.mutable_mlp()->set_layers(1, 0);
  EXPECT_EQ(field(mlp, rows(4, 3, true)), ".mlp.layers");
  v1::ModelSpec logistic;
  logistic.mutable_logistic();
  EXPECT_EQ(field(logistic, rows(4, 3, true)), "none");
  EXPECT_EQ(field(logistic, rows(4, 3, false)), ".logistic");
  EXPECT_EQ(field(logistic, text(99)), "");
  v1::ModelSpec linear;
  linear.mutable_linear();
  EXPECT_EQ(field(linear, rows(0, 3, false)), ".linear");
  EXPECT_EQ(field(linear, rows(4, 0, false)), ".linear");
  EXPECT_EQ(train_shape(linear, rows(4, 9, true))->widths, (std::vector<std::uint64_t>{4, 1}));
  EXPECT_EQ(field(v1::ModelSpec(), rows(4, 3, true)), "");
}

TEST(TrainShape, Patterns) {
  EXPECT_TRUE(matches_pattern("h.*.bias", "h.0.ln_1.bias"));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("h.?.ln_1.*", "h.7.ln_1.weight"));
  EXPECT_TRUE(matches_pattern("*a*b*", "xxaxxbxx"));
  EXPECT_FALSE(matches_pattern("h.?.ln_1.*", "h.17.ln_1.weight"));
  EXPECT_FALSE(matches_pattern("h.0", "h.0.ln"));
  EXPECT_FALSE(matches_pattern("*ab", "abc"));
}

TEST(TrainShape, Flops) {
  const auto small = train_shape(gpt(4, 8, 256, 256), text(1000));
  // 6 x (12 L C^2 + V C + L C T) a token.
  const double token = 6.0 * (4 * 12 * 256 * 256 + 256 * 256 + 4 * 256 * 256);
  EXPECT_DOUBLE_EQ(train_flops(*small, 8), token * 8 * 256);
}

TEST(TrainBatch, SharesCoverABatchEvenly) {
  for (std::uint64_t batch : {1U, 7U, 12U, 100U}) {
    for (std::uint64_t ranks = 1; ranks <= batch && ranks < 9; ++ranks) {
      for (std::uint32_t accumulate : {0U, 1U, 2U, 5U}) {
        std::uint64_t at = 0;
        for (std::uint64_t r = 0; r < ranks; ++r) {
          const SampleRange own = share_of(batch, ranks, r);
          EXPECT_EQ(own.begin, at);
          EXPECT_GE(own.size(), 1U);
          at = own.end;
          const std::uint64_t pieces = accumulate == 0 ? 1 : accumulate;
          for (std::uint64_t p = 0; p < pieces; ++p)
            EXPECT_LE(share_of(own.size(), pieces, p).size(),
                      largest_micro_batch(batch, ranks, accumulate));
        }
        EXPECT_EQ(at, batch);
      }
    }
  }
}

TEST(TrainMemory, SixteenBitsAndRecomputationHoldLess) {
  v1::TrainSpec spec;
  *spec.mutable_model() = gpt(8, 8, 256, 256);
  spec.set_batch_size(16);
  const auto memory = [&] { return train_memory(*train_rank(spec, text(1000000), 1, 2)); };
  const TrainMemory wide = memory();
  spec.set_precision("bf16");
  const TrainMemory narrow = memory();
  EXPECT_EQ(narrow.weights_bytes, wide.weights_bytes);  // what a checkpoint holds is fp32
  EXPECT_LT(narrow.activations_bytes, wide.activations_bytes * 2 / 3);
  spec.set_activations("recomputed");
  const TrainMemory again = memory();
  EXPECT_LT(again.activations_bytes, narrow.activations_bytes / 2);
  spec.set_precision("fp8");
  EXPECT_EQ(train_rank(spec, text(1000000), 1, 2).error().field, "workload.train.precision");
}

TEST(TrainMemory, LogitsAreBoundedWhateverTheVocabulary) {
  TrainRank rank;
  rank.shape.context = 256;
  rank.micro_batch = 16;
  for (const std::uint64_t vocabulary : {2U, 256U, 50257U, 1U << 20U}) {
    rank.shape.vocabulary = vocabulary;
    const std::uint64_t rows = head_rows(rank);
    EXPECT_TRUE(rows == 4096 || rows % kRowBlock == 0);
    EXPECT_TRUE(rows * vocabulary * 4 <= kLogitBytes || rows == kRowBlock);
  }
}

TEST(TrainMemory, AddsUpAndFallsWithRanks) {
  v1::TrainSpec spec;
  *spec.mutable_model() = gpt(4, 8, 256, 256);
  spec.set_batch_size(16);
  const auto one = train_rank(spec, text(1000000), 1, 1);
  const auto two = train_rank(spec, text(1000000), 2, 1);
  const TrainMemory a = train_memory(*one);
  const TrainMemory b = train_memory(*two);
  EXPECT_EQ(a.weights_bytes, 3290624U * 4);  // every tensor is whole cache lines here
  EXPECT_EQ(a.gradients_bytes, a.weights_bytes);
  EXPECT_EQ(a.optimizer_bytes, 2 * a.weights_bytes);
  EXPECT_EQ(a.activations_bytes, 2 * b.activations_bytes);
  EXPECT_EQ(a.total_bytes(), a.weights_bytes + a.gradients_bytes + a.optimizer_bytes +
                                 a.activations_bytes + a.buffers_bytes);
  const v1::TrainPlan plan = train_plan(*two, text(1000000), 0);
  EXPECT_EQ(plan.parameters(), 3290624U);
  EXPECT_EQ(plan.micro_batch(), 8U);
  EXPECT_EQ(plan.accumulate(), 1U);
  EXPECT_EQ(plan.data_samples(), 1000000U);
  EXPECT_EQ(plan.weights_bytes() + plan.gradients_bytes() + plan.optimizer_bytes() +
                plan.activations_bytes() + plan.buffers_bytes(),
            b.total_bytes());
  EXPECT_EQ(plan.precision(), "fp32");
  EXPECT_EQ(plan.activations(), "kept");
  spec.set_precision("bf16");
  spec.set_activations("recomputed");
  const v1::TrainPlan narrow = train_plan(*train_rank(spec, text(1000000), 1, 1), text(1000000), 0);
  EXPECT_EQ(narrow.precision(), "bf16");
  EXPECT_EQ(narrow.activations(), "recomputed");
  EXPECT_EQ(train_rank(spec, text(1000000), 17, 1).error().field, "workload.train.batch_size");
}

}  // namespace
}  // namespace overwinter::plan
