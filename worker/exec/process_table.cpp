#include "worker/exec/process_table.h"

#include <dirent.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "worker/exec/descriptor.h"

namespace overwinter::worker::exec {
namespace {

template <class T>
std::optional<T> whole_number(std::string_view text) {
  T value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end == text.data()) return std::nullopt;
  return value;
}

// More processes than any tree has: what changes while it is read cannot run away with the walk.
constexpr std::size_t kTreeMax = 1 << 20;

std::vector<pid_t> numbers_in(const char* folder) {
  std::vector<pid_t> pids;
  const std::unique_ptr<DIR, CloseFolder> proc(::opendir(folder));
  if (!proc) return pids;
  while (const dirent* entry = ::readdir(proc.get()))
    if (const auto pid = whole_number<pid_t>(entry->d_name)) pids.push_back(*pid);
  return pids;
}

std::optional<ProcessEntry> read_entry(pid_t pid) {
  const auto text = read_small_file(fmt::format("/proc/{}/stat", pid), 1024);
  if (!text) return std::nullopt;
  // The name stands in brackets and may hold anything, brackets too.
  const std::size_t end = text->rfind(')');
  if (end == std::string::npos || end + 4 > text->size()) return std::nullopt;
  const auto parent = whole_number<pid_t>(std::string_view(*text).substr(end + 4));
  if (!parent) return std::nullopt;
  return ProcessEntry{pid, *parent, (*text)[end + 2]};
}

// The sum of "Name:   123 kB" lines, in bytes.
std::optional<std::uint64_t> sum_of_lines(const std::string& path,
                                          std::initializer_list<std::string_view> names) {
  const auto text = read_small_file(path, 16 * 1024);
  if (!text || text->empty()) return std::nullopt;
  std::uint64_t total = 0;
  for (const std::string_view name : names) {
    const std::size_t at = text->find(name);
    if (at == std::string::npos) continue;
    std::size_t digit = at + name.size();
    while (digit < text->size() && ((*text)[digit] == ' ' || (*text)[digit] == '\t')) ++digit;
    total += whole_number<std::uint64_t>(std::string_view(*text).substr(digit)).value_or(0) * 1024;
  }
  return total;
}

}  // namespace

std::vector<ProcessEntry> all_processes() {
  std::vector<ProcessEntry> entries;
  for (const pid_t pid : numbers_in("/proc"))
    if (const auto entry = read_entry(pid)) entries.push_back(*entry);
  return entries;
}

std::vector<pid_t> descendants_of(pid_t root, const std::vector<ProcessEntry>& all) {
  std::multimap<pid_t, const ProcessEntry*> children;
  for (const ProcessEntry& entry : all) children.emplace(entry.parent, &entry);
  std::vector<pid_t> found;
  std::vector<pid_t> open{root};
  // Bounded by the snapshot: each process has one parent in it.
  for (std::size_t i = 0; i < open.size() && open.size() <= all.size() + 1; ++i) {
    const auto [first, last] = children.equal_range(open[i]);
    for (auto child = first; child != last; ++child) {
      if (child->second->pid == root) continue;
      open.push_back(child->second->pid);
      if (!child->second->dead()) found.push_back(child->second->pid);
    }
  }
  return found;
}

std::vector<pid_t> descendants_of(pid_t root) {
  return descendants_of(root, all_processes());
}

std::vector<pid_t> tree_of(pid_t root) {
  static const bool kept =
      ::access(fmt::format("/proc/self/task/{}/children", ::getpid()).c_str(), F_OK) == 0;
  if (!kept) return descendants_of(root);
  std::vector<pid_t> found;
  std::vector<pid_t> open{root};
  for (std::size_t i = 0; i < open.size() && open.size() <= kTreeMax; ++i) {
    const std::string tasks = fmt::format("/proc/{}/task", open[i]);
    for (const pid_t thread : numbers_in(tasks.c_str())) {
      const auto text = read_small_file(fmt::format("{}/{}/children", tasks, thread));
      if (!text) continue;
      std::string_view rest = *text;
      while (const auto child = whole_number<pid_t>(rest)) {
        open.push_back(*child);
        found.push_back(*child);
        const std::size_t space = rest.find(' ');
        rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
      }
    }
  }
  return found;
}

std::vector<pid_t> processes_of_uid(uid_t uid) {
  std::vector<pid_t> found;
  for (const pid_t pid : numbers_in("/proc")) {
    // Not the owner of the folder: that is root's for a process that cannot be dumped.
    const auto text = read_small_file(fmt::format("/proc/{}/status", pid), 4096);
    if (!text) continue;
    const std::size_t at = text->find("\nUid:\t");
    const std::size_t state = text->find("\nState:\t");
    if (at == std::string::npos || state == std::string::npos) continue;
    const char letter = (*text)[state + 8];
    if (letter == 'Z' || letter == 'X') continue;
    if (whole_number<uid_t>(std::string_view(*text).substr(at + 6)) == uid) found.push_back(pid);
  }
  return found;
}

std::optional<std::uint64_t> resident_bytes(pid_t pid) {
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto text = read_small_file(fmt::format("/proc/{}/statm", pid), 256);
  if (!text) return std::nullopt;
  const std::size_t space = text->find(' ');
  if (space == std::string::npos) return std::nullopt;
  const auto pages = whole_number<std::uint64_t>(std::string_view(*text).substr(space + 1));
  if (!pages) return std::nullopt;
  return *pages * page;
}

std::optional<std::uint64_t> unshared_bytes(pid_t pid) {
  return sum_of_lines(fmt::format("/proc/{}/status", pid), {"\nRssAnon:", "\nRssShmem:"});
}

std::optional<std::uint64_t> proportional_bytes(pid_t pid) {
  return sum_of_lines(fmt::format("/proc/{}/smaps_rollup", pid), {"\nPss_Anon:", "\nPss_Shmem:"});
}

}  // namespace overwinter::worker::exec
