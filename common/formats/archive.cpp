#include "common/formats/archive.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

namespace overwinter::formats {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;

struct File {
  int fd = -1;
  explicit File(int opened) : fd(opened) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd >= 0) ::close(fd);
  }
};

Status broken(std::string_view what) {
  return error(Code::kInvalidArgument, fmt::format("the archive is broken: {}", what));
}

std::string parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

class Unpacker {
 public:
  Unpacker(const ReadBytes& read, int root, const UnpackOptions& options)
      : read_(read), root_(root), options_(options), left_(options.bytes_max) {}

  Status run() {
    char magic[4];
    std::uint32_t version = 0;
    if (Status status = take(magic, sizeof magic); !status.ok()) return status;
    if (Status status = take(&version, sizeof version); !status.ok()) return status;
    if (std::memcmp(magic, "OWAR", 4) != 0) return broken("it does not begin as one");
    if (version != 1) return broken(fmt::format("format {} is not known here", version));
    std::uint64_t count = 0;
    while (true) {
      std::uint8_t kind = 0;
      if (Status status = take(&kind, 1); !status.ok()) return status;
      if (kind == 0) break;
      if (kind > 4) return broken(fmt::format("an entry of kind {}", kind));
      if (++count > kArchiveEntriesMax) return broken("too many entries");
      if (Status status = entry(static_cast<EntryKind>(kind)); !status.ok()) return status;
    }
    std::uint64_t said = 0;
    if (Status status = take(&said, sizeof said); !status.ok()) return status;
    if (said != count) return broken("its count of entries is wrong");
    std::byte more{};
    const Result<std::size_t> got = read_({&more, 1});
    if (!got) return got.error();
    return *got == 0 ? Status::success() : broken("something follows its end");
  }

 private:
  Status take(void* to, std::size_t bytes) {
    auto* at = static_cast<std::byte*>(to);
    while (bytes > 0) {
      const Result<std::size_t> got = read_({at, bytes});
      if (!got) return got.error();
      if (*got == 0) return broken("it ends early");
      at += *got;
      bytes -= *got;
    }
    return Status::success();
  }

  Status entry(EntryKind kind) {
    std::uint32_t length = 0;
    if (Status status = take(&length, sizeof length); !status.ok()) return status;
    if (length > kArchivePathMax) return broken("a path that is too long");
    std::string path(length, '\0');
    if (Status status = take(path.data(), length); !status.ok()) return status;
    std::uint64_t size = 0;
    if (Status status = take(&size, sizeof size); !status.ok()) return status;
    if (!archive_path_ok(path)) return broken("a path that leads elsewhere");
    if (path <= last_) return broken("its paths are not in order");
    last_ = path;
    const std::string parent = parent_of(path);
    if (!parent.empty() && !folders_.contains(parent))
      return broken(fmt::format("{} lies in no folder of it", path));
    switch (kind) {
      case EntryKind::kFolder:
        return size == 0 ? make_folder(path) : broken("a folder with content");
      case EntryKind::kLink:
        return make_link(path, size);
      case EntryKind::kFile:
        return make_file(path, size, 0600);
      case EntryKind::kProgram:
        return make_file(path, size, 0700);
    }
    return broken("an entry of no kind");
  }

  Status failed(std::string_view what, const std::string& path) const {
    const Code code =
        errno == ENOSPC || errno == EDQUOT ? Code::kResourceExhausted : Code::kInternal;
    return error(code, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
  }

  Status own(const std::string& path) const {
    if (options_.owner &&
        ::fchownat(root_, path.c_str(), *options_.owner, *options_.owner, AT_SYMLINK_NOFOLLOW) != 0)
      return failed("give away", path);
    return Status::success();
  }

  // Folders of the path were made here, in an empty folder that nobody else writes: no link is
  // among them.
  Status make_folder(const std::string& path) {
    if (::mkdirat(root_, path.c_str(), 0700) != 0) return failed("make", path);
    folders_.insert(path);
    return own(path);
  }

  Status make_link(const std::string& path, std::uint64_t size) {
    if (size > kArchivePathMax) return broken("a link that is too long");
    std::string target(size, '\0');
    if (Status status = take(target.data(), size); !status.ok()) return status;
    if (!archive_link_ok(path, target))
      return broken(fmt::format("the link {} leads elsewhere", path));
    if (::symlinkat(target.c_str(), root_, path.c_str()) != 0) return failed("make", path);
    return own(path);
  }

  Status make_file(const std::string& path, std::uint64_t size, mode_t mode) {
    if (size > left_)
      return error(Code::kResourceExhausted,
                   fmt::format("the archive holds more than {}", format_bytes(options_.bytes_max)));
    left_ -= size;
    const File file(
        ::openat(root_, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (file.fd < 0) return failed("make", path);
    if (::fchmod(file.fd, mode) != 0) return failed("make", path);
    buffer_.resize(kPieceBytes);
    while (size > 0) {
      const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(size, kPieceBytes));
      if (Status status = take(buffer_.data(), piece); !status.ok()) return status;
      for (std::size_t done = 0; done < piece;) {
        const ssize_t wrote = ::write(file.fd, buffer_.data() + done, piece - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return failed("write", path);
        done += static_cast<std::size_t>(wrote);
      }
      size -= piece;
    }
    return own(path);
  }

  const ReadBytes& read_;
  const int root_;
  const UnpackOptions options_;
  std::uint64_t left_;
  std::string last_;
  std::set<std::string> folders_;
  std::vector<std::byte> buffer_;
};

}  // namespace

bool archive_path_ok(std::string_view path) {
  if (path.empty() || path.size() > kArchivePathMax || path.find('\0') != std::string_view::npos)
    return false;
  std::size_t depth = 0;
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    if (++depth > kArchiveDepthMax + 1) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool archive_link_ok(std::string_view path, std::string_view target) {
  if (target.empty() || target.size() > kArchivePathMax || target.front() == '/' ||
      target.find('\0') != std::string_view::npos)
    return false;
  auto up = static_cast<std::size_t>(std::count(path.begin(), path.end(), '/'));
  bool going_up = true;
  while (!target.empty()) {
    const std::size_t slash = target.find('/');
    const std::string_view part = target.substr(0, slash);
    target.remove_prefix(slash == std::string_view::npos ? target.size() : slash + 1);
    if (part == "..") {
      // After a name it would go up from wherever that name leads.
      if (!going_up || up == 0) return false;
      --up;
    } else if (!part.empty() && part != ".") {
      going_up = false;
    }
  }
  return true;
}

Status unpack_archive(const ReadBytes& read, const std::filesystem::path& folder,
                      const UnpackOptions& options) {
  const File root(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (root.fd < 0)
    return error(Code::kNotFound,
                 fmt::format("cannot open {}: {}", folder.string(), std::strerror(errno)));
  return Unpacker(read, root.fd, options).run();
}

}  // namespace overwinter::formats
