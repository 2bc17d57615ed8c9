// detect_memory_support(): which of the three kinds this machine has.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "worker/exec/memory_limit.h"

namespace overwinter::worker::exec {
namespace {

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(by);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool has_word(std::string_view text, std::string_view word) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  const auto words = split(text, text.find(',') != std::string_view::npos ? ',' : ' ');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// "4:memory:/path" of v1, "0::/path" of v2.
std::optional<std::string> own_path(std::string_view self_cgroup, std::string_view controller) {
  for (const std::string_view line : split(self_cgroup, '\n')) {
    const std::size_t first = line.find(':');
    if (first == std::string_view::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : has_word(controllers, controller))
      return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

bool in_subtree(CgroupAccess& access, const std::string& folder) {
  return has_word(access.read(folder + "/cgroup.subtree_control").value_or(""), "memory");
}

// The nearest folder, from this process's group upwards, that hands its groups the controller and
// lets us make one.
std::optional<std::string> folder_of_memory2(CgroupAccess& access, const CgroupPlace& place) {
  std::string folder = place.own;
  while (true) {
    if (in_subtree(access, folder) && access.can_make_group(folder, "memory.max")) return folder;
    if (folder.size() <= place.mount.size()) break;
    folder.resize(folder.rfind('/'));
  }
  const bool has = has_word(access.read(place.own + "/cgroup.controllers").value_or(""), "memory");
  const auto processes = access.read(place.own + "/cgroup.procs");
  const bool alone = processes && *processes == fmt::format("{}\n", ::getpid());
  if (has && alone && access.move_into_leaf(place.own) &&
      access.can_make_group(place.own, "memory.max"))
    return place.own;
  return std::nullopt;
}

class SystemCgroups final : public CgroupAccess {
 public:
  std::optional<std::string> read(const std::string& path) override {
    return read_small_file(path, std::size_t{1} << 20);
  }
  bool can_make_group(const std::string& folder, const std::string& file) override {
    const std::string group = fmt::format("{}/overwinter-try-{}", folder, ::getpid());
    if (::mkdir(group.c_str(), 0755) != 0 && errno != EEXIST) return false;
    const bool there = ::access((group + "/" + file).c_str(), W_OK) == 0;
    ::rmdir(group.c_str());
    return there;
  }
  bool move_into_leaf(const std::string& folder) override {
    const std::string leaf = folder + "/overwinter-daemon";
    if (::mkdir(leaf.c_str(), 0755) != 0 && errno != EEXIST) return false;
    if (write_small_file(leaf + "/cgroup.procs", "0") != 0) return false;
    if (write_small_file(folder + "/cgroup.subtree_control", "+memory") == 0) return true;
    // Back to where we were, or the leaf would have moved us for nothing.
    if (write_small_file(folder + "/cgroup.procs", "0") == 0) ::rmdir(leaf.c_str());
    return false;
  }
};

}  // namespace

CgroupAccess& system_cgroups() {
  static SystemCgroups access;
  return access;
}

std::string MemorySupport::describe() const {
  switch (kind) {
    case MemoryKind::kCgroup2:
      return "cgroup v2";
    case MemoryKind::kCgroup1:
      return "cgroup v1";
    case MemoryKind::kWatchdog:
      break;
  }
  return fmt::format("watchdog ({})", why);
}

std::optional<CgroupPlace> find_cgroup(std::string_view self_cgroup, std::string_view mountinfo,
                                       std::string_view controller) {
  const auto own = own_path(self_cgroup, controller);
  if (!own) return std::nullopt;
  for (const std::string_view line : split(mountinfo, '\n')) {
    // id parent major:minor ROOT MOUNT options [tags] - TYPE source SUPER
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const auto left = split(line.substr(0, dash), ' ');
    const auto right = split(line.substr(dash + 3), ' ');
    if (left.size() < 6 || right.size() < 3) continue;
    const bool fits = controller.empty() ? right[0] == "cgroup2"
                                         : right[0] == "cgroup" && has_word(right[2], controller);
    if (!fits) continue;
    const std::string root = unescape(left[3]);
    std::string mount = unescape(left[4]);
    std::string below;  // of the group, below the mount
    if (root == "/") {
      below = *own == "/" ? "" : *own;
    } else if (*own == root || own->starts_with(root + "/")) {
      below = own->substr(root.size());
    } else {
      continue;
    }
    // A group outside of this namespace's root is written with "..": not ours to touch.
    if (below.find("..") != std::string::npos) continue;
    return CgroupPlace{mount, mount + below};
  }
  return std::nullopt;
}

MemorySupport detect_memory_support(CgroupAccess& access) {
  MemorySupport support;
  const std::string self = access.read("/proc/self/cgroup").value_or("");
  const std::string mounts = access.read("/proc/self/mountinfo").value_or("");
  const auto two = find_cgroup(self, mounts, "");
  const auto one = find_cgroup(self, mounts, "memory");
  if (two) {
    if (const auto folder = folder_of_memory2(access, *two)) {
      support.kind = MemoryKind::kCgroup2;
      support.memory_folder = support.kill_folder = *folder;
      return support;
    }
    if (access.can_make_group(two->own, "cgroup.kill")) support.kill_folder = two->own;
  }
  if (one && access.can_make_group(one->own, "memory.limit_in_bytes")) {
    support.kind = MemoryKind::kCgroup1;
    support.memory_folder = one->own;
    return support;
  }
  if (!two && !one)
    support.why = "no cgroup hierarchy with a memory controller is mounted";
  else
    support.why = one ? "no group can be made under " + one->own
                      : "no group with a memory controller can be made under " + two->own;
  return support;
}

}  // namespace overwinter::worker::exec
