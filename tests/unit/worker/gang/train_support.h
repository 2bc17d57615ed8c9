// What tests of a training's rank build: a task on files of a folder, and ports that keep what the
// ranks say.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "common/formats/digest.h"
#include "overwinter/v1/job.pb.h"
#include "worker/collective/thread_collective.h"
#include "worker/gang/train_task.h"

namespace overwinter::worker {

namespace fs = std::filesystem;

inline std::string file_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline std::string digest_of(const std::string& bytes) {
  formats::BlobDigester digester;
  digester.update(std::as_bytes(std::span(bytes)));
  return to_hex(digester.finish());
}

// Moved by the test alone.
class StillClock final : public Clock {
 public:
  [[nodiscard]] std::chrono::milliseconds wall() const override { return {}; }
  [[nodiscard]] std::chrono::nanoseconds monotonic() const override {
    return std::chrono::milliseconds(now_ms.load());
  }
  std::atomic<std::int64_t> now_ms{0};
};

// A daemon within the rank's thread: it copies the files of a checkpoint and answers.
class KeepingPort final : public RankPort {
 public:
  KeepingPort(v1::RankTask task, fs::path store)
      : task_(std::move(task)), store_(std::move(store)) {}

  [[nodiscard]] const v1::RankTask& task() const override { return task_; }
  void progress(const v1::RankProgress& progress) override {
    told.push_back(progress);
    if (progress.phase() == "train" && after_step) after_step(progress.step());
  }
  Status send_checkpoint(const v1::RankCheckpoint& checkpoint) override {
    sent.push_back(checkpoint);
    v1::CheckpointKept kept;
    kept.set_step(checkpoint.step());
    if (!errors.empty()) {
      kept.set_error(errors.front());
      errors.pop_front();
    }
    const fs::path folder = store_ / std::to_string(checkpoint.step());
    fs::create_directories(folder);
    for (v1::LocalFile& file : *sent.back().mutable_files()) {
      const fs::path to = folder / file.name();
      fs::copy_file(file.path(), to, fs::copy_options::overwrite_existing);
      file.set_path(to.string());
    }
    answers_.push_back(kept);
    return Status::success();
  }
  [[nodiscard]] std::optional<v1::CheckpointKept> checkpoint_answer() override {
    if (answers_.empty() || answers_only_who_waits) return std::nullopt;
    v1::CheckpointKept kept = answers_.front();
    answers_.pop_front();
    return kept;
  }
  [[nodiscard]] Result<v1::CheckpointKept> wait_checkpoint_answer(Duration) override {
    if (answers_.empty()) return fail(Code::kDeadlineExceeded, "there is no answer");
    v1::CheckpointKept kept = answers_.front();
    answers_.pop_front();
    return kept;
  }
  [[nodiscard]] v1::RankStop::How stop_asked() const override { return stop; }
  [[nodiscard]] std::uint32_t checkpoints_asked() const override { return passing; }

  [[nodiscard]] std::map<std::uint64_t, double> losses() const {
    std::map<std::uint64_t, double> all;
    for (const v1::RankProgress& p : told)
      if (p.phase() == "train") all[p.step()] = p.loss();
    return all;
  }
  [[nodiscard]] std::uint64_t last_step() const { return told.empty() ? 0 : told.back().step(); }
  [[nodiscard]] std::vector<std::uint64_t> sent_steps() const {
    std::vector<std::uint64_t> steps;
    for (const v1::RankCheckpoint& one : sent) steps.push_back(one.step());
    return steps;
  }
  [[nodiscard]] bool said(const std::string& phase) const {
    return std::any_of(told.begin(), told.end(), [&](const v1::RankProgress& p) {
      return p.phase().find(phase) != std::string::npos;
    });
  }

  std::function<void(std::uint64_t step)> after_step;
  v1::RankStop::How stop = v1::RankStop::HOW_UNSPECIFIED;
  std::uint32_t passing = 0;
  std::deque<std::string> errors;  // of the next answers
  bool answers_only_who_waits = false;
  std::vector<v1::RankProgress> told;
  std::vector<v1::RankCheckpoint> sent;  // with the paths of the copies

 private:
  const v1::RankTask task_;
  const fs::path store_;
  std::deque<v1::CheckpointKept> answers_;
};

class TrainTaskTest : public testing::Test {
 protected:
  static inline int folders = 0;

  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("ow_train_" + std::to_string(::getpid()) + "_" + std::to_string(++folders));
    fs::create_directories(folder_ / "job");
    std::string text;
    const char* words[] = {"winter ", "is ", "over ", "the ", "snow ", "melts ", "and ", "birds\n"};
    for (std::uint64_t state = 7; text.size() < 6000;) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      text += words[state >> 61];
    }
    // Two files: they are one text.
    add_data("a.txt", text.substr(0, 1000));
    add_data("b.txt", text.substr(1000));
    v1::TrainSpec& spec = spec_;
    spec.mutable_data()->add_text("artifact://a");
    spec.mutable_data()->add_text("artifact://b");
    spec.mutable_data()->set_validation_fraction(0.1);
    v1::GptSpec& gpt = *spec.mutable_model()->mutable_gpt();
    gpt.set_layers(2);
    gpt.set_heads(2);
    gpt.set_width(16);
    gpt.set_context(8);
    spec.mutable_optimizer()->mutable_adamw()->set_learning_rate(1e-2);
    spec.set_batch_size(12);
    spec.set_steps(12);
    spec.set_seed(5);
    task_.set_memory_bytes(256 * kMiB);
    task_.set_threads(1);
    task_.set_job_directory((folder_ / "job").string());
  }
  void TearDown() override { fs::remove_all(folder_); }

  void add_data(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    v1::LocalFile& file = *task_.add_data();
    file.set_name(name);
    file.set_path((folder_ / name).string());
    file.set_size_bytes(bytes.size());
    file.set_digest(digest_of(bytes));
    plan_.mutable_train()->add_data_digests(file.digest());
  }

  [[nodiscard]] v1::RankTask task() const {
    v1::RankTask task = task_;
    v1::JobSpec job;
    *job.mutable_train() = spec_;
    task.set_spec(job.SerializeAsString());
    task.set_plan(plan_.SerializeAsString());
    task.set_steps(spec_.steps());
    return task;
  }
  // The task that goes on from what a port kept.
  [[nodiscard]] v1::RankTask going_on(const v1::RankCheckpoint& from) const {
    v1::RankTask next = task();
    next.set_first_step(from.step());
    *next.mutable_checkpoint() = from.files();
    return next;
  }

  void make_ports(std::size_t ranks, const v1::RankTask& task) {
    ports_.clear();
    for (std::size_t r = 0; r < ranks; ++r)
      ports_.push_back(std::make_unique<KeepingPort>(task, folder_ / "store"));
  }
  // Runs one rank a port, each on a thread.
  std::vector<Status> run() {
    ThreadGroup group(ports_.size());
    std::vector<Status> ends(ports_.size());
    std::vector<std::jthread> threads;
    for (std::size_t r = 0; r < ports_.size(); ++r) {
      threads.emplace_back([&, r, end = group.end_of(r)]() mutable {
        ends[r] = TrainTask(clock_).run(*end, *ports_[r]);
        end.reset();
      });
    }
    threads.clear();
    return ends;
  }
  void run_well() {
    for (const Status& end : run()) EXPECT_TRUE(end.ok()) << end.message;
  }
  KeepingPort& port(std::size_t rank = 0) { return *ports_[rank]; }
  [[nodiscard]] bool job_folder_is_empty() const { return fs::is_empty(folder_ / "job"); }

  fs::path folder_;
  v1::TrainSpec spec_;
  v1::Plan plan_;
  v1::RankTask task_;
  StillClock clock_;
  std::vector<std::unique_ptr<KeepingPort>> ports_;
};

}  // namespace overwinter::worker
