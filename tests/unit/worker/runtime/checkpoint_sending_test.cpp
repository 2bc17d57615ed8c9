#include "worker/runtime/checkpoint_sending.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>

namespace overwinter::worker {
namespace {

// Keeps nothing before it is told to, or given up.
class SlowPort final : public CheckpointPort {
 public:
  Status send(const CheckpointAccess&, std::uint64_t, std::uint64_t,
              std::span<const CheckpointFile>, const std::filesystem::path&,
              std::stop_token) override {
    return Status::success();
  }
  Status commit(const CheckpointAccess&, const CheckpointManifest&, std::stop_token) override {
    return Status::success();
  }
  Status store(const CheckpointAccess&, const CheckpointManifest& manifest,
               const std::filesystem::path&, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    begun_.set_value(manifest.step);
    if (!changed_.wait(lock, stop, [&] { return open_; }))
      return error(Code::kCancelled, "given up");
    begun_ = {};
    return Status::success();
  }
  Result<RestoredCheckpoint> restore(const CheckpointAccess&, const std::filesystem::path&,
                                     std::stop_token) override {
    return RestoredCheckpoint{};
  }
  std::uint64_t wait_for_begin() { return begun_.get_future().get(); }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::promise<std::uint64_t> begun_;
  bool open_ = false;
};

CheckpointManifest of_step(std::uint64_t step) {
  CheckpointManifest manifest;
  manifest.job = JobId(1);
  manifest.step = step;
  return manifest;
}

TEST(CheckpointSending, AnswersEachInItsOrder) {
  SlowPort port;
  port.open();
  CheckpointSending sending(port, [] { return CheckpointAccess{}; });
  std::promise<Status> first;
  std::promise<Status> second;
  sending.send(of_step(1), "/nowhere", [&](const Status& s) { first.set_value(s); });
  EXPECT_TRUE(first.get_future().get().ok());
  sending.send(of_step(2), "/nowhere", [&](const Status& s) { second.set_value(s); });
  EXPECT_TRUE(second.get_future().get().ok());
}

// What a seat is killed for (its money has ended, say) waits for no checkpoint on its way.
TEST(CheckpointSending, GivesUpWhatIsOnItsWayAndWhatWaits) {
  SlowPort port;
  std::promise<Status> first;
  std::promise<Status> second;
  CheckpointSending sending(port, [] { return CheckpointAccess{}; });
  sending.send(of_step(1), "/nowhere", [&](const Status& s) { first.set_value(s); });
  sending.send(of_step(2), "/nowhere", [&](const Status& s) { second.set_value(s); });
  EXPECT_EQ(port.wait_for_begin(), 1U);
  sending.give_up();
  EXPECT_EQ(first.get_future().get().code, Code::kCancelled);
  EXPECT_EQ(second.get_future().get().code, Code::kCancelled);
}

TEST(CheckpointSending, ItsEndGivesUpToo) {
  SlowPort port;
  std::promise<Status> told;
  {
    CheckpointSending sending(port, [] { return CheckpointAccess{}; });
    sending.send(of_step(1), "/nowhere", [&](const Status& s) { told.set_value(s); });
    EXPECT_EQ(port.wait_for_begin(), 1U);
  }
  EXPECT_EQ(told.get_future().get().code, Code::kCancelled);
}

}  // namespace
}  // namespace overwinter::worker
