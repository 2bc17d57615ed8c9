// The models' losses and gradients against the slow twin and its slopes by central differences in
// double.
#include "worker/train/model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "tests/unit/worker/train/train_support.h"
#include "worker/train/reference_model.h"

namespace overwinter::worker {
namespace {

// A model with random weights over random data, and the same in double.
struct Made {
  plan::TrainRank rank;
  Arena arena;
  Parameters parameters;
  ComputeTeam team;
  std::unique_ptr<Model> model;
  ReferenceTensors tensors;

  Made(plan::TrainRank with, std::uint32_t threads, KernelLevel level)
      : rank(prepared(std::move(with), threads)),
        arena(std::move(*Arena::make(host(), rank))),
        parameters(arena, rank),
        team(threads, train_kernels(level)),
        model(make_model(rank, arena, parameters, team)) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0, 0.3F);
    for (Parameter& p : parameters.all()) {
      for (std::size_t i = 0; i < p.count; ++i) p.weights[i] = normal(random);
      tensors.emplace_back(p.weights, p.weights + p.count);
    }
  }
  static plan::TrainRank prepared(plan::TrainRank r, std::uint32_t threads) {
    r.tensors = plan::train_tensors(r.shape);
    r.threads = threads;
    return r;
  }

  // Every gradient of every `stride`th weight is the slope of `loss`.
  void expect_slopes(std::size_t stride, const std::function<double()>& loss) {
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      const Parameter& p = parameters[t];
      for (std::size_t i = t % stride; i < p.count; i += stride) {
        const double kept = tensors[t][i];
        const double h = 1e-5;
        tensors[t][i] = kept + h;
        const double above = loss();
        tensors[t][i] = kept - h;
        const double below = loss();
        tensors[t][i] = kept;
        const double slope = (above - below) / (2 * h);
        ASSERT_NEAR(static_cast<double>(p.gradients[i]), slope, 2e-5 + 2e-4 * std::abs(slope))
            << p.name << " at " << i;
      }
    }
  }
};

void check_gpt(std::uint32_t threads, KernelLevel level, bool recompute = false) {
  plan::TrainRank rank;
  rank.recompute = recompute;
  rank.shape.layers = 2;
  rank.shape.heads = 2;
  rank.shape.width = 6;
  rank.shape.context = 5;
  rank.shape.vocabulary = 11;
  rank.micro_batch = 4;
  Made made(rank, threads, level);
  const std::size_t samples = 3;  // fewer than there is room for
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> targets;
  for (std::size_t s = 0; s < samples; ++s) {
    const SampleSlot slot = made.model->slot(s);
    for (std::size_t i = 0; i < 5; ++i) {
      slot.tokens[i] = static_cast<std::int32_t>((7 * s + 3 * i) % 11);
      slot.classes[i] = static_cast<std::int32_t>((5 * s + 4 * i + 1) % 11);
      tokens.push_back(slot.tokens[i]);
      targets.push_back(slot.classes[i]);
    }
  }
  const auto loss = [&] { return reference_gpt_loss(rank.shape, made.tensors, tokens, targets); };
  std::vector<std::size_t> offsets;
  const double total =
      made.model->gradients(samples, 1.0F / 15, [&](std::size_t o) { offsets.push_back(o); });
  EXPECT_NEAR(total / 15, loss(), 1e-5);
  EXPECT_NEAR(made.model->loss(samples), total, 1e-4);
  EXPECT_TRUE(std::ranges::is_sorted(offsets, std::greater<>()));
  EXPECT_EQ(offsets.back(), 0U);
  made.expect_slopes(1, loss);
}

TEST(Model, GptAtEveryLevelAndNumberOfThreads) {
  for (const KernelLevel level :
       {KernelLevel::kBaseline, KernelLevel::kAvx2, KernelLevel::kAvx512}) {
    if (level <= best_kernel_level()) check_gpt(1, level);
  }
  check_gpt(2, best_kernel_level());
  check_gpt(5, best_kernel_level(), true);
}

// Logits of so many words that they do not exist all at once: the same loss and gradients as in one
// piece, which is what a smaller vocabulary's are.
TEST(Model, ALargeVocabularyGoesByPieces) {
  plan::TrainRank rank;
  rank.shape.layers = 1;
  rank.shape.heads = 1;
  rank.shape.width = 4;
  rank.shape.context = 50;
  rank.shape.vocabulary = 400'000;
  rank.micro_batch = 2;
  ASSERT_LT(plan::head_rows(rank), 100U);
  Made made(rank, 2, best_kernel_level());
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> targets;
  for (std::size_t s = 0; s < 2; ++s) {
    const SampleSlot slot = made.model->slot(s);
    for (std::size_t i = 0; i < 50; ++i) {
      slot.tokens[i] = static_cast<std::int32_t>((7 * s + 3 * i) % 11);
      slot.classes[i] = static_cast<std::int32_t>((50 * s + i) * 3999);
      tokens.push_back(slot.tokens[i]);
      targets.push_back(slot.classes[i]);
    }
  }
  const double loss = reference_gpt_loss(rank.shape, made.tensors, tokens, targets);
  const double total = made.model->gradients(2, 1.0F / 100, [](std::size_t) {});
  EXPECT_NEAR(total / 100, loss, 1e-4);
  // Slopes of some words of each piece, and of the last norm.
  const Parameter& words = made.parameters[0];
  for (const std::size_t row : {std::size_t{3}, std::size_t{3999} * 10, std::size_t{3999} * 90}) {
    const double kept = made.tensors[0][row * 4 + 1];
    const double h = 1e-4;
    made.tensors[0][row * 4 + 1] = kept + h;
    const double above = reference_gpt_loss(rank.shape, made.tensors, tokens, targets);
    made.tensors[0][row * 4 + 1] = kept - h;
    const double below = reference_gpt_loss(rank.shape, made.tensors, tokens, targets);
    made.tensors[0][row * 4 + 1] = kept;
    const double slope = (above - below) / (2 * h);
    EXPECT_NEAR(static_cast<double>(words.gradients[row * 4 + 1]), slope,
                1e-5 + 1e-3 * std::abs(slope));
  }
}

void check_dense(std::vector<std::uint64_t> widths, bool classes, std::uint32_t threads) {
  plan::TrainRank rank;
  rank.shape.kind = plan::TrainKind::kDense;
  rank.shape.widths = std::move(widths);
  rank.shape.classes = classes;
  rank.micro_batch = 7;
  Made made(rank, threads, best_kernel_level());
  const std::size_t samples = 6;
  std::mt19937 random(9);
  std::normal_distribution<float> normal(0, 1);
  std::vector<double> x;
  std::vector<std::int32_t> wanted;
  std::vector<double> targets;
  for (std::size_t s = 0; s < samples; ++s) {
    const SampleSlot slot = made.model->slot(s);
    for (float& v : slot.values) x.push_back(static_cast<double>(v = normal(random)));
    for (float& v : slot.targets) targets.push_back(static_cast<double>(v = normal(random)));
    for (std::int32_t& v : slot.classes) wanted.push_back(v = static_cast<std::int32_t>(s % 3));
  }
  const auto loss = [&] {
    return reference_dense_loss(rank.shape, made.tensors, x, wanted, targets);
  };
  const double terms = static_cast<double>(made.model->terms(samples));
  const double total =
      made.model->gradients(samples, static_cast<float>(1 / terms), [](std::size_t) {});
  EXPECT_NEAR(total / terms, loss(), 1e-5);
  made.expect_slopes(1, loss);
}

TEST(Model, Dense) {
  for (const std::uint32_t threads : {1U, 3U, 9U}) {
    check_dense({5, 8, 6, 3}, true, threads);
    check_dense({5, 8, 2}, false, threads);
    check_dense({4, 3}, true, threads);
    check_dense({4, 1}, false, threads);
  }
}

TEST(Model, GradientsOfMicroBatchesAddUp) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec();
  const auto data = text_data(text, spec);
  SingleCollective single;
  const auto whole = trainer_of(spec, *data, single);
  spec.set_accumulate(4);
  const auto parts = trainer_of(spec, *data, single);
  const auto a = whole->step();
  const auto b = parts->step();
  EXPECT_NEAR(a->loss, b->loss, 1e-6);
  EXPECT_NEAR(a->gradient_norm, b->gradient_norm, 1e-5 * a->gradient_norm);
  EXPECT_LT(parts->memory().activations_bytes, whole->memory().activations_bytes / 3);
}

}  // namespace
}  // namespace overwinter::worker
