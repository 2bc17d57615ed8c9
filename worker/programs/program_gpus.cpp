#include "worker/programs/program_gpus.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/log.h"

namespace overwinter::worker {
namespace {

// What is over is the GPU of this attempt alone: nothing else on the machine is hurt meanwhile.
constexpr std::chrono::milliseconds kGpuLookEvery{200};

const ProgramDevice* gpu_of(const ProgramSite& site, const RankSeat& seat) {
  if (seat.device >= site.devices.size() || site.devices[seat.device].uuid.empty()) return nullptr;
  return &site.devices[seat.device];
}

const char* how_counted(gpus::CountedBy by) {
  return by == gpus::CountedBy::kProcesses ? "by what its driver says of the program's processes"
                                           : "by what all of it uses more than before the program";
}

}  // namespace

std::uint64_t host_memory_of(const ProgramSite& site, const RankSeat& seat) {
  const ProgramDevice* gpu = gpu_of(site, seat);
  return gpu == nullptr ? seat.memory_bytes : gpu->host_memory_bytes;
}

ProgramGpus::ProgramGpus(const ProgramSite& site, const std::vector<RankSeat>& seats)
    : site_(site) {
  const MutexLock lock(mutex_);
  for (const RankSeat& seat : seats) {
    const ProgramDevice* gpu = gpu_of(site, seat);
    if (gpu == nullptr) continue;
    Seat one{.rank = seat.rank, .device = gpu, .limit_bytes = seat.memory_bytes};
    if (site.gpus != nullptr) {
      if (const auto use = site.gpus->use(gpu->uuid)) one.at_start = use->used_bytes;
    }
    seats_.push_back(one);
  }
}

std::vector<std::string> ProgramGpus::uuids() const {
  const MutexLock lock(mutex_);
  std::vector<std::string> out;
  for (const Seat& seat : seats_) out.push_back(seat.device->uuid);
  return out;
}

void ProgramGpus::admit(exec::TreeOrder& order) const {
  const MutexLock lock(mutex_);
  for (const Seat& seat : seats_) {
    for (const std::string& path : seat.device->nodes.paths)
      order.confinement.grants.push_back({path, exec::Access::kReadWrite});
    for (const gid_t group : seat.device->nodes.groups)
      if (std::ranges::find(order.confinement.groups, group) == order.confinement.groups.end())
        order.confinement.groups.push_back(group);
  }
}

void ProgramGpus::watch(std::function<std::vector<pid_t>()> processes,
                        std::function<void(const Over&)> over) {
  {
    const MutexLock lock(mutex_);
    if (seats_.empty() || site_.gpus == nullptr) return;
  }
  thread_ = std::jthread(
      [this, processes = std::move(processes), over = std::move(over)] { run(processes, over); });
}

void ProgramGpus::end() {
  {
    const MutexLock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ProgramGpus::run(const std::function<std::vector<pid_t>()>& processes,
                      const std::function<void(const Over&)>& over) {
  for (;;) {
    if (const std::optional<Over> found = look(processes())) return over(*found);
    const MutexLock lock(mutex_);
    if (!ending_) changed_.wait_for(mutex_, kGpuLookEvery);
    if (ending_) return;
  }
}

std::optional<ProgramGpus::Over> ProgramGpus::look(const std::vector<pid_t>& tree) {
  std::vector<Seat> seats;
  {
    const MutexLock lock(mutex_);
    seats = seats_;
  }
  std::optional<Over> over;
  for (Seat& seat : seats)
    if (!over) over = look_at(seat, tree);
  const MutexLock lock(mutex_);
  seats_ = std::move(seats);
  return over;
}

std::optional<ProgramGpus::Over> ProgramGpus::look_at(Seat& seat, const std::vector<pid_t>& tree) {
  const ProgramDevice& gpu = *seat.device;
  const auto use = site_.gpus->use(gpu.uuid);
  if (!use) {
    if (!std::exchange(seat.silent, true))
      log_warning("the memory of a GPU is not watched: {}", use.error().message);
    return std::nullopt;
  }
  const gpus::GpuCount count = gpus::count_use(*use, tree, seat.at_start, site_.own_pid_numbers);
  if (seat.by != count.by) log_info("{} is counted {}", gpu.uuid, how_counted(count.by));
  seat.by = count.by;
  seat.use = {count.bytes, std::max(seat.use.peak_bytes, count.bytes)};
  if (count.bytes <= seat.limit_bytes) return std::nullopt;
  return Over{seat.rank,
              fmt::format("ended for its memory on the {} {}: {} of {} allowed, counted {}",
                          gpu.kind, gpu.uuid, format_bytes(count.bytes),
                          format_bytes(seat.limit_bytes), how_counted(count.by))};
}

std::optional<MemoryUse> ProgramGpus::use(std::uint32_t rank) const {
  const MutexLock lock(mutex_);
  const auto at = std::ranges::find(seats_, rank, &Seat::rank);
  return at == seats_.end() ? std::nullopt : std::optional(at->use);
}

}  // namespace overwinter::worker
