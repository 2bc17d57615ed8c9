// Where an attempt lives on this machine, who it is there, and what a project keeps from job to
// job.
//
//   BASE            0711, the daemon's
//     NAME          0710, the daemon's, group of the job: passed through, not changed
//       work        the workdir; programs begin here
//       home tmp    HOME, TMPDIR
//       module      overwinter.py; the daemon's
//       stop        once the job should stop; the daemon's
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "worker/exec/confinement.h"
#include "worker/exec/descriptor.h"
#include "worker/exec/mounts.h"

namespace overwinter::worker::exec {

inline constexpr uid_t kJobUidFirst = 61300;
inline constexpr uid_t kJobUidLast = 61899;

// A uid that no other attempt on this machine has, whichever daemon started it; given back when
// destroyed. Everything that ran as it must have ended by then.
struct UidLease {
  uid_t uid = 0;
  Descriptor lock;
};
// `locks`: one folder for all daemons of the machine; made if missing. RESOURCE_EXHAUSTED: none
// free.
[[nodiscard]] Result<UidLease> take_uid(const std::filesystem::path& locks);

struct JobFolder {
  std::filesystem::path root;
  [[nodiscard]] std::filesystem::path work() const { return root / "work"; }
  [[nodiscard]] std::filesystem::path home() const { return root / "home"; }
  [[nodiscard]] std::filesystem::path temporary() const { return root / "tmp"; }
  [[nodiscard]] std::filesystem::path module() const { return root / "module"; }
  // Is there once the job should stop: overwinter.should_stop() looks for it.
  [[nodiscard]] std::filesystem::path stop_file() const { return root / "stop"; }
};

// ALREADY_EXISTS when there is one of that name. Without an owner it is the daemon's own.
[[nodiscard]] Result<JobFolder> make_job_folder(const std::filesystem::path& base,
                                                const std::string& name,
                                                std::optional<uid_t> owner);
// The stop file, for the program to find.
[[nodiscard]] Status tell_to_stop(const JobFolder& folder);
// After its end: the daemon's again, so that the next job with that uid does not get in.
[[nodiscard]] Status retire_job_folder(const JobFolder& folder);

// What the job may do where, beside what every job may (confinement.h): its own folders, the
// mounts, the caches, and the results of its setup (empty: none).
[[nodiscard]] std::vector<Grant> job_grants(const JobFolder& folder,
                                            const std::vector<Mount>& mounts,
                                            const std::vector<std::filesystem::path>& caches,
                                            const std::filesystem::path& setup);

// Links in the workdir for mounts under another name; parents are made. ALREADY_EXISTS: the workdir
// has something there.
[[nodiscard]] Status link_mounts(const JobFolder& folder, const std::vector<Mount>& mounts,
                                 std::optional<uid_t> owner);

// One `cache` of the job file: a folder kept per project and path, for one attempt at a time.
struct Cache {
  std::filesystem::path folder;
  Descriptor lock;
};
// Linked at `path` ("~/…" or relative to the workdir). UNAVAILABLE while another attempt has it:
// then the job runs with an empty one of its own.
[[nodiscard]] Result<Cache> take_cache(const std::filesystem::path& caches,
                                       const std::string& project, const std::string& path,
                                       const JobFolder& folder, std::optional<uid_t> owner);

// All below `folder` to `owner`, links not followed.
[[nodiscard]] Status give_folder(const std::filesystem::path& folder, uid_t owner);

}  // namespace overwinter::worker::exec
