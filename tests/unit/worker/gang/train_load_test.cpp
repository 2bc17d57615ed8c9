#include "worker/gang/train_load.h"

#include <cstring>
#include <numeric>

#include "tests/unit/worker/gang/train_support.h"
#include "worker/collective/single_collective.h"
#include "worker/gang/tensor_files.h"
#include "worker/kernels/gemm_choice.h"

namespace overwinter::worker {
namespace {

class TrainLoadTest : public TrainTaskTest {
 protected:
  Status refusal(const v1::RankTask& task) {
    const auto loaded = load_training(task, single_);
    return loaded ? Status::success() : loaded.error();
  }
  std::string write_tensors(const std::string& name, const std::vector<TensorView>& tensors) {
    const fs::path path = folder_ / name;
    const Status written = write_tensor_file(path, tensors);
    EXPECT_TRUE(written.ok()) << written.message;
    return path.string();
  }

  SingleCollective single_;
};

TEST_F(TrainLoadTest, HoldsWhatThePlanSaysAndNotAByteMore) {
  const auto loaded = load_training(task(), single_);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  const std::uint64_t whole = (*loaded)->trainer->memory().total_bytes();
  EXPECT_EQ((*loaded)->memory.peak_bytes(), whole);
  v1::RankTask tight = task();
  tight.set_memory_bytes(whole);
  EXPECT_TRUE(refusal(tight).ok());
  tight.set_memory_bytes(whole - 1);
  const Status refused = refusal(tight);
  EXPECT_EQ(refused.code, Code::kResourceExhausted);
  for (const char* word : {"rank 0", "asked", "held", "allowed"})
    EXPECT_NE(refused.message.find(word), std::string::npos) << refused.message;
}

TEST_F(TrainLoadTest, RunsInWhatThePlanDecided) {
  const auto rank_of = [&] {
    const auto loaded = load_training(task(), single_);
    EXPECT_TRUE(loaded.has_value()) << loaded.error().message;
    return loaded ? (*loaded)->trainer->rank().precision : plan::TrainPrecision::kFp16;
  };
  for (const char* asked : {"auto", ""}) {
    spec_.set_precision(asked);
    plan_.mutable_train()->set_precision("bf16");
    EXPECT_EQ(rank_of(), plan::TrainPrecision::kBf16);
    plan_.mutable_train()->set_precision("fp32");
    EXPECT_EQ(rank_of(), plan::TrainPrecision::kFp32);
    plan_.mutable_train()->clear_precision();  // an older coordinator's
    EXPECT_EQ(rank_of(), plan::TrainPrecision::kFp32);
  }
}

TEST_F(TrainLoadTest, MultipliesByWhatTheDaemonHasMeasured) {
  GemmChoices known;
  known.key = "this machine";
  GemmChoice& one = known.by_threads[1];
  for (auto& best : one.best[2]) best.library = GemmLibrary::kWidened;
  for (auto& best : one.best[3]) best.library = GemmLibrary::kWidened;
  for (auto& best : one.best[4]) best.library = GemmLibrary::kWidened;
  for (auto& best : one.best[0]) best = {GemmLibrary::kOneDnn, 50};
  v1::RankTask measured = task();
  measured.set_products(write_gemm_choices(known));
  v1::RankTask damaged = task();
  damaged.set_products("overwinter products 0");  // is said in the log, and nothing else
  std::vector<double> losses;
  for (const v1::RankTask& each : {task(), measured, damaged}) {
    const auto loaded = load_training(each, single_);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    const auto step = (*loaded)->trainer->step();
    ASSERT_TRUE(step.has_value());
    losses.push_back(step->loss);
  }
  EXPECT_NEAR(losses[1], losses[0], 1e-4);
  EXPECT_EQ(losses[2], losses[0]);
}

TEST_F(TrainLoadTest, ATableIsChargedToTheRank) {
  task_.clear_data();
  plan_.Clear();
  std::string csv = "a,b,kind\n";
  for (int i = 0; i < 50; ++i)
    csv += std::to_string(i % 7) + "," + std::to_string(i % 3) + "," + std::to_string(i % 2) + "\n";
  add_data("table.csv", csv);
  spec_.mutable_data()->clear_text();
  spec_.mutable_data()->mutable_csv()->set_target("kind");
  spec_.mutable_model()->mutable_logistic();
  const auto loaded = load_training(task(), single_);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  // The plan rounds the table up to where the next piece could begin.
  const std::uint64_t planned = (*loaded)->trainer->memory().total_bytes();
  EXPECT_LE((*loaded)->memory.peak_bytes(), planned);
  EXPECT_LT(planned - (*loaded)->memory.peak_bytes(), plan::kTrainAlignment);
  EXPECT_GT((*loaded)->data->facts().table_bytes, 0U);
  v1::RankTask small = task();
  small.set_memory_bytes(100);
  EXPECT_EQ(refusal(small).code, Code::kResourceExhausted);
}

TEST_F(TrainLoadTest, FilesThatDoNotFitThePlanAreRefused) {
  v1::RankTask wrong = task();
  wrong.mutable_data(1)->set_digest(wrong.data(0).digest());
  EXPECT_NE(refusal(wrong).message.find("file 2 of the data"), std::string::npos);
  wrong = task();
  wrong.mutable_data()->RemoveLast();
  EXPECT_EQ(refusal(wrong).message, "the plan has 2 files of data, the task 1");
  wrong = task();
  wrong.mutable_data(0)->set_size_bytes(999);
  EXPECT_NE(refusal(wrong).message.find("has 1000 bytes; expected are 999"), std::string::npos);
  wrong = task();
  wrong.mutable_data(0)->set_path((folder_ / "gone").string());
  EXPECT_EQ(refusal(wrong).code, Code::kNotFound);
  wrong = task();
  wrong.set_spec("\xff\xff");
  EXPECT_EQ(refusal(wrong).code, Code::kInvalidArgument);
  spec_.mutable_data()->add_text("artifact://c");
  EXPECT_EQ(refusal(task()).message, "the specification has 3 files of data, the task 2");
}

TEST_F(TrainLoadTest, WeightsToBeginFromAreTakenOrNamed) {
  const auto loaded = load_training(task(), single_);
  ASSERT_TRUE(loaded.has_value());
  std::vector<TensorView> weights = (*loaded)->trainer->model();
  std::vector<float> other(weights[1].bytes.size() / sizeof(float), 0.25F);
  weights[1].bytes = std::as_bytes(std::span(other));
  v1::RankTask begins = task();
  begins.set_initial_path(write_tensors("initial.safetensors", weights));
  const auto begun = load_training(begins, single_);
  ASSERT_TRUE(begun.has_value()) << begun.error().message;
  const TensorView got = (*begun)->trainer->model()[1];
  EXPECT_EQ(std::memcmp(got.bytes.data(), other.data(), got.bytes.size()), 0);

  const std::string name = weights[1].name;
  weights.erase(weights.begin() + 1);
  begins.set_initial_path(write_tensors("part.safetensors", weights));
  EXPECT_NE(refusal(begins).message.find("has no tensor " + name), std::string::npos);
}

TEST_F(TrainLoadTest, ACheckpointMustBeOfTheStepAndWhole) {
  make_ports(1, task());
  run_well();
  const v1::RankTask good = going_on(port().sent[0]);
  EXPECT_TRUE(refusal(good).ok());
  v1::RankTask wrong = good;
  wrong.set_first_step(11);
  EXPECT_EQ(refusal(wrong).message, "the checkpoint is of step 12; the task goes on from 11");
  wrong = good;
  wrong.clear_checkpoint();
  EXPECT_EQ(refusal(wrong).message, "the task goes on from step 12 without a checkpoint");
  wrong = good;
  wrong.mutable_checkpoint()->DeleteSubrange(1, 1);
  EXPECT_NE(refusal(wrong).message.find("has no tensor optimizer.first.wte.weight"),
            std::string::npos)
      << refusal(wrong).message;
  fs::resize_file(good.checkpoint(0).path(), 100);
  wrong = good;
  wrong.mutable_checkpoint(0)->set_size_bytes(0);
  EXPECT_NE(refusal(wrong).message.find("model-00001-of-00001.safetensors: "), std::string::npos)
      << refusal(wrong).message;
}

TEST_F(TrainLoadTest, ShardsTogetherAreTheState) {
  const auto loaded = load_training(task(), single_);
  ASSERT_TRUE(loaded.has_value());
  const std::vector<TensorView> state = (*loaded)->trainer->state();
  constexpr std::uint64_t kSmall = 4096;
  v1::RankTask again = task();
  std::vector<std::string> names;
  for (const TensorFile& file : checkpoint_files(state, kSmall)) {
    std::uint64_t bytes = 0;
    for (const TensorView& tensor : file.tensors) bytes += tensor.bytes.size();
    EXPECT_TRUE(bytes <= kSmall || file.tensors.size() == 1) << file.name;
    names.push_back(file.name);
    v1::LocalFile& local = *again.add_checkpoint();
    local.set_name(file.name);
    local.set_path(write_tensors(file.name, file.tensors));
  }
  EXPECT_GT(names.size(), 8U);
  EXPECT_TRUE(names.front().starts_with("model-00001-of-000")) << names.front();
  EXPECT_EQ(names.back(), "trainer.safetensors");
  const auto restored = load_training(again, single_);
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  // A file is never written over.
  EXPECT_FALSE(write_tensor_file(folder_ / names.front(), {}).ok());
}

TEST_F(TrainLoadTest, FilesAreWhatAManifestSaysOfThem) {
  make_ports(2, task());
  run_well();
  const v1::RankCheckpoint& sent = port().sent[0];
  EXPECT_EQ(sent.data_position(), 12U * 12);
  EXPECT_EQ(sent.loss(), port().losses().at(12));
  ASSERT_EQ(sent.files_size(), 3);
  EXPECT_EQ(sent.files(1).name(), "optimizer-00001-of-00001.safetensors");
  std::map<std::string, std::string> weights;
  for (const v1::LocalFile& file : sent.files()) {
    const std::string bytes = file_text(file.path());
    EXPECT_EQ(file.size_bytes(), bytes.size());
    EXPECT_EQ(file.digest(), digest_of(bytes));
    const auto tensors = read_tensor_file(std::as_bytes(std::span(bytes)), file.name());
    ASSERT_TRUE(tensors.has_value()) << tensors.error().message;
    for (const TensorView& tensor : *tensors) {
      const std::string content(reinterpret_cast<const char*>(tensor.bytes.data()),
                                tensor.bytes.size());
      if (file.kind() == "weights") weights[tensor.name] = content;
      if (tensor.name == "trainer.step") {
        EXPECT_EQ(content[0], 12);
      }
      if (tensor.name == "trainer.seed") {
        EXPECT_EQ(content[0], 5);
      }
    }
  }
  for (const char* name :
       {"wte.weight", "wpe.weight", "h.1.attn.c_attn.weight", "h.0.mlp.c_proj.bias", "ln_f.weight"})
    EXPECT_TRUE(weights.contains(name)) << name;
  const std::string all = std::accumulate(
      weights.begin(), weights.end(), std::string(),
      [](std::string so_far, const auto& one) { return std::move(so_far) + one.second; });
  EXPECT_EQ(sent.parameters_digest(), digest_of(all));
}

}  // namespace
}  // namespace overwinter::worker
