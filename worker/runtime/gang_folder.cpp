#include "worker/runtime/gang_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "common/base/log.h"

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kPassable = 0711;
constexpr mode_t kPrivate = 0700;
constexpr auto kSweepWithin = std::chrono::seconds(5);
constexpr auto kSweepPoll = std::chrono::milliseconds(10);
constexpr std::size_t kEnvironmentBytesMax = std::size_t{64} * 1024;

Status cannot(const fs::path& path, const char* what, int number) {
  return error(Code::kFailedPrecondition,
               fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(number)));
}

// The parents too, so that another user may pass but not look.
Status make_passable(const fs::path& path) {
  if (path.has_parent_path() && !fs::exists(path.parent_path())) {
    if (Status parent = make_passable(path.parent_path()); !parent.ok()) return parent;
  }
  if (::mkdir(path.c_str(), kPassable) != 0 && errno != EEXIST) return cannot(path, "make", errno);
  return Status::success();
}

// The lock, or -1 with errno EWOULDBLOCK when it is held.
int take_lock(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file >= 0 && ::flock(file, LOCK_EX | LOCK_NB) == 0) return file;
  const int failed = errno;
  if (file >= 0) ::close(file);
  errno = failed;
  return -1;
}

bool knows_socket(pid_t pid, const fs::path& socket) {
  std::ifstream file(fmt::format("/proc/{}/environ", pid), std::ios::binary);
  std::string text(kEnvironmentBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text.find("OVERWINTER_GANG_SOCKET=" + socket.string()) != std::string::npos;
}

// The real user of a process that has not ended; nothing when there is none. Not the owner of its
// folder in /proc: that is root for a process that made itself unreadable.
std::optional<uid_t> user_of(const fs::path& process) {
  std::ifstream file(process / "status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("State:") && line.find('Z') != std::string::npos) return std::nullopt;
    if (line.starts_with("Uid:")) {
      return static_cast<uid_t>(std::strtoul(line.c_str() + 4, nullptr, 10));
    }
  }
  return std::nullopt;
}

// Processes that a gang with this owner left behind.
std::vector<pid_t> left_behind(uid_t owner, const fs::path& socket) {
  std::vector<pid_t> out;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator("/proc", failed)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 1 || pid == ::getpid() || user_of(entry.path()) != owner) continue;
    if (owner == ::geteuid() && !knows_socket(pid, socket)) continue;
    out.push_back(pid);
  }
  return out;
}

std::size_t end_left_behind(uid_t owner, const fs::path& socket) {
  std::vector<pid_t> seen;
  const auto until = std::chrono::steady_clock::now() + kSweepWithin;
  for (;;) {
    const std::vector<pid_t> left = left_behind(owner, socket);
    if (left.empty() || std::chrono::steady_clock::now() > until) break;
    for (const pid_t pid : left) {
      ::kill(pid, SIGKILL);
      if (std::find(seen.begin(), seen.end(), pid) == seen.end()) seen.push_back(pid);
    }
    std::this_thread::sleep_for(kSweepPoll);
  }
  return seen.size();
}

}  // namespace

std::string gang_name(const GangKey& key, WorkerId worker) {
  const std::string name = fmt::format("{}-{}", key.job.value(), key.attempt);
  return worker.valid() ? fmt::format("{}-w{}", name, worker.value()) : name;
}

fs::path gang_socket(const GangPlaces& places, const std::string& name) {
  return places.sockets / (places.cluster + "-" + name + ".sock");
}

Result<GangFolder> GangFolder::make(const GangPlaces& places, const std::string& name, uid_t uid,
                                    gid_t gid) {
  const fs::path cluster = places.jobs / places.cluster;
  for (const fs::path& path : {cluster, places.sockets}) {
    if (Status made = make_passable(path); !made.ok()) return fail(made);
  }
  const std::string long_name = places.cluster + "-" + name;
  const fs::path lock_path = places.sockets / (long_name + ".lock");
  const int lock = take_lock(lock_path);
  if (lock < 0) {
    if (errno == EWOULDBLOCK) {
      return fail(Code::kAlreadyExists, "another daemon of this machine runs the gang " + name);
    }
    return fail(cannot(lock_path, "lock", errno));
  }
  GangFolder folder(cluster / name, gang_socket(places, name), lock_path, lock);
  if (::mkdir(folder.path_.c_str(), kPrivate) != 0) {
    const int failed = errno;
    const fs::path path = std::exchange(folder.path_, {});  // not ours to remove
    if (failed == EEXIST) return fail(Code::kAlreadyExists, path.string() + " is there already");
    return fail(cannot(path, "make", failed));
  }
  if (uid != ::geteuid() && ::chown(folder.path_.c_str(), uid, gid) != 0) {
    return fail(cannot(folder.path_, "give away", errno));
  }
  return folder;
}

GangFolder::~GangFolder() {
  if (lock_ < 0) return;
  std::error_code failed;
  if (!path_.empty()) fs::remove_all(path_, failed);
  if (failed) log_warning("cannot remove {}: {}", path_.string(), failed.message());
  fs::remove(socket_, failed);
  fs::remove(lock_path_, failed);
  ::close(lock_);
}

Swept sweep_gangs(const GangPlaces& places) {
  Swept swept;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(places.jobs / places.cluster, failed)) {
    const std::string long_name = places.cluster + "-" + entry.path().filename().string();
    const fs::path socket = places.sockets / (long_name + ".sock");
    const fs::path lock_path = places.sockets / (long_name + ".lock");
    struct stat info {};
    if (::lstat(entry.path().c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) continue;
    if (!make_passable(places.sockets).ok()) continue;
    const int lock = take_lock(lock_path);
    if (lock < 0) continue;  // a living daemon's
    swept.processes += end_left_behind(info.st_uid, socket);
    fs::remove_all(entry.path(), failed);
    if (!failed) ++swept.folders;
    fs::remove(socket, failed);
    fs::remove(lock_path, failed);
    ::close(lock);
  }
  if (swept.folders > 0) {
    log_info("swept {} folders and {} processes of gangs that an earlier daemon left",
             swept.folders, swept.processes);
  }
  return swept;
}

}  // namespace overwinter::worker
