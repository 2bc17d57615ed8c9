// GangFolder: where a gang lives on this host, and the sweep of what others left behind.
//
//   JOBS/CLUSTER/NAME/            0700, the gang's own; the parents 0711
//   SOCKETS/CLUSTER-NAME.sock     of its daemon
//   SOCKETS/CLUSTER-NAME.lock     held (flock) by the daemon that runs it
//
// NAME is JOB-ATTEMPT where Open MPI works: the same path on all hosts; JOB-ATTEMPT-wWORKER for
// what one of several workers of a host has of its own.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <utility>

#include "common/base/result.h"
#include "worker/runtime/gang_events.h"

namespace overwinter::worker {

struct GangPlaces {
  std::string cluster;
  std::filesystem::path jobs = "/var/lib/overwinter/jobs";
  std::filesystem::path sockets = "/run/overwinter";
};

// With `worker`: that worker's own.
[[nodiscard]] std::string gang_name(const GangKey& key, WorkerId worker = {});
[[nodiscard]] std::filesystem::path gang_socket(const GangPlaces& places, const std::string& name);

class GangFolder {
 public:
  // Makes both places where they are missing, locks, and makes the job's directory, which is given
  // to `uid`. ALREADY_EXISTS when it is there or another daemon runs this gang.
  [[nodiscard]] static Result<GangFolder> make(const GangPlaces& places, const std::string& name,
                                               uid_t uid, gid_t gid);
  GangFolder(GangFolder&& other) noexcept
      : path_(std::move(other.path_)),
        socket_(std::move(other.socket_)),
        lock_path_(std::move(other.lock_path_)),
        lock_(std::exchange(other.lock_, -1)) {}
  GangFolder& operator=(GangFolder&&) = delete;
  ~GangFolder();  // removes the directory, the socket and the lock

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const std::filesystem::path& socket() const { return socket_; }

 private:
  GangFolder(std::filesystem::path path, std::filesystem::path socket,
             std::filesystem::path lock_path, int lock)
      : path_(std::move(path)),
        socket_(std::move(socket)),
        lock_path_(std::move(lock_path)),
        lock_(lock) {}

  std::filesystem::path path_;
  std::filesystem::path socket_;
  std::filesystem::path lock_path_;
  int lock_;
};

struct Swept {
  std::size_t folders = 0;
  std::size_t processes = 0;
};
// Ends what gangs of dead daemons of this cluster left: processes of the user that owns a job's
// directory (of our own user only those that know its socket), then the directory. What a living
// daemon runs stays. Call at the daemon's start.
Swept sweep_gangs(const GangPlaces& places);

}  // namespace overwinter::worker
