#include "worker/programs/program_place.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <mutex>
#include <utility>

#include "common/base/log.h"
#include "common/formats/archive.h"
#include "worker/exec/launch_environment.h"
#include "worker/exec/process_tree.h"
#include "worker/programs/setup_run.h"

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kPassable = 0711;
constexpr mode_t kPrivate = 0700;
constexpr std::chrono::milliseconds kSetupPoll{200};

Status cannot(const char* what, const fs::path& path, const std::string& why) {
  return error(Code::kInternal, fmt::format("cannot {} {}: {}", what, path.string(), why));
}

Status make_passable(const fs::path& path) {
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) return cannot("make", path, failed.message());
  if (::chmod(path.c_str(), kPassable) != 0) return cannot("open", path, std::strerror(errno));
  return Status::success();
}

Digest digest_of_workdir(const v1::ExecSpec& exec) {
  constexpr std::string_view kScheme = "artifact://";
  const auto digest = parse_digest(std::string_view(exec.workdir()).substr(kScheme.size()));
  return digest ? *digest : Digest{};
}

}  // namespace

std::optional<uid_t> ProgramPlace::owner() const {
  if (!site_.confinement.own_uid) return std::nullopt;
  return uid_ ? uid_->uid : wish_.owner;
}

Result<std::unique_ptr<ProgramPlace>> ProgramPlace::make(
    const ProgramSite& site, const Wish& wish, JobFiles& files, CheckpointPort& checkpoints,
    const CheckpointAccess& access, const LineSeen& line, const std::stop_token& stop) {
  std::unique_ptr<ProgramPlace> place(new ProgramPlace(site, wish));
  Status status = place->make_folder();
  if (status.ok() && !wish.exec.workdir().empty()) {
    status = files.fetch(access.capability, digest_of_workdir(wish.exec), place->own_folder(),
                         "workdir", stop);
    place->archive_ = place->own_folder() / "workdir";
    if (status.ok()) status = place->unpack_workdir(place->job_.work());
  }
  if (status.ok()) status = place->restore(checkpoints, access, line, stop);
  if (status.ok()) status = place->set_up(line, stop);
  if (status.ok()) status = place->take_caches();
  if (!status.ok()) return fail(status);
  return place;
}

Status ProgramPlace::make_folder() {
  if (!site_.confinement.can()) return error(Code::kUnimplemented, site_.confinement.why_not);
  const std::map<std::string, std::string> wanted(wish_.exec.mounts().begin(),
                                                  wish_.exec.mounts().end());
  // Bind mounts are made by a keeper that is root; that of a rank of Open MPI is not.
  const bool can_bind = site_.confinement.own_uid && !wish_.owner;
  auto mounts = exec::resolve_mounts(site_.mounts, wish_.project, wanted, can_bind);
  if (!mounts) return mounts.error();
  mounts_ = std::move(*mounts);
  if (site_.confinement.own_uid && !wish_.owner) {
    auto lease = exec::take_uid(site_.uids);
    if (!lease) return lease.error();
    uid_.emplace(std::move(*lease));
  }
  auto own = GangFolder::make(site_.places, gang_name(wish_.key, wish_.worker) + "-program",
                              ::geteuid(), ::getegid());
  if (!own) return own.error();
  own_.emplace(std::move(*own));
  if (Status open = make_passable(own_->path()); !open.ok()) return open;
  if (::mkdir(own_folder().c_str(), kPrivate) != 0)
    return cannot("make", own_folder(), std::strerror(errno));
  auto job = exec::make_job_folder(own_->path(), "job", owner());
  if (!job) return job.error();
  job_ = std::move(*job);
  return Status::success();
}

Status ProgramPlace::unpack_workdir(const fs::path& into) const {
  std::ifstream file(archive_, std::ios::binary);
  const auto read = [&](std::span<std::byte> out) -> Result<std::size_t> {
    file.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
    if (file.bad()) return fail(cannot("read", archive_, std::strerror(errno)));
    return static_cast<std::size_t>(file.gcount());
  };
  formats::UnpackOptions options;
  options.owner = owner();
  return formats::unpack_archive(read, into, options);
}

// Before anything of the user's runs, so nobody moves the folder meanwhile.
Status ProgramPlace::restore(CheckpointPort& checkpoints, const CheckpointAccess& access,
                             const LineSeen& line, const std::stop_token& stop) {
  if (wish_.exec.checkpoint_dir().empty()) return Status::success();
  const fs::path folder = job_.work() / wish_.exec.checkpoint_dir();
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return cannot("make", folder, failed.message());
  if (wish_.restore) {
    auto restored = checkpoints.restore(access, folder, stop);
    if (!restored) return restored.error();
    for (const std::string& passed_over : fallback_lines(*restored)) {
      log_warning("job {}: {}", wish_.key.job.value(), passed_over);
      line(true, passed_over);
    }
    if (restored->manifest) restored_step_ = restored->manifest->step;
  }
  if (!owner()) return Status::success();
  // With the parents that were made for it.
  for (fs::path at = folder; at != job_.work(); at = at.parent_path())
    if (::lchown(at.c_str(), *owner(), *owner()) != 0)
      return cannot("give away", at, std::strerror(errno));
  return exec::give_folder(folder, *owner());
}

Status ProgramPlace::set_up(const LineSeen& line, const std::stop_token& stop) {
  if (wish_.exec.setup().empty()) return Status::success();
  const Digest key = exec::setup_key(wish_.project, wish_.exec.workdir(), wish_.exec.setup());
  if (Status made = make_passable(site_.kept); !made.ok()) return made;
  for (;;) {
    auto slot = exec::SetupSlot::open(site_.kept / "setups", key);
    if (slot) {
      setup_.emplace(std::move(*slot));
      break;
    }
    if (slot.error().code != Code::kUnavailable) return slot.error();
    // Another attempt is at it, and its results will be ours too.
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any never;
    never.wait_for(lock, stop, kSetupPoll, [] { return false; });
    if (stop.stop_requested()) return error(Code::kCancelled, "given up while another ran setup");
  }
  if (setup_->state() == exec::SetupSlot::State::kToDo) {
    if (Status ran = run_setup(line, stop); !ran.ok()) return ran;
  }
  if (setup_->state() == exec::SetupSlot::State::kFailed)
    return error(Code::kFailedPrecondition, "setup failed: " + setup_->reason(),
                 "workload.exec.setup",
                 "change the setup or the workdir; the same again is not tried on this worker");
  return exec::link_setup(setup_->work(), job_.work());
}

Status ProgramPlace::run_setup(const LineSeen& line, const std::stop_token& stop) {
  if (!archive_.empty()) {
    if (Status unpacked = unpack_workdir(setup_->work()); !unpacked.ok()) return unpacked;
  }
  for (const fs::path& folder : {setup_->work(), setup_->python()})
    if (owner())
      if (Status given = exec::give_folder(folder, *owner()); !given.ok()) return given;
  exec::TreeOrder order = this->order(0);
  order.folder = setup_->work();
  for (const fs::path& folder : {setup_->work(), setup_->python()})
    order.confinement.grants.push_back({folder.string(), exec::Access::kReadWrite});
  exec::ProcessOrder process;
  process.argv = {"bash", "-euo", "pipefail", "-c", wish_.exec.setup()};
  exec::GangLayout alone;
  alone.devices = {1};
  exec::JobNames names;
  names.home = job_.home();
  names.temporary = job_.temporary();
  exec::Environment user(wish_.exec.env().begin(), wish_.exec.env().end());
  for (const auto& [name, value] : setup_->environment(true)) user[name] = value;
  process.environment = exec::launch_environment(exec::Launcher::kNone, alone, names, user, 0);
  order.processes.push_back(std::move(process));
  const LineSeen said = [&line](bool error, std::string_view text) {
    line(error, fmt::format("setup: {}", text));
  };
  const Status ran = run_to_end(order, site_.keeper, said, stop);
  if (ran.ok()) return setup_->finish();
  // Only what the setup itself did is remembered.
  if (ran.code != Code::kFailedPrecondition) return ran;
  return setup_->fail_for_good(ran.message);
}

Status ProgramPlace::take_caches() {
  if (Status linked = exec::link_mounts(job_, mounts_, owner()); !linked.ok()) return linked;
  for (const std::string& path : wish_.exec.cache()) {
    if (Status made = make_passable(site_.kept); !made.ok()) return made;
    auto cache = exec::take_cache(site_.kept / "caches", wish_.project, path, job_, owner());
    if (cache) {
      caches_.push_back(std::move(*cache));
    } else if (cache.error().code == Code::kUnavailable) {
      log_info("job {}: {}: it begins with an empty one", wish_.key.job.value(),
               cache.error().message);
    } else {
      return cache.error();
    }
  }
  return Status::success();
}

exec::TreeOrder ProgramPlace::order(std::uint64_t memory_bytes) const {
  std::vector<fs::path> caches;
  for (const exec::Cache& cache : caches_) caches.push_back(cache.folder);
  exec::TreeOrder order;
  order.folder = job_.work();
  order.confinement.uid = owner();
  order.confinement.grants =
      exec::job_grants(job_, mounts_, caches, setup_ ? setup_->folder() : fs::path());
  order.memory.support = site_.memory;
  order.memory.limit_bytes = memory_bytes;
  order.memory.name =
      fmt::format("{}{}-{}", site_.memory_prefix, wish_.key.job.value(), wish_.key.attempt);
  order.mounts = mounts_;
  return order;
}

std::map<std::string, std::string> ProgramPlace::setup_environment() const {
  return setup_ ? setup_->environment(false) : std::map<std::string, std::string>();
}

}  // namespace overwinter::worker
