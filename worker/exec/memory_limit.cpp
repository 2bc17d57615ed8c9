#include "worker/exec/memory_limit.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace overwinter::worker::exec {
namespace {

Status make_group(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return Status::success();
  return error(Code::kInternal, fmt::format("cannot make {}: {}", path, std::strerror(errno)));
}

Status set(const std::string& path, std::string_view value) {
  if (const int number = write_small_file(path, value); number != 0)
    return error(Code::kInternal,
                 fmt::format("cannot write {} to {}: {}", value, path, std::strerror(number)));
  return Status::success();
}

// The number after `name` in lines of "name number".
std::optional<std::uint64_t> field(const std::string& path, std::string_view name) {
  const auto text = read_small_file(path);
  if (!text) return std::nullopt;
  std::size_t at = 0;
  while (at < text->size()) {
    std::size_t end = text->find('\n', at);
    if (end == std::string::npos) end = text->size();
    const std::string_view line = std::string_view(*text).substr(at, end - at);
    std::string_view digits = line;
    if (!name.empty()) {
      if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') {
        at = end + 1;
        continue;
      }
      digits = line.substr(name.size() + 1);
    }
    std::uint64_t value = 0;
    const auto [stop, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (code == std::errc{}) return value;
    at = end + 1;
  }
  return std::nullopt;
}

Status limit_v2(const std::string& group, std::uint64_t bytes) {
  if (Status status = set(group + "/memory.max", std::to_string(bytes)); !status.ok())
    return status;
  // Absent where the kernel has no swap.
  (void)write_small_file(group + "/memory.swap.max", "0");
  return set(group + "/memory.oom.group", "1");
}

Result<Descriptor> limit_v1(const std::string& group, std::uint64_t bytes) {
  const std::string text = std::to_string(bytes);
  if (Status status = set(group + "/memory.limit_in_bytes", text); !status.ok())
    return fail(std::move(status));
  // Memory and swap together; absent where swap is not accounted.
  (void)write_small_file(group + "/memory.memsw.limit_in_bytes", text);
  Descriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const Descriptor control(::open((group + "/memory.oom_control").c_str(), O_RDONLY | O_CLOEXEC));
  if (!event.valid() || !control.valid())
    return fail(Code::kInternal, fmt::format("cannot watch {}: {}", group, std::strerror(errno)));
  if (Status status =
          set(group + "/cgroup.event_control", fmt::format("{} {}", event.get(), control.get()));
      !status.ok())
    return fail(std::move(status));
  return event;
}

int enter(const std::string& group) {
  return group.empty() ? 0 : write_small_file(group + "/cgroup.procs", "0");
}

}  // namespace

Result<MemoryGroups> MemoryGroups::make(const MemoryOrder& order) {
  MemoryGroups groups;
  groups.kind_ = order.support.kind;
  const bool two = groups.kind_ == MemoryKind::kCgroup2;
  if (!order.support.kill_folder.empty()) {
    groups.kill_group_ = order.support.kill_folder + "/" + order.name;
    if (Status status = make_group(groups.kill_group_); !status.ok()) {
      if (two) return fail(std::move(status));
      groups.kill_group_.clear();  // the tree ends without it too
    }
  }
  if (two) groups.memory_group_ = groups.kill_group_;
  if (groups.kind_ == MemoryKind::kCgroup1) {
    groups.memory_group_ = order.support.memory_folder + "/" + order.name;
    if (Status status = make_group(groups.memory_group_); !status.ok())
      return fail(std::move(status));
  }
  if (order.limit_bytes == 0) return groups;
  if (two) {
    if (Status status = limit_v2(groups.memory_group_, order.limit_bytes); !status.ok())
      return fail(std::move(status));
  } else if (groups.kind_ == MemoryKind::kCgroup1) {
    Result<Descriptor> event = limit_v1(groups.memory_group_, order.limit_bytes);
    if (!event) return fail(std::move(event.error()));
    groups.event_ = std::move(*event);
  }
  return groups;
}

MemoryGroups::~MemoryGroups() {
  remove();
}

int MemoryGroups::join() const {
  if (const int number = enter(kill_group_); number != 0) return number;
  return memory_group_ == kill_group_ ? 0 : enter(memory_group_);
}

bool MemoryGroups::over_limit() const {
  if (memory_group_.empty()) return false;
  const char* file = kind_ == MemoryKind::kCgroup2 ? "/memory.events" : "/memory.oom_control";
  return field(memory_group_ + file, "oom_kill").value_or(0) > 0;
}

std::optional<std::uint64_t> MemoryGroups::used_bytes() const {
  if (memory_group_.empty()) return std::nullopt;
  const char* file = kind_ == MemoryKind::kCgroup2 ? "/memory.current" : "/memory.usage_in_bytes";
  return field(memory_group_ + file, "");
}

std::optional<std::uint64_t> MemoryGroups::peak_bytes() const {
  if (memory_group_.empty()) return std::nullopt;
  const char* file = kind_ == MemoryKind::kCgroup2 ? "/memory.peak" : "/memory.max_usage_in_bytes";
  return field(memory_group_ + file, "");
}

bool MemoryGroups::kill_all() const {
  return !kill_group_.empty() && write_small_file(kill_group_ + "/cgroup.kill", "1") == 0;
}

void MemoryGroups::remove() {
  event_.reset();
  if (!memory_group_.empty()) ::rmdir(memory_group_.c_str());
  if (!kill_group_.empty() && kill_group_ != memory_group_) ::rmdir(kill_group_.c_str());
  memory_group_.clear();
  kill_group_.clear();
}

namespace {

// A v1 group has no cgroup.kill.
void kill_members(const std::string& group) {
  std::string_view rest;
  const auto text = read_small_file(group + "/cgroup.procs");
  if (text) rest = *text;
  while (!rest.empty()) {
    pid_t pid = 0;
    const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), pid);
    if (code != std::errc{}) return;
    if (pid > 1 && pid != ::getpid()) ::kill(pid, SIGKILL);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    while (!rest.empty() && rest.front() == '\n') rest.remove_prefix(1);
  }
}

using Matches = std::function<bool(std::string_view)>;

bool sweep_folder(const std::string& folder, const Matches& matches) {
  const std::unique_ptr<DIR, CloseFolder> open(folder.empty() ? nullptr
                                                              : ::opendir(folder.c_str()));
  if (!open) return true;
  bool clean = true;
  while (const dirent* entry = ::readdir(open.get())) {
    if (!matches(entry->d_name)) continue;
    const std::string group = folder + "/" + entry->d_name;
    if (write_small_file(group + "/cgroup.kill", "1") != 0) kill_members(group);
    if (::rmdir(group.c_str()) != 0 && errno != ENOTDIR) clean = false;
  }
  return clean;
}

bool sweep(const MemorySupport& support, const Matches& matches) {
  const bool killed = sweep_folder(support.kill_folder, matches);
  if (support.memory_folder == support.kill_folder) return killed;
  return sweep_folder(support.memory_folder, matches) && killed;
}

}  // namespace

bool end_groups(const MemorySupport& support, std::string_view name) {
  return sweep(support, [name](std::string_view entry) { return entry == name; });
}

bool sweep_groups(const MemorySupport& support, std::string_view prefix) {
  return sweep(support, [prefix](std::string_view entry) { return entry.starts_with(prefix); });
}

}  // namespace overwinter::worker::exec
