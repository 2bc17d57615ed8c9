#include "worker/train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/formats/npy.h"
#include "tests/unit/worker/train/train_support.h"
#include "worker/memory/limiting_resource.h"
#include "worker/train/sample_order.h"

namespace overwinter::worker {
namespace {

TEST(Trainer, LearnsText) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec();
  spec.set_steps(60);
  const auto data = text_data(text, spec);
  SingleCollective single;
  const auto trainer = trainer_of(spec, *data, single);
  const double before = **trainer->validation_loss(0);
  EXPECT_NEAR(before, std::log(256), 0.2);  // it knows nothing yet
  losses(*trainer, 60);
  EXPECT_LT(**trainer->validation_loss(0), 2.2);
  EXPECT_TRUE(trainer->finished());
  EXPECT_EQ(trainer->step().error().code, Code::kFailedPrecondition);
}

// In 16 bits how a product is widened, and in which order it is summed, depends on its rows.
TEST(Trainer, TheSameSeedGivesTheSameBitsOnAnyNumberOfThreads) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec(2, 2, 64, 48);
  spec.mutable_optimizer()->mutable_adamw()->set_learning_rate(1e-3);
  const auto data = text_data(text, spec);
  for (const std::string precision : {"fp32", "bf16", "fp16"}) {
    spec.set_precision(precision);
    SingleCollective single;
    const auto one = trainer_of(spec, *data, single, 1);
    const std::vector<double> want = losses(*one, 6);
    for (const std::uint32_t threads : {1U, 2U, 3U, 7U}) {
      const auto other = trainer_of(spec, *data, single, threads);
      const std::vector<double> curve = losses(*other, 6);
      if (precision == "fp32" || threads == 1) {
        EXPECT_EQ(curve, want) << threads << " threads, " << precision;
        EXPECT_TRUE(same_bits(other->state(), one->state())) << threads << " " << precision;
      }
      for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(curve[i], want[i], 2e-3) << i;
    }
  }
  spec = gpt_spec();
  v1::TrainSpec other = spec;
  other.set_seed(6);
  const auto short_data = text_data(text, spec);  // windows of this model's context
  SingleCollective single;
  EXPECT_NE(losses(*trainer_of(spec, *short_data, single), 1),
            losses(*trainer_of(other, *short_data, single), 1));
}

TEST(Trainer, AnyNumberOfRanksGivesTheSameCurve) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec();
  spec.mutable_optimizer()->mutable_adamw()->set_clip_norm(0.5);
  spec.mutable_optimizer()->mutable_adamw()->set_weight_decay(0.1);
  const auto data = text_data(text, spec);
  SingleCollective single;
  const auto alone = trainer_of(spec, *data, single);
  const std::vector<double> want = losses(*alone, 30);
  const double validation = **alone->validation_loss(7);
  for (const std::size_t ranks : {std::size_t{2}, std::size_t{3}, std::size_t{5}}) {
    std::vector<std::vector<double>> curves(ranks);
    std::vector<KeptState> states(ranks);
    on_ranks(ranks, [&](std::size_t r, Collective& end) {
      const auto trainer = trainer_of(spec, *data, end, r % 2 == 0 ? 1 : 2);
      curves[r] = losses(*trainer, 30);
      EXPECT_NEAR(**trainer->validation_loss(7), validation, 1e-4);
      states[r] = keep(trainer->state());
    });
    for (std::size_t r = 0; r < ranks; ++r) {
      EXPECT_EQ(curves[r], curves[0]);
      EXPECT_TRUE(same_bits(states[r].views, states[0].views));
    }
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(curves[0][i], want[i], 1e-4) << i;
  }
}

TEST(Trainer, GoesOnFromAStateBitForBit) {
  const std::string text = some_text();
  for (const bool sgd : {false, true}) {
    v1::TrainSpec spec = gpt_spec();
    if (sgd) {
      spec.mutable_optimizer()->mutable_sgd()->set_learning_rate(0.1);
      spec.mutable_optimizer()->mutable_sgd()->set_momentum(0.9);
      spec.mutable_optimizer()->mutable_sgd()->set_schedule("cosine");
    }
    const auto data = text_data(text, spec);
    SingleCollective single;
    const auto whole = trainer_of(spec, *data, single);
    losses(*whole, 12);
    const KeptState half = keep(whole->state());
    const std::vector<double> rest = losses(*whole, 18);
    const auto again = trainer_of(spec, *data, single);
    ASSERT_TRUE(again->restore(half.views).ok());
    EXPECT_EQ(again->steps_done(), 12U);
    EXPECT_EQ(losses(*again, 18), rest);
    EXPECT_TRUE(same_bits(again->state(), whole->state()));
    // On another number of ranks: the same batches, so the same curve but for rounding.
    on_ranks(3, [&](std::size_t, Collective& end) {
      const auto trainer = trainer_of(spec, *data, end);
      ASSERT_TRUE(trainer->restore(half.views).ok());
      const std::vector<double> curve = losses(*trainer, 18);
      for (std::size_t i = 0; i < rest.size(); ++i) EXPECT_NEAR(curve[i], rest[i], 1e-4);
    });
  }
}

TEST(Trainer, AStateThatDoesNotFitIsRefusedAndChangesNothing) {
  const std::string text = some_text();
  const v1::TrainSpec spec = gpt_spec();
  const auto data = text_data(text, spec);
  SingleCollective single;
  const auto trainer = trainer_of(spec, *data, single);
  const KeptState before = keep(trainer->state());
  KeptState other = keep(trainer->state());
  other.views[4].shape = {16, 47};
  EXPECT_EQ(trainer->restore(other.views).message,
            "The tensor h.0.attn.c_attn.weight has the shape [16, 47]; expected is [16, 48].");
  EXPECT_EQ(trainer->init_from(other.views).field, "workload.train.init_from");
  other = keep(trainer->state());
  other.views[3].dtype = "F16";
  EXPECT_FALSE(trainer->restore(other.views).ok());
  other = keep(trainer->state());
  other.views.erase(other.views.begin() + 40);
  EXPECT_NE(trainer->restore(other.views).message.find("has no tensor optimizer.first."),
            std::string::npos);
  for (const std::int64_t step :
       {std::int64_t{1}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::max()}) {
    other = keep(trainer->state());
    std::memcpy(other.bytes[other.bytes.size() - 3].data(), &step, sizeof(step));
    EXPECT_EQ(trainer->restore(other.views).field, "workload.train.batch_size");
  }
  EXPECT_TRUE(same_bits(trainer->state(), before.views));
}

TEST(Trainer, BeginsWithGivenWeightsUnderHuggingFacesNamesToo) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec();
  const auto data = text_data(text, spec);
  SingleCollective single;
  const auto teacher = trainer_of(spec, *data, single);
  losses(*teacher, 20);
  KeptState weights = keep(teacher->model());
  for (TensorView& view : weights.views) view.name = "transformer." + view.name;
  spec.set_seed(77);
  spec.add_freeze("wte.*");
  spec.add_freeze("h.0.*");
  const auto pupil = trainer_of(spec, *data, single);
  ASSERT_TRUE(pupil->init_from(weights.views).ok());
  EXPECT_NEAR(**pupil->validation_loss(0), **teacher->validation_loss(0), 1e-6);
  losses(*pupil, 5);
  const std::vector<TensorView> after = pupil->model();
  for (std::size_t i = 0; i < after.size(); ++i) {
    const bool frozen = after[i].name.starts_with("wte.") || after[i].name.starts_with("h.0.");
    const bool same =
        std::memcmp(after[i].bytes.data(), weights.bytes[i].data(), after[i].bytes.size()) == 0;
    EXPECT_EQ(same, frozen) << after[i].name;
  }
}

TEST(Trainer, FrozenTensorsCostNoGradientAndChangeNoOther) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec(3);
  const auto data = text_data(text, spec);
  SingleCollective single;
  const auto all = trainer_of(spec, *data, single);
  for (const char* pattern : {"w?e.weight", "h.0.*", "h.1.mlp.*"}) spec.add_freeze(pattern);
  const auto some = trainer_of(spec, *data, single);
  EXPECT_LT(some->memory().gradients_bytes, all->memory().gradients_bytes / 2);
  // Without clipping, a first step moves what trains as it does when all train.
  ASSERT_EQ(losses(*all, 1), losses(*some, 1));
  const std::vector<TensorView> a = all->model();
  const std::vector<TensorView> b = some->model();
  const auto same = [&](std::size_t i) {
    return std::memcmp(a[i].bytes.data(), b[i].bytes.data(), a[i].bytes.size()) == 0;
  };
  for (std::size_t i = 0; i < a.size(); ++i) {
    const std::string& name = a[i].name;
    const bool frozen =
        name.starts_with("w") || name.starts_with("h.0.") || name.starts_with("h.1.mlp");
    EXPECT_EQ(same(i), !frozen) << name;
  }
}

TEST(Trainer, RecomputedActivationsAreTheSameAndTakeLessMemory) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec(4, 2, 32, 24);
  spec.add_freeze("h.0.*");
  const auto data = text_data(text, spec);
  for (const char* precision : {"fp32", "bf16"}) {
    spec.set_precision(precision);
    spec.set_activations("kept");
    SingleCollective single;
    const auto kept = trainer_of(spec, *data, single, 2);
    spec.set_activations("recomputed");
    const auto again = trainer_of(spec, *data, single, 2);
    EXPECT_EQ(losses(*again, 8), losses(*kept, 8));
    EXPECT_TRUE(same_bits(again->state(), kept->state()));
    EXPECT_LT(again->memory().activations_bytes, kept->memory().activations_bytes * 2 / 3);
  }
}

TEST(Trainer, SixteenBitsLearnAsThirtyTwoDo) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec(2, 2, 32, 16);
  spec.mutable_optimizer()->mutable_adamw()->set_learning_rate(2e-3);
  spec.mutable_optimizer()->mutable_adamw()->set_clip_norm(1);
  spec.set_steps(40);
  const auto data = text_data(text, spec);
  SingleCollective single;
  const auto wide = trainer_of(spec, *data, single);
  const std::vector<double> want = losses(*wide, 40);
  for (const char* precision : {"bf16", "fp16"}) {
    spec.set_precision(precision);
    const auto narrow = trainer_of(spec, *data, single);
    EXPECT_LT(narrow->memory().activations_bytes, wide->memory().activations_bytes);
    const std::vector<double> curve = losses(*narrow, 40);
    for (std::size_t i = 0; i < 20; ++i) EXPECT_NEAR(curve[i], want[i], 2e-2) << precision << i;
    EXPECT_NE(curve, want);
    EXPECT_NEAR(curve.back(), want.back(), 0.1) << precision;
  }
}

// As a file of safetensors wants them: a checkpoint keeps what is "trainer." in one
// of its own.
TEST(Trainer, WideCountersComeFirst) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec();
  spec.set_precision("fp16");
  const auto data = text_data(text, spec);
  SingleCollective single;
  const auto trainer = trainer_of(spec, *data, single);
  std::size_t begins = 0;
  for (const TensorView& view : trainer->state()) {
    if (!view.name.starts_with("trainer.")) continue;
    EXPECT_EQ(begins % (view.dtype == "I64" ? 8 : 4), 0U) << view.name;
    begins += view.bytes.size();
  }
  EXPECT_EQ(begins, 44U);
}

double scale_of(const Trainer& trainer) {
  for (const TensorView& view : trainer.state()) {
    if (view.name == "trainer.loss_scale")
      return static_cast<double>(*reinterpret_cast<const float*>(view.bytes.data()));
  }
  return 0;
}

TEST(Trainer, Fp16HalvesItsScaleWhereAGradientOverflowsAndGoesOn) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec();
  spec.set_precision("fp16");
  const auto data = text_data(text, spec);
  SingleCollective single;
  const auto trainer = trainer_of(spec, *data, single);
  EXPECT_EQ(scale_of(*trainer), 65536);
  losses(*trainer, 2);
  KeptState state = keep(trainer->state());
  for (std::size_t i = 0; i < state.views.size(); ++i) {
    const float huge = 0x1p24F;
    if (state.views[i].name == "trainer.loss_scale")
      std::memcpy(state.bytes[i].data(), &huge, sizeof(huge));
    const std::int64_t nearly = 1999;
    if (state.views[i].name == "trainer.good_updates")
      std::memcpy(state.bytes[i].data(), &nearly, sizeof(nearly));
  }
  ASSERT_TRUE(trainer->restore(state.views).ok());
  const KeptState before = keep(trainer->model());
  const auto left_out = trainer->step();
  ASSERT_TRUE(left_out.has_value()) << left_out.error().message;
  EXPECT_FALSE(left_out->updated);
  EXPECT_EQ(left_out->step, 3U);
  EXPECT_TRUE(same_bits(trainer->model(), before.views));
  EXPECT_EQ(scale_of(*trainer), 0x1p23);
  int steps = 0;
  for (bool updated = false; !updated && steps < 20; ++steps) updated = trainer->step()->updated;
  EXPECT_LT(steps, 20);
  EXPECT_FALSE(same_bits(trainer->model(), before.views));
  // What a checkpoint has goes on bit for bit, the scale too.
  const KeptState half = keep(trainer->state());
  const std::vector<double> rest = losses(*trainer, 3);
  const auto again = trainer_of(spec, *data, single);
  ASSERT_TRUE(again->restore(half.views).ok());
  EXPECT_EQ(losses(*again, 3), rest);
  EXPECT_TRUE(same_bits(again->state(), trainer->state()));
}

TEST(Trainer, Fp16DoublesItsScaleAfterManyUpdates) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec();
  spec.set_precision("fp16");
  const auto data = text_data(text, spec);
  SingleCollective single;
  const auto trainer = trainer_of(spec, *data, single);
  KeptState state = keep(trainer->state());
  for (std::size_t i = 0; i < state.views.size(); ++i) {
    const float small = 1024;
    if (state.views[i].name == "trainer.loss_scale")
      std::memcpy(state.bytes[i].data(), &small, sizeof(small));
    const std::int64_t nearly = 1999;
    if (state.views[i].name == "trainer.good_updates")
      std::memcpy(state.bytes[i].data(), &nearly, sizeof(nearly));
  }
  ASSERT_TRUE(trainer->restore(state.views).ok());
  losses(*trainer, 1);
  EXPECT_EQ(scale_of(*trainer), 2048);
}

TEST(Trainer, ALossThatIsNoNumberIsNamedAtOnceOnAllRanks) {
  const std::string text = some_text();
  v1::TrainSpec spec = gpt_spec();
  const auto data = text_data(text, spec);
  on_ranks(2, [&](std::size_t, Collective& end) {
    const auto trainer = trainer_of(spec, *data, end);
    losses(*trainer, 3);
    KeptState broken = keep(trainer->state());
    const float nan = std::nanf("");
    std::memcpy(broken.bytes[10].data(), &nan, sizeof(nan));
    ASSERT_TRUE(trainer->restore(broken.views).ok());
    const auto step = trainer->step();
    ASSERT_FALSE(step.has_value());
    EXPECT_EQ(step.error().message,
              "Step 4: the loss is nan; " + broken.views[10].name + " is not finite.");
  });
  spec.mutable_optimizer()->mutable_sgd()->set_learning_rate(1e30);
  SingleCollective single;
  const auto wild = trainer_of(spec, *data, single);
  Status end = Status::success();
  for (int i = 0; i < 5 && end.ok(); ++i) {
    const auto step = wild->step();
    if (!step) end = step.error();
  }
  EXPECT_EQ(end.code, Code::kOutOfRange);
  EXPECT_NE(end.message.find("Step 2: the loss is nan"), std::string::npos) << end.message;
}

// Good until it is asked for a sample that is not.
class BrokenFrom final : public DataSource {
 public:
  BrokenFrom(const DataSource& good, std::uint64_t sample) : good_(good), sample_(sample) {}
  [[nodiscard]] plan::DataFacts facts() const override { return good_.facts(); }
  [[nodiscard]] std::uint64_t training_samples() const override { return good_.training_samples(); }
  [[nodiscard]] std::uint64_t validation_samples() const override { return 1; }
  Status training_sample(std::uint64_t sample, const SampleSlot& slot) const override {
    return sample < sample_ ? good_.training_sample(sample, slot) : no_number();
  }
  Status validation_sample(std::uint64_t, const SampleSlot&) const override { return no_number(); }

 private:
  static Status no_number() {
    return error(Code::kOutOfRange, "Row 7, column 2 of x is no finite number.", "x");
  }
  const DataSource& good_;
  const std::uint64_t sample_;
};

TEST(Trainer, DataThatAreNoNumbersAreNamedWithTheirStepAndChangeNothing) {
  const std::string text = some_text();
  const v1::TrainSpec spec = gpt_spec();
  const auto good = text_data(text, spec);
  const BrokenFrom data(*good, 3 * spec.batch_size() + 5);
  SingleCollective single;
  const auto trainer = trainer_of(spec, data, single);
  losses(*trainer, 3);
  const KeptState before = keep(trainer->state());
  const auto step = trainer->step();
  ASSERT_FALSE(step.has_value());
  EXPECT_EQ(step.error().code, Code::kOutOfRange);
  EXPECT_EQ(step.error().message, "Step 4: Row 7, column 2 of x is no finite number.");
  EXPECT_EQ(step.error().field, "x");
  EXPECT_TRUE(same_bits(trainer->state(), before.views)) << "what a checkpoint holds";
  const auto validation = trainer->validation_loss(0);
  ASSERT_FALSE(validation.has_value());
  EXPECT_EQ(validation.error().message,
            "Validation after step 3: Row 7, column 2 of x is no finite number.");
}

TEST(Trainer, ASeatWithTooLittleMemoryIsRefused) {
  const std::string text = some_text();
  const v1::TrainSpec spec = gpt_spec();
  const auto data = text_data(text, spec);
  SingleCollective single;
  LimitingResource seat(host(), 100000, "the seat");
  const auto trainer = Trainer::make(spec, *data, single, seat, 1);
  ASSERT_FALSE(trainer.has_value());
  EXPECT_EQ(trainer.error().code, Code::kResourceExhausted);
}

TEST(Trainer, WhatCannotBeTrainedIsRefusedWithItsField) {
  const std::string text = some_text();
  const v1::TrainSpec good = gpt_spec();
  const auto data = text_data(text, good);
  SingleCollective single;
  const auto field_of = [&](const std::function<void(v1::TrainSpec&)>& change) {
    v1::TrainSpec spec = good;
    change(spec);
    const auto trainer = Trainer::make(spec, *data, single, host(), 1);
    return trainer ? std::string("none") : trainer.error().field;
  };
  const std::string p = "workload.train.";
  EXPECT_EQ(field_of([](auto& s) { s.set_steps(0); }), p + "steps");
  EXPECT_EQ(field_of([](auto& s) { s.set_batch_size(0); }), p + "batch_size");
  EXPECT_EQ(field_of([](auto& s) { s.set_accumulate(13); }), p + "batch_size");
  EXPECT_EQ(field_of([](auto& s) { s.set_precision("fp8"); }), p + "precision");
  EXPECT_EQ(field_of([](auto& s) { s.add_freeze("h.9.*"); }), p + "freeze");
  EXPECT_EQ(field_of([](auto& s) { s.add_freeze("*"); }), p + "freeze");
  EXPECT_EQ(field_of([](auto& s) { s.mutable_model()->mutable_gpt()->set_heads(3); }),
            p + "model.gpt.heads");
  EXPECT_EQ(field_of([](auto& s) { s.mutable_model()->mutable_gpt()->set_context(6000); }),
            p + "model.gpt.context");
  EXPECT_EQ(field_of([](auto& s) { s.mutable_model()->mutable_logistic(); }), p + "model");
  EXPECT_EQ(field_of([](auto& s) { s.mutable_optimizer()->mutable_adamw()->set_schedule("x"); }),
            p + "optimizer.adamw.schedule");
}

TEST(Trainer, LearnsFromRows) {
  std::string csv = "a,b,label\n";
  std::uint64_t state = 1;
  for (int i = 0; i < 400; ++i) {
    const double a = static_cast<double>(next_random(state) % 1000) / 500 - 1;
    const double b = static_cast<double>(next_random(state) % 1000) / 500 - 1;
    csv += std::to_string(a) + "," + std::to_string(b) + "," + (a + b > 0 ? "1" : "0") + "\n";
  }
  const auto data = make_csv_source(bytes_of(csv), "label", 0.25, 1, host());
  ASSERT_TRUE(data.has_value());
  for (const bool mlp : {false, true}) {
    v1::TrainSpec spec = gpt_spec();
    spec.set_steps(300);
    spec.mutable_optimizer()->mutable_adamw()->set_learning_rate(0.05);
    if (mlp) {
      for (const std::uint32_t width : {2U, 8U, 2U})
        spec.mutable_model()->mutable_mlp()->add_layers(width);
    } else {
      spec.mutable_model()->mutable_logistic();
    }
    for (const char* precision : {"fp32", "bf16", "fp16"}) {
      spec.set_precision(precision);
      SingleCollective single;
      const auto trainer = trainer_of(spec, **data, single);
      losses(*trainer, 300);
      EXPECT_LT(**trainer->validation_loss(0), 0.15) << precision;
    }
  }
}

}  // namespace
}  // namespace overwinter::worker
