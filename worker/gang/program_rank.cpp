#include "worker/gang/program_rank.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <string_view>

#include "common/base/mutex.h"
#include "worker/exec/bundled_mpi.h"
#include "worker/exec/process_tree.h"
#include "worker/exec/tree_verdict.h"

namespace overwinter::worker {
namespace {

constexpr Duration kTaskWithin{60'000};
constexpr Duration kLastWordWithin{2000};
constexpr Duration kLookEvery{100};
constexpr int kFailed = 1;

class Program final : public exec::TreeObserver {
 public:
  explicit Program(SocketRankPort& port) : port_(port) {}

  void started(std::size_t, pid_t) override {}
  void ended(std::size_t, const exec::ProcessEnd&) override {}
  void line(std::size_t, exec::Stream stream, std::string_view text) override {
    std::FILE* to = stream == exec::Stream::kErrors ? stderr : stdout;
    std::fwrite(text.data(), 1, text.size(), to);
    std::fputc('\n', to);
    std::fflush(to);
  }
  void dropped(std::size_t process, exec::Stream stream, std::uint64_t bytes) override {
    line(process, stream, exec::dropped_text(bytes));
  }
  void memory(std::uint64_t used_bytes, std::uint64_t peak_bytes) override {
    v1::RankProgress used;
    used.set_memory_used_bytes(used_bytes);
    used.set_memory_peak_bytes(peak_bytes);
    port_.progress(used);
  }
  void finished(const exec::TreeEnd& end) override {
    const MutexLock lock(mutex_);
    end_ = end;
    changed_.notify_all();
  }
  std::optional<exec::TreeEnd> wait(Duration within) {
    const MutexLock lock(mutex_);
    if (!end_) changed_.wait_for(mutex_, within);
    return end_;
  }

 private:
  SocketRankPort& port_;
  Mutex mutex_;
  Condition changed_;
  std::optional<exec::TreeEnd> end_ OW_GUARDED_BY(mutex_);
};

Result<exec::TreeOrder> order_of(const v1::RankTask& task) {
  auto order = exec::decode_order(task.program().order());
  if (!order) return order;
  for (exec::ProcessOrder& process : order->processes)
    process.environment.merge(open_mpi_variables(::environ));
  return order;
}

Status run(SocketRankPort& port, exec::TreeEnd& end) {
  if (Status given = port.fetch_task(kTaskWithin); !given.ok()) return given;
  if (!port.task().has_program())
    return error(Code::kUnimplemented, "the task of this rank is no program");
  const auto order = order_of(port.task());
  if (!order) return order.error();
  Program program(port);
  auto tree = exec::ProcessTree::start(*order, program);
  if (!tree) return tree.error();
  bool told = false;
  for (;;) {
    if (const auto over = program.wait(kLookEvery)) {
      end = *over;
      return Status::success();
    }
    const v1::RankStop::How how = port.stop_asked();
    if (told || (how != v1::RankStop::NOW && how != v1::RankStop::AFTER_CHECKPOINT)) continue;
    told = true;
    (*tree)->stop(port.task().program().stop_signal(),
                  std::chrono::milliseconds(port.task().program().stop_grace_ms()));
  }
}

}  // namespace

std::map<std::string, std::string> open_mpi_variables(char* const* environment) {
  std::map<std::string, std::string> out;
  for (; *environment != nullptr; ++environment) {
    const std::string_view line(*environment);
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, equals);
    if (exec::is_bundled_mpi_variable(name)) continue;
    for (const char* prefix : {"OMPI_", "PMIX_", "OPAL_", "ORTE_"})
      if (name.starts_with(prefix)) out[std::string(name)] = line.substr(equals + 1);
  }
  return out;
}

int run_program_rank(SocketRankPort& port) {
  exec::TreeEnd end;
  const Status status = run(port, end);
  v1::RankProgress used;
  used.set_memory_peak_bytes(end.peak_bytes);
  port.progress(used);
  v1::RankEnded ended;
  const exec::TreeVerdict verdict = status.ok() ? exec::judge(end) : exec::TreeVerdict{};
  ended.set_ok(verdict.good);
  ended.set_code(static_cast<std::uint32_t>(verdict.good ? Code::kOk : Code::kAborted));
  ended.set_message(status.ok() ? verdict.message : status.message);
  ended.set_step(port.last_step());
  ended.set_signal(verdict.signal);
  if (status.ok() && verdict.signal == 0) ended.set_exit_code(verdict.exit_code);
  port.end(ended, kLastWordWithin);
  if (verdict.good) return 0;
  return verdict.exit_code != 0 ? verdict.exit_code : kFailed;
}

}  // namespace overwinter::worker
