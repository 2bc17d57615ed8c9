#include "worker/programs/setup_run.h"

#include <memory>
#include <optional>
#include <string>

#include "common/base/mutex.h"
#include "worker/exec/process_tree.h"
#include "worker/exec/tree_verdict.h"

namespace overwinter::worker {
namespace {

class Waiter final : public exec::TreeObserver {
 public:
  explicit Waiter(const std::function<void(bool, std::string_view)>& line) : line_(line) {}

  void started(std::size_t, pid_t) override {}
  void ended(std::size_t, const exec::ProcessEnd&) override {}
  void line(std::size_t, exec::Stream stream, std::string_view text) override {
    if (!text.empty()) last_ = text;
    line_(stream == exec::Stream::kErrors, text);
  }
  void dropped(std::size_t, exec::Stream stream, std::uint64_t bytes) override {
    line_(stream == exec::Stream::kErrors, exec::dropped_text(bytes));
  }
  void finished(const exec::TreeEnd& end) override {
    const MutexLock lock(mutex_);
    end_ = end;
    finished_.notify_all();
  }

  exec::TreeEnd wait() {
    const MutexLock lock(mutex_);
    while (!end_) finished_.wait(mutex_);
    return *end_;
  }
  [[nodiscard]] const std::string& last_line() const { return last_; }

 private:
  const std::function<void(bool, std::string_view)>& line_;
  std::string last_;  // of the tree's thread until it has finished
  Mutex mutex_;
  Condition finished_;
  std::optional<exec::TreeEnd> end_ OW_GUARDED_BY(mutex_);
};

}  // namespace

Status run_to_end(const exec::TreeOrder& order, const std::filesystem::path& keeper,
                  const std::function<void(bool error, std::string_view)>& line,
                  const std::stop_token& stop) {
  Waiter waiter(line);
  auto tree = exec::ProcessTree::start(order, waiter, keeper.string());
  if (!tree) return tree.error();
  exec::TreeEnd end;
  {
    const std::stop_callback give_up(stop, [&] { (*tree)->kill(); });
    end = waiter.wait();
  }
  if (stop.stop_requested()) return error(Code::kCancelled, "given up");
  const exec::TreeVerdict verdict = exec::judge(end);
  if (verdict.good) return Status::success();
  return error(Code::kFailedPrecondition, waiter.last_line().empty()
                                              ? verdict.message
                                              : verdict.message + ": " + waiter.last_line());
}

}  // namespace overwinter::worker
