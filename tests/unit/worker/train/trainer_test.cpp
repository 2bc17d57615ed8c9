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

TEST(Trainer, TheSameSeedRanksAndThreadsGiveTheSameBits) {
  const std::string text = some_text();
  const v1::TrainSpec spec = gpt_spec();
  const auto data = text_data(text, spec);
  for (const std::uint32_t threads : {1U, 3U}) {
    SingleCollective single;
    const auto a = trainer_of(spec, *data, single, threads);
    const auto b = trainer_of(spec, *data, single, threads);
    EXPECT_EQ(losses(*a, 10), losses(*b, 10));
    EXPECT_TRUE(same_bits(a->state(), b->state()));
  }
  v1::TrainSpec other = spec;
  other.set_seed(6);
  SingleCollective single;
  EXPECT_NE(losses(*trainer_of(spec, *data, single), 1),
            losses(*trainer_of(other, *data, single), 1));
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
    SingleCollective single;
    const auto trainer = trainer_of(spec, **data, single);
    losses(*trainer, 300);
    EXPECT_LT(**trainer->validation_loss(0), 0.15);
  }
}

}  // namespace
}  // namespace overwinter::worker
