#include "worker/programs/open_mpi_work.h"

#include <algorithm>
#include <utility>

#include "worker/exec/process_table.h"
#include "worker/programs/gang_layout.h"
#include "worker/runtime/gang_outcome.h"

namespace overwinter::worker {
namespace {

// Of the message that hands it to a rank (worker/local), less what stands around it.
constexpr std::size_t kTaskBytesMax = 1'000'000;

}  // namespace

MpiWork::~MpiWork() {
  kill();
  forget_program();
}

Status MpiWork::start(const LaunchGang& launch, const std::vector<RankSeat>& seats) {
  auto layout = layout_of(launch.members, parts_.worker, key_, parts_.address);
  if (!layout) return layout.error();
  auto order = order_of(key_, launch, parts_.worker, network_);
  if (!order) return order.error();
  order->programs = true;
  // A program may compute for hours without a word: that it lives is enough here; what moves it is
  // the coordinator's to judge (stall_timeout).
  order->deadlines.progress = Duration(std::chrono::hours(24 * 365));
  const auto all = told();
  if (!all) return all.error();
  set_seats(seats, static_cast<std::uint32_t>(launch.members.size()), layout->worker == 0);
  layout->gpus = gpus_->uuids();
  for (const RankSeat& seat : seats) {
    layout->threads = seat.threads;
    exec::TreeOrder tree = tree_order(std::span(&seat, 1));
    // It has that user already, and may not make groups: its keeper counts.
    tree.confinement.uid.reset();
    tree.memory.support = exec::MemorySupport{};
    tree.memory.name += "-" + std::to_string(seat.rank);
    tree.mounts.clear();
    // Where Open MPI works: its session, the shared memory of ranks.
    tree.confinement.grants.push_back(
        {(parts_.site->places.jobs / parts_.site->places.cluster / gang_name(key_)).string(),
         exec::Access::kReadWrite});
    tree.processes.push_back(
        {all->command, exec::launch_environment(launcher_, *layout, all->names, all->user, 0)});
    v1::RankTask task;
    task.mutable_program()->set_order(exec::encode_order(tree));
    task.mutable_program()->set_stop_signal(stop_signal(spec_.stop()));
    task.mutable_program()->set_stop_grace_ms(stop_grace(spec_.stop()).count());
    if (task.ByteSizeLong() > kTaskBytesMax)
      return error(Code::kInvalidArgument,
                   "command, variables and secrets take more than a megabyte together",
                   "workload.exec.env", "put large values into a file of the workdir");
    order->tasks.push_back(std::move(task));
  }
  if (Status started = launcher_of_ranks_.start(std::move(*order)); !started.ok()) return started;
  watch_program();
  return Status::success();
}

void MpiWork::stop_program(int, std::chrono::milliseconds) {
  launcher_of_ranks_.ask_ranks(key_, v1::RankStop::AFTER_CHECKPOINT);
}

std::vector<pid_t> MpiWork::processes() const {
  return exec::processes_of_uid(gang_user(key_));
}

void MpiWork::kill_program() {
  launcher_of_ranks_.end(key_, Duration(0));
}

void MpiWork::heard(const GangEvent& event) {
  if (const auto* ready = std::get_if<GangRankReady>(&event)) {
    observer_.up(ready->rank);
  } else if (const auto* moved = std::get_if<GangRankProgress>(&event)) {
    // A program tells its steps by what it prints; this is what its keeper counted.
    used(moved->rank, {moved->progress.memory_used_bytes(), moved->progress.memory_peak_bytes()});
  } else if (const auto* output = std::get_if<GangOutput>(&event)) {
    // The first host hears all ranks; what is not its own is told in its name, and shows as well
    // that the job lives.
    const std::uint32_t rank = output->rank.value_or(ranks_.front());
    said(rank, output->error, output->text);
    if (std::ranges::find(ranks_, rank) == ranks_.end()) observer_.moved(ranks_.front(), 0);
  } else if (const auto* end = std::get_if<GangEnded>(&event)) {
    ended(*end);
  }
}

void MpiWork::ended(const GangEnded& ended) {
  if (ended.fault.kind == GangFaultKind::kUnreachable)
    observer_.unreachable(ended.fault.worker, ended.fault.message);
  program_over(seat_exit_of(ended), false);
}

}  // namespace overwinter::worker
