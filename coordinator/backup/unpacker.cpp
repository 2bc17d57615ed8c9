#include "coordinator/backup/unpacker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "coordinator/backup/key_bundle.h"
#include "coordinator/backup/layout.h"

namespace overwinter::backup {
namespace {

Status write_failed(const std::filesystem::path& place, int number) {
  return error(Code::kFailedPrecondition,
               "cannot write " + place.string() + ": " + std::strerror(number));
}

bool is_content(std::string_view name) {
  const auto below = [name](std::string_view folder) {
    return name.starts_with(folder) && name.size() > folder.size() && name[folder.size()] == '/';
  };
  return name == kLogMember || below(kArtifactFolder) || below(kTelemetryFolder);
}

}  // namespace

Unpacker::Unpacker(std::filesystem::path folder, std::function<Status(const std::string&)> keys)
    : folder_(std::move(folder)), keys_(std::move(keys)) {}

Unpacker::~Unpacker() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

// The folder is new, private and ours: nobody puts a link into it.
Status Unpacker::make_folders(const std::filesystem::path& name) {
  std::filesystem::path at = folder_;
  for (const std::filesystem::path& part : name.parent_path()) {
    at /= part;
    if (!made_.insert(at).second) continue;
    if (::mkdir(at.c_str(), 0700) != 0 && errno != EEXIST) return write_failed(at, errno);
  }
  return Status::success();
}

Status Unpacker::begin(const formats::TarMember& member) {
  in_keys_ = member.name == kKeysMember;
  if (in_keys_) {
    if (member.size_bytes > 2 * kBundleBytesMax) {
      return error(Code::kInvalidArgument, "the backup's keys are too long");
    }
    sealed_.clear();
    return Status::success();
  }
  if (!is_content(member.name)) {
    return error(Code::kInvalidArgument,
                 "the backup holds " + member.name + ", which no backup of this version does");
  }
  if (Status status = make_folders(member.name); !status.ok()) return status;
  place_ = folder_ / member.name;
  descriptor_ = ::open(place_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  return descriptor_ >= 0 ? Status::success() : write_failed(place_, errno);
}

Status Unpacker::data(std::span<const std::byte> piece) {
  if (in_keys_) {
    sealed_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return Status::success();
  }
  while (!piece.empty()) {
    const ssize_t n = ::write(descriptor_, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return write_failed(place_, errno);
    piece = piece.subspan(static_cast<std::size_t>(n));
  }
  return Status::success();
}

Status Unpacker::end() {
  if (in_keys_) return keys_(sealed_);
  const int closed = ::close(std::exchange(descriptor_, -1));
  return closed == 0 ? Status::success() : write_failed(place_, errno);
}

}  // namespace overwinter::backup
