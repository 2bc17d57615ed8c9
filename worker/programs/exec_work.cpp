#include "worker/programs/exec_work.h"

#include <csignal>
#include <utility>

#include "worker/exec/process_table.h"
#include "worker/exec/tree_verdict.h"
#include "worker/programs/gang_layout.h"

namespace overwinter::worker {
namespace {

// Of processes whose sibling has failed: time to say why.
constexpr std::chrono::milliseconds kSiblingGrace{3'000};

}  // namespace

ExecWork::~ExecWork() {
  kill();
  forget_program();  // its threads ask the tree
  tree_.reset();     // kills and waits
}

Status ExecWork::start(const LaunchGang& launch, const std::vector<RankSeat>& seats) {
  auto layout = layout_of(launch.members, parts_.worker, key_, parts_.address);
  if (!layout) return layout.error();
  layout->threads = seats.front().threads;
  set_seats(seats, static_cast<std::uint32_t>(launch.members.size()), layout->worker == 0);
  layout->gpus = gpus_->uuids();
  const auto all = told();
  if (!all) return all.error();
  exec::TreeOrder order = tree_order(seats);
  const std::uint32_t count = exec::processes_on_worker(launcher_, layout->devices[layout->worker]);
  for (std::uint32_t i = 0; i < count; ++i) {
    order.processes.push_back(
        {all->command, exec::launch_environment(launcher_, *layout, all->names, all->user, i)});
  }
  auto tree = exec::ProcessTree::start(order, *this, parts_.site->keeper.string());
  if (!tree) return tree.error();
  tree_ = std::move(*tree);
  watch_program();
  return Status::success();
}

void ExecWork::stop_program(int signal, std::chrono::milliseconds grace) {
  tree_->stop(signal, grace);
}

std::vector<pid_t> ExecWork::processes() const {
  return exec::tree_of(tree_->keeper());
}

// Where one process has failed the others wait for it, perhaps for ever.
void ExecWork::look() {
  {
    const MutexLock lock(failed_mutex_);
    if (!failed_first_) return;
  }
  if (ranks_.size() < 2 || std::exchange(others_ended_, true)) return;
  tree_->stop(SIGTERM, kSiblingGrace);
}

void ExecWork::kill_program() {
  if (tree_) tree_->kill();
}

std::uint32_t ExecWork::rank_of(std::size_t process) const {
  return process < ranks_.size() ? ranks_[process] : ranks_.front();
}

void ExecWork::started(std::size_t process, pid_t) {
  // Under other launchers than env one process stands for all devices of the worker.
  if (launcher_ == exec::Launcher::kEnv) return observer_.up(rank_of(process));
  for (const std::uint32_t rank : ranks_) observer_.up(rank);
}

void ExecWork::ended(std::size_t process, const exec::ProcessEnd& end) {
  if (end.succeeded()) return;
  const MutexLock lock(failed_mutex_);
  if (!failed_first_) failed_first_ = {process, killed()};
}

void ExecWork::line(std::size_t process, exec::Stream stream, std::string_view text) {
  said(rank_of(process), stream == exec::Stream::kErrors, text);
}

void ExecWork::dropped(std::size_t process, exec::Stream stream, std::uint64_t bytes) {
  log_line(rank_of(process), stream == exec::Stream::kErrors, exec::dropped_text(bytes));
}

// Counted for the whole tree, told for each device.
void ExecWork::memory(std::uint64_t used_bytes, std::uint64_t peak_bytes) {
  const std::uint64_t seats = ranks_.size();
  for (const std::uint32_t rank : ranks_) used(rank, {used_bytes / seats, peak_bytes / seats});
}

void ExecWork::finished(const exec::TreeEnd& end) {
  std::optional<Failed> first;
  {
    const MutexLock lock(failed_mutex_);
    first = failed_first_;
  }
  const exec::TreeVerdict judged =
      exec::judge(end, first ? std::optional(first->process) : std::nullopt);
  const bool by_itself = end.over_limit || !end.refused.ok() || (end.keeper_lost && !killed());
  const bool failed_before_kill = first && !first->after_kill;
  const bool ended_by_kill = killed() && !by_itself && !failed_before_kill;
  GangSeatExited how;
  how.outcome = judged.good     ? GangOutcome::kCompleted
                : ended_by_kill ? GangOutcome::kPeerLost
                                : GangOutcome::kFailed;
  how.message = judged.message;
  how.exit.exit_code = judged.exit_code;
  how.exit.signal = judged.signal;
  if (judged.process) how.exit.rank = rank_of(*judged.process);
  memory(0, end.peak_bytes);
  program_over(std::move(how), by_itself);
}

}  // namespace overwinter::worker
