#include <gtest/gtest.h>

#include <cmath>

#include "common/spec/spec.h"

namespace overwinter::spec {
namespace {

const SpecOptions kAll{.release = {.train = true, .exec = true, .mpi = true}};
using Fields = std::vector<std::string>;

v1::JobSpec a_training() {
  v1::JobSpec spec;
  v1::TrainSpec& train = *spec.mutable_train();
  v1::GptSpec& gpt = *train.mutable_model()->mutable_gpt();
  gpt.set_layers(2);
  gpt.set_heads(4);
  gpt.set_width(64);
  gpt.set_context(32);
  train.mutable_data()->add_text("corpus.txt");
  train.set_batch_size(16);
  train.set_steps(100);
  return spec;
}

std::vector<Violation> violations(v1::JobSpec spec, SpecOptions options = kAll) {
  return complete_and_validate(spec, "team", options);
}
Fields fields(const v1::JobSpec& spec, const SpecOptions& options = kAll) {
  Fields out;
  for (const Violation& violation : violations(spec, options)) {
    EXPECT_EQ(violation.message.back(), '.') << violation.message;
    out.push_back(violation.field);
  }
  return out;
}
std::string first_message(const v1::JobSpec& spec) {
  const auto found = violations(spec);
  return found.empty() ? "none" : found.front().message;
}

TEST(ValidateTrain, FillsDefaults) {
  v1::JobSpec spec = a_training();
  ASSERT_TRUE(complete_and_validate(spec, "team", kAll).empty());
  EXPECT_EQ(spec.name(), "train");
  EXPECT_EQ(spec.spot(), "allowed");
  EXPECT_EQ(spec.workers().min(), 1u);
  EXPECT_EQ(spec.workers().max(), 0u);
  EXPECT_EQ(spec.transport(), "auto");
  const v1::AdamwSpec& adamw = spec.train().optimizer().adamw();
  EXPECT_EQ(adamw.learning_rate(), 3e-4);
  EXPECT_EQ(adamw.beta1(), 0.9);
  EXPECT_EQ(adamw.beta2(), 0.999);
  EXPECT_EQ(adamw.epsilon(), 1e-8);
  EXPECT_EQ(adamw.weight_decay(), 0);
  EXPECT_EQ(adamw.schedule(), "constant");
  EXPECT_EQ(spec.train().model().gpt().vocabulary(), "bytes");
  EXPECT_EQ(spec.train().accumulate(), 1u);
  EXPECT_EQ(spec.train().precision(), "auto");
  EXPECT_EQ(spec.train().activations(), "kept");
  EXPECT_EQ(spec.checkpoint().every_time().seconds(), 300);
  EXPECT_EQ(spec.checkpoint().keep(), 3u);
  EXPECT_EQ(spec.stall_timeout().seconds(), 1800);
  EXPECT_EQ(spec.retries(), 3u);
  v1::JobSpec again = spec;
  EXPECT_TRUE(complete_and_validate(again, "other", kAll).empty());
  EXPECT_EQ(again.SerializeAsString(), spec.SerializeAsString());
}

TEST(ValidateTrain, ComesWithItsRelease) {
  EXPECT_EQ(fields(a_training(), {.release = {}}), Fields{"workload.train"});
  EXPECT_EQ(fields(a_training(), {.release = {.exec = true}}), Fields{"workload.train"});
  EXPECT_EQ(fields(a_training(), {.release = {.train = true}}), Fields{});
}

TEST(ValidateTrain, WhatIsMissingIsNamed) {
  v1::JobSpec spec;
  spec.mutable_train();
  EXPECT_EQ(fields(spec), (Fields{"workload.train.batch_size", "workload.train.steps",
                                  "workload.train.model", "workload.train.data"}));
  spec = a_training();
  spec.mutable_train()->mutable_model()->mutable_gpt()->Clear();
  EXPECT_EQ(fields(spec),
            (Fields{"workload.train.model.gpt.layers", "workload.train.model.gpt.heads",
                    "workload.train.model.gpt.width", "workload.train.model.gpt.context"}));
  spec = a_training();
  spec.mutable_train()->mutable_optimizer()->mutable_sgd();
  EXPECT_EQ(fields(spec), Fields{"workload.train.optimizer.sgd.learning_rate"});
  spec = a_training();
  spec.mutable_train()->mutable_model()->mutable_linear();
  spec.mutable_train()->clear_data();
  spec.mutable_train()->mutable_data()->mutable_csv();
  EXPECT_EQ(fields(spec),
            (Fields{"workload.train.data.csv.path", "workload.train.data.csv.target"}));
}

// What a client of its own could send, without our reader of files.
TEST(ValidateTrain, TheMessageItselfIsChecked) {
  v1::JobSpec spec = a_training();
  v1::TrainSpec& train = *spec.mutable_train();
  train.mutable_model()->mutable_gpt()->set_layers(4'000'000'000);
  train.mutable_model()->mutable_gpt()->set_vocabulary("words");
  train.add_freeze("a\nb");
  train.mutable_data()->set_validation_fraction(std::nan(""));
  train.mutable_optimizer()->mutable_adamw()->set_learning_rate(
      -std::numeric_limits<double>::infinity());
  train.mutable_optimizer()->mutable_adamw()->set_schedule("step");
  train.set_batch_size(~0ULL);
  train.set_precision("fp64");
  EXPECT_EQ(fields(spec),
            (Fields{"workload.train.model.gpt.layers", "workload.train.model.gpt.vocabulary",
                    "workload.train.freeze", "workload.train.data.validation_fraction",
                    "workload.train.optimizer.adamw.learning_rate",
                    "workload.train.optimizer.adamw.schedule", "workload.train.batch_size",
                    "workload.train.precision"}));
}

TEST(ValidateTrain, KeysThatContradictEachOther) {
  v1::JobSpec spec = a_training();
  spec.mutable_train()->mutable_model()->mutable_gpt()->set_width(65);
  EXPECT_EQ(first_message(spec),
            "workload.train.model.gpt.width must be a multiple of heads, which is 4; 65 is not.");
  spec = a_training();
  spec.mutable_train()->mutable_model()->mutable_mlp()->add_layers(3);
  EXPECT_EQ(fields(spec), (Fields{"workload.train.model.mlp.layers", "workload.train.data"}));
  spec.mutable_train()->set_activations("recomputed");
  EXPECT_EQ(fields(spec), (Fields{"workload.train.model.mlp.layers", "workload.train.data",
                                  "workload.train.activations"}));
  spec = a_training();
  spec.mutable_train()->mutable_data()->mutable_npy()->set_x("X.npy");
  EXPECT_EQ(fields(spec), Fields{"workload.train.data"});
  spec = a_training();
  spec.mutable_train()->set_accumulate(3);
  EXPECT_EQ(first_message(spec),
            "workload.train.batch_size must be a multiple of accumulate, which is 3; 16 is not.");
  spec = a_training();
  spec.mutable_workers()->set_min(17);
  EXPECT_EQ(fields(spec), Fields{"workload.train.batch_size"});
  spec = a_training();
  spec.mutable_train()->mutable_optimizer()->mutable_adamw()->set_warmup_steps(101);
  EXPECT_EQ(fields(spec), Fields{"workload.train.optimizer.adamw.warmup_steps"});
  spec = a_training();
  spec.set_transport("elastic");
  spec.mutable_stop()->set_signal("SIGTERM");
  spec.mutable_workers()->set_device("H100:8");
  EXPECT_EQ(fields(spec), (Fields{"transport", "stop", "workers.device"}));
  spec = a_training();
  spec.mutable_checkpoint()->set_every_steps(5);
  spec.mutable_checkpoint()->mutable_every_time()->set_seconds(5);
  spec.mutable_checkpoint()->set_keep(100'000);
  spec.set_retries(1000);
  spec.mutable_stall_timeout()->set_seconds(-1);
  spec.mutable_host()->set_memory_bytes(5);
  spec.mutable_host()->set_cpus(1'000'000);
  EXPECT_EQ(fields(spec), (Fields{"checkpoint.every", "checkpoint.keep", "retries", "host.cpus",
                                  "stall_timeout", "host.memory"}));
}

TEST(ValidateTrain, WhereWeightsBegin) {
  const std::string digest(64, 'b');
  for (const std::string good :
       {"j-7k2f9@500", "projects/p/jobs/j@5", "@last@7", "w.safetensors", "dir/w@2.safetensors"}) {
    v1::JobSpec spec = a_training();
    spec.mutable_train()->set_init_from(good);
    EXPECT_EQ(fields(spec), Fields{}) << good;
  }
  for (const std::string bad : {"weights.pt", "job@", "@5", "artifact://12", "a\nb.safetensors"}) {
    v1::JobSpec spec = a_training();
    spec.mutable_train()->set_init_from(bad);
    EXPECT_FALSE(fields(spec).empty()) << bad;
  }
  SpecOptions stored = kAll;
  stored.require_artifacts = true;
  v1::JobSpec spec = a_training();
  spec.mutable_train()->set_init_from("w.safetensors");
  EXPECT_EQ(fields(spec, stored),
            (Fields{"workload.train.data.text[0]", "workload.train.init_from"}));
  *spec.mutable_train()->mutable_data()->mutable_text(0) = "artifact://" + digest;
  spec.mutable_train()->set_init_from("artifact://" + digest);
  EXPECT_EQ(fields(spec, stored), Fields{});
}

TEST(ValidateTrain, InputsAreListed) {
  v1::JobSpec spec = a_training();
  spec.mutable_train()->set_init_from("w.safetensors");
  auto inputs = input_texts(spec);
  ASSERT_EQ(inputs.size(), 2u);
  EXPECT_EQ(inputs[0].field, "workload.train.init_from");
  EXPECT_EQ(inputs[1].field, "workload.train.data.text[0]");
  *inputs[1].text = "changed";
  EXPECT_EQ(spec.train().data().text(0), "changed");
  spec.mutable_train()->set_init_from("job@5");
  EXPECT_EQ(input_texts(spec).size(), 1u);
}

TEST(ValidateTrain, MessagesNameTheLine) {
  const auto parsed = parse_spec(
      "name: x\n"
      "workload:\n"
      "  train:\n"
      "    model:\n"
      "      gpt: { layers: 2, heads: 3,\n"
      "             width: 64, context: 8 }\n"
      "    data: { text: [a.txt] }\n"
      "    batch_size: 8\n",
      "job.yaml", kAll);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  v1::JobSpec spec = parsed->spec;
  const Status status = to_status(complete_and_validate(spec, "", kAll), *parsed);
  EXPECT_EQ(status.message,
            "job.yaml:3: workload.train.steps is missing: how many. "
            "job.yaml:6: workload.train.model.gpt.width must be a multiple of heads, which is 3; "
            "64 is not.");
  EXPECT_EQ(status.field, "workload.train.steps");
  EXPECT_TRUE(to_status({}, *parsed).ok());
}

}  // namespace
}  // namespace overwinter::spec
