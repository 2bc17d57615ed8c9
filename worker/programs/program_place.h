// ProgramPlace: one attempt of a job of the user's on this machine, made ready: its folder and
// user, the workdir, the results of its setup, its caches and mounts, its last checkpoint.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "overwinter/v1/job.pb.h"
#include "worker/exec/job_folder.h"
#include "worker/exec/keeper_protocol.h"
#include "worker/exec/setup_store.h"
#include "worker/programs/program_site.h"
#include "worker/runtime/checkpoint_port.h"
#include "worker/runtime/gang_work.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

// For the job's log: lines of a setup, what of its checkpoints could not be used.
using LineSeen = std::function<void(bool error, std::string_view text)>;

// One thread.
class ProgramPlace {
 public:
  struct Wish {
    GangKey key;
    WorkerId worker;      // whose folder it is: several workers may be on one machine
    std::string project;  // whose caches and setups
    v1::ExecSpec exec;
    bool restore = false;        // there is a checkpoint to go on from
    std::optional<uid_t> owner;  // who it runs as; nothing: a user id of its own is leased
  };

  // Blocks: for the workdir and the checkpoint to come, for the setup to end. CANCELLED after a
  // stop; FAILED_PRECONDITION: the setup failed, in its own words; PERMISSION_DENIED: a mount that
  // this worker does not allow.
  [[nodiscard]] static Result<std::unique_ptr<ProgramPlace>> make(
      const ProgramSite& site, const Wish& wish, JobFiles& files, CheckpointPort& checkpoints,
      const CheckpointAccess& access, const LineSeen& line, const std::stop_token& stop);
  // Everything that ran here must have ended. Removes the folder.
  ~ProgramPlace() = default;
  ProgramPlace(const ProgramPlace&) = delete;
  ProgramPlace& operator=(const ProgramPlace&) = delete;

  [[nodiscard]] const exec::JobFolder& folder() const { return job_; }
  // For what the daemon keeps of this attempt, out of the job's sight.
  [[nodiscard]] std::filesystem::path own_folder() const { return own_->path() / "own"; }
  // What a tree of its processes is held to: folder, user, paths and mounts; no process yet.
  [[nodiscard]] exec::TreeOrder order(std::uint64_t memory_bytes) const;
  // Variables that the setup's results need.
  [[nodiscard]] std::map<std::string, std::string> setup_environment() const;
  // The step of the checkpoint that lies in checkpoint_dir; nothing: none.
  [[nodiscard]] std::optional<std::uint64_t> restored_step() const { return restored_step_; }

 private:
  ProgramPlace(const ProgramSite& site, Wish wish) : site_(site), wish_(std::move(wish)) {}
  Status make_folder();
  Status unpack_workdir(const std::filesystem::path& into) const;
  Status restore(CheckpointPort& checkpoints, const CheckpointAccess& access, const LineSeen& line,
                 const std::stop_token& stop);
  Status set_up(const LineSeen& line, const std::stop_token& stop);
  Status run_setup(const LineSeen& line, const std::stop_token& stop);
  Status take_caches();
  [[nodiscard]] std::optional<uid_t> owner() const;

  const ProgramSite& site_;
  const Wish wish_;
  // In the order of their making: what comes later is given back first.
  std::optional<exec::UidLease> uid_;
  std::optional<GangFolder> own_;
  exec::JobFolder job_;
  std::filesystem::path archive_;  // of the workdir; empty: there is none
  std::optional<exec::SetupSlot> setup_;
  std::vector<exec::Mount> mounts_;
  std::vector<exec::Cache> caches_;
  std::optional<std::uint64_t> restored_step_;
};

}  // namespace overwinter::worker
