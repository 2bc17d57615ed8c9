#include "worker/exec/checkpoint_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace overwinter::worker::exec {
namespace {

constexpr std::uint64_t kHeaderMax = std::uint64_t{16} << 20;
constexpr std::uint64_t kZipTailMax = 22 + 65535;  // its last record and the longest comment
constexpr std::size_t kDescriptorsMax = 65536;

std::optional<std::string> read_at(const Descriptor& file, std::uint64_t offset,
                                   std::size_t bytes) {
  std::string out(bytes, '\0');
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        ::pread(file.get(), out.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (got <= 0) return std::nullopt;
    done += static_cast<std::size_t>(got);
  }
  return out;
}

template <class T>
T little(std::string_view bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// The largest end of the header's "data_offsets": [begin, end].
std::uint64_t data_end(std::string_view header) {
  std::uint64_t end = 0;
  constexpr std::string_view kName = "\"data_offsets\"";
  for (std::size_t at = header.find(kName); at != std::string_view::npos;
       at = header.find(kName, at + 1)) {
    const std::size_t comma = header.find(',', at);
    if (comma == std::string_view::npos) break;
    const std::size_t digit = header.find_first_not_of(" \t\n", comma + 1);
    if (digit == std::string_view::npos) break;
    std::uint64_t value = 0;
    std::from_chars(header.data() + digit, header.data() + header.size(), value);
    end = std::max(end, value);
  }
  return end;
}

bool safetensors_complete(const Descriptor& file, std::uint64_t size) {
  const auto begin = size < 8 ? std::nullopt : read_at(file, 0, 8);
  if (!begin) return false;
  const auto length = little<std::uint64_t>(*begin, 0);
  if (length > kHeaderMax || length + 8 > size) return false;
  const auto header = read_at(file, 8, static_cast<std::size_t>(length));
  return header && header->starts_with('{') && 8 + length + data_end(*header) == size;
}

bool zip_complete(const Descriptor& file, std::uint64_t size) {
  const auto begin = size < 4 ? std::nullopt : read_at(file, 0, 4);
  if (!begin) return false;
  if (*begin != "PK\3\4") return true;  // an old pickle: it does not tell
  const std::uint64_t tail_bytes = std::min(size, kZipTailMax);
  const auto tail = read_at(file, size - tail_bytes, static_cast<std::size_t>(tail_bytes));
  if (!tail) return false;
  const std::size_t at = tail->rfind("PK\5\6");
  if (at == std::string::npos || at + 22 > tail->size()) return false;
  std::uint64_t directory = little<std::uint32_t>(*tail, at + 16);
  if (directory == 0xffffffffU) {
    // Over 4 GiB: a locator before it says where the record with the true place is.
    if (at < 20 || tail->compare(at - 20, 4, "PK\6\7") != 0) return false;
    const auto record = read_at(file, little<std::uint64_t>(*tail, at - 20 + 8), 56);
    if (!record || !record->starts_with("PK\6\6")) return false;
    directory = little<std::uint64_t>(*record, 48);
  }
  if (little<std::uint16_t>(*tail, at + 10) == 0) return true;  // no entries
  if (directory + 4 > size) return false;
  return read_at(file, directory, 4) == "PK\1\2";
}

}  // namespace

bool checkpoint_file_complete(const Descriptor& file, std::string_view name) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return false;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (name.ends_with(".safetensors")) return safetensors_complete(file, size);
  if (name.ends_with(".pt") || name.ends_with(".pth") || name.ends_with(".bin"))
    return zip_complete(file, size);
  return true;
}

std::set<std::pair<std::uint64_t, std::uint64_t>> open_for_writing(const std::vector<pid_t>& pids) {
  std::set<std::pair<std::uint64_t, std::uint64_t>> open;
  for (const pid_t pid : pids) {
    const std::string base = fmt::format("/proc/{}/", pid);
    DIR* folder = ::opendir((base + "fd").c_str());
    if (folder == nullptr) continue;
    std::size_t count = 0;
    while (const dirent* entry = ::readdir(folder)) {
      if (entry->d_name[0] == '.' || ++count > kDescriptorsMax) continue;
      struct stat status {};
      if (::stat((base + "fd/" + entry->d_name).c_str(), &status) != 0 || !S_ISREG(status.st_mode))
        continue;
      const auto text = read_small_file(base + "fdinfo/" + entry->d_name, 256);
      const std::size_t at = text ? text->find("flags:\t") : std::string::npos;
      if (at == std::string::npos) continue;
      unsigned flags = 0;
      std::from_chars(text->data() + at + 7, text->data() + text->size(), flags, 8);
      if ((flags & O_ACCMODE) != O_RDONLY) open.emplace(status.st_dev, status.st_ino);
    }
    ::closedir(folder);
  }
  return open;
}

CheckpointFolder::CheckpointFolder(std::filesystem::path work, std::string checkpoint_dir)
    : work_(std::move(work)), folder_(std::move(checkpoint_dir)) {}

// The folder may be made, or made anew, by the program: the watch follows it.
void CheckpointFolder::watch() {
  const Result<Descriptor> folder = open_inside(work_, folder_, true);
  struct stat status {};
  if (!folder || ::fstat(folder->get(), &status) != 0 || status.st_ino == watched_inode_) return;
  notify_ = Descriptor(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const std::string path = fmt::format("/proc/self/fd/{}", folder->get());
  if (notify_.valid() && ::inotify_add_watch(notify_.get(), path.c_str(), IN_MOVED_TO) >= 0)
    watched_inode_ = status.st_ino;
}

std::set<std::string> CheckpointFolder::renamed() {
  std::set<std::string> names;
  if (!notify_.valid()) return names;
  alignas(inotify_event) char buffer[16 * 1024];
  ssize_t got = 0;
  while ((got = ::read(notify_.get(), buffer, sizeof buffer)) > 0) {
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      if ((event->mask & IN_MOVED_TO) != 0 && event->len > 0) names.insert(event->name);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  return names;
}

bool CheckpointFolder::complete(const InsideFile& file) {
  const auto known = complete_.find(file.path);
  if (known != complete_.end() && known->second == file) return true;
  const Result<Descriptor> open =
      open_inside(work_, (std::filesystem::path(folder_) / file.path).string());
  if (!open || !checkpoint_file_complete(*open, file.path)) return false;
  complete_[file.path] = file;
  return true;
}

Result<CheckpointSnapshot> CheckpointFolder::take(const std::vector<pid_t>& pids) {
  CheckpointSnapshot snapshot;
  watch();
  // Events first: what is renamed after them is renamed in the next snapshot at the latest.
  snapshot.renamed = renamed();
  const Result<std::vector<InsideFile>> files = list_inside(work_, folder_);
  if (!files && files.error().code == Code::kNotFound) return snapshot;
  if (!files) return fail(files.error());
  const auto writing = open_for_writing(pids);
  std::erase_if(complete_, [&](const auto& entry) {
    return std::none_of(files->begin(), files->end(),
                        [&](const InsideFile& file) { return file.path == entry.first; });
  });
  for (const InsideFile& file : *files)
    snapshot.files.push_back({file, writing.contains({file.device, file.inode}), complete(file)});
  return snapshot;
}

}  // namespace overwinter::worker::exec
