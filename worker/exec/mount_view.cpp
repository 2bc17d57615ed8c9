#include "worker/exec/mount_view.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "worker/exec/descriptor.h"

namespace overwinter::worker::exec {
namespace {

namespace fs = std::filesystem;

// Covered by the new root in the job's namespace alone; there on every Linux.
constexpr const char* kStage = "/tmp";

Status mount_failed(std::string_view what, const fs::path& path) {
  return error(Code::kFailedPrecondition,
               fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(errno)));
}

Status own_namespace() {
  if (::unshare(CLONE_NEWNS) != 0) return mount_failed("make a mount namespace of", "its own");
  // What the machine mounts later is seen; what is mounted here is not seen by the machine.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return mount_failed("part", "/");
  return Status::success();
}

// One entry of the machine's root, as it is.
Status show(const fs::path& from, const fs::path& to) {
  struct stat status {};
  if (::lstat(from.c_str(), &status) != 0) return Status::success();  // gone
  if (S_ISLNK(status.st_mode)) {
    std::error_code code;
    const fs::path target = fs::read_symlink(from, code);
    if (code || ::symlink(target.c_str(), to.c_str()) != 0) return mount_failed("link", to);
    return Status::success();
  }
  if (S_ISDIR(status.st_mode)) {
    if (::mkdir(to.c_str(), 0755) != 0) return mount_failed("make", to);
  } else {
    const Descriptor file(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file.valid()) return mount_failed("make", to);
  }
  if (::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return mount_failed("show", from);
  return Status::success();
}

// The tree of mounts at a path, held apart: what is mounted over the path later does not cover it.
Descriptor tree_at(const fs::path& path) {
  return Descriptor(
      ::open_tree(AT_FDCWD, path.c_str(),
                  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW));
}

Status put_tree(const Descriptor& tree, const fs::path& to) {
  if (::move_mount(tree.get(), "", AT_FDCWD, to.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return mount_failed("bind", to);
  return Status::success();
}

Status bind(const Descriptor& outside, const fs::path& to, bool writable) {
  if (Status status = put_tree(outside, to); !status.ok()) return status;
  if (writable) return Status::success();
  if (::mount(nullptr, to.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV,
              nullptr) != 0)
    return mount_failed("make read-only", to);
  return Status::success();
}

// A new root under kStage, with everything of the machine's.
Status build_root() {
  // Before the stage covers it.
  const Descriptor stage_itself = tree_at(kStage);
  if (!stage_itself.valid()) return mount_failed("open", kStage);
  std::error_code code;
  std::vector<fs::path> names;
  for (fs::directory_iterator at("/", code); !code && at != fs::directory_iterator();
       at.increment(code))
    names.push_back(at->path().filename());
  if (::mount("overwinter", kStage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") != 0)
    return mount_failed("mount", kStage);
  for (const fs::path& name : names) {
    const fs::path to = fs::path(kStage) / name;
    if (fs::path("/") / name != kStage) {
      if (Status status = show(fs::path("/") / name, to); !status.ok()) return status;
      continue;
    }
    if (::mkdir(to.c_str(), 0755) != 0) return mount_failed("make", to);
    if (Status status = put_tree(stage_itself, to); !status.ok()) return status;
  }
  return Status::success();
}

// The new root in place of the old one, which nothing then leads to.
Status turn_root() {
  if (::chdir(kStage) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0)
    return mount_failed("turn to", "the job's root");
  if (::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0)
    return mount_failed("leave", "the machine's root");
  if (::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
              nullptr) != 0)
    return mount_failed("close", "the job's root");
  return Status::success();
}

}  // namespace

bool can_bind_mounts() {
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) {
    // Plain system calls: the daemon has many threads.
    const bool can = ::syscall(SYS_unshare, CLONE_NEWNS) == 0 &&
                     ::syscall(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0 &&
                     ::syscall(SYS_mount, "/", "/", nullptr, MS_BIND, nullptr) == 0;
    ::_exit(can ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Status enter_mount_view(const std::vector<Mount>& mounts) {
  std::vector<const Mount*> bound;
  for (const Mount& mount : mounts)
    if (mount.inside.starts_with('/')) bound.push_back(&mount);
  if (bound.empty()) return Status::success();
  if (Status status = own_namespace(); !status.ok()) return status;
  // All sources first: a mount may cover the source of another.
  std::vector<Descriptor> sources;
  bool new_root = false;
  for (const Mount* mount : bound) {
    sources.push_back(tree_at(mount->outside));
    if (!sources.back().valid()) return mount_failed("open", mount->outside);
    std::error_code code;
    new_root = new_root || !fs::is_directory(mount->inside, code);
  }
  if (new_root)
    if (Status status = build_root(); !status.ok()) return status;
  const fs::path base = new_root ? kStage : "/";
  for (std::size_t i = 0; i < bound.size(); ++i) {
    const fs::path to = base / fs::path(bound[i]->inside).relative_path();
    std::error_code code;
    ::umask(022);
    if (!fs::is_directory(to, code)) fs::create_directories(to, code);
    if (code) return mount_failed("make", to);
    if (Status status = bind(sources[i], to, bound[i]->writable); !status.ok()) return status;
  }
  return new_root ? turn_root() : Status::success();
}

}  // namespace overwinter::worker::exec
