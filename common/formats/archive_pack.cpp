// The writing half of archive.h.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "common/formats/archive.h"
#include "common/formats/digest.h"
#include "common/formats/ignore_rules.h"

namespace overwinter::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLeftOutNamed = 20;
constexpr std::size_t kPackPieceBytes = 256 * 1024;

Result<IgnoreRules> rules_of(const fs::path& root) {
  for (const char* name : {".overwinterignore", ".gitignore"}) {
    std::ifstream file(root / name, std::ios::binary);
    if (!file) continue;
    std::string text(kIgnoreBytesMax + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    Result<IgnoreRules> rules = IgnoreRules::parse(text);
    if (!rules) rules.error().message = fmt::format("{}: {}", name, rules.error().message);
    return rules;
  }
  return IgnoreRules();
}

class Lister {
 public:
  Lister(FolderListing& listing, const IgnoreRules& rules) : listing_(listing), rules_(rules) {}

  Status folder(const std::string& prefix, std::size_t depth) {
    if (depth > kArchiveDepthMax)
      return error(Code::kResourceExhausted,
                   fmt::format("{} lies more than {} folders deep", prefix, kArchiveDepthMax));
    std::error_code code;
    fs::directory_iterator at(listing_.root / prefix, code);
    for (; !code && at != fs::directory_iterator(); at.increment(code)) {
      const std::string name = at->path().filename().string();
      if (name == ".git") continue;
      if (Status status = entry(prefix.empty() ? name : prefix + "/" + name, *at, depth);
          !status.ok())
        return status;
    }
    if (!code) return Status::success();
    return error(
        Code::kFailedPrecondition,
        fmt::format("cannot list {}: {}", (listing_.root / prefix).string(), code.message()));
  }

 private:
  Status entry(const std::string& path, const fs::directory_entry& at, std::size_t depth) {
    std::error_code code;
    const fs::file_status status = at.symlink_status(code);
    const bool is_folder = fs::is_directory(status);
    if (rules_.leaves_out(path, is_folder)) return Status::success();
    if (listing_.entries.size() >= kArchiveEntriesMax)
      return error(
          Code::kResourceExhausted,
          fmt::format("the workdir has more than {} files and folders", kArchiveEntriesMax), {},
          "leave some out with .overwinterignore");
    if (!archive_path_ok(path)) {
      leave_out(path);
    } else if (is_folder) {
      listing_.entries.push_back({EntryKind::kFolder, path, 0, {}});
      return folder(path, depth + 1);
    } else if (fs::is_symlink(status)) {
      const std::string target = fs::read_symlink(at.path(), code).string();
      if (code || !archive_link_ok(path, target))
        leave_out(path);
      else
        listing_.entries.push_back({EntryKind::kLink, path, target.size(), target});
    } else if (fs::is_regular_file(status)) {
      const std::uint64_t size = at.file_size(code);
      if (code) return Status::success();  // gone meanwhile
      const bool runs = (status.permissions() & fs::perms::owner_exec) != fs::perms::none;
      listing_.entries.push_back({runs ? EntryKind::kProgram : EntryKind::kFile, path, size, {}});
      listing_.content_bytes += size;
    } else {
      leave_out(path);
    }
    return Status::success();
  }

  void leave_out(const std::string& path) {
    if (listing_.left_out.size() < kLeftOutNamed) listing_.left_out.push_back(path);
  }

  FolderListing& listing_;
  const IgnoreRules& rules_;
};

Status too_large(const FolderListing& listing, std::uint64_t bytes_max) {
  std::vector<const ArchiveEntry*> files;
  for (const ArchiveEntry& entry : listing.entries) files.push_back(&entry);
  std::sort(files.begin(), files.end(), [](const ArchiveEntry* a, const ArchiveEntry* b) {
    return a->size_bytes != b->size_bytes ? a->size_bytes > b->size_bytes : a->path < b->path;
  });
  std::string largest;
  for (std::size_t i = 0; i < std::min<std::size_t>(files.size(), 5); ++i)
    largest += fmt::format("{}{} ({})", i == 0 ? "" : ", ", files[i]->path,
                           format_bytes(files[i]->size_bytes));
  return error(Code::kResourceExhausted,
               fmt::format("the workdir has {}, at most {} can be sent; the largest: {}",
                           format_bytes(listing.content_bytes), format_bytes(bytes_max), largest),
               "workload.exec.workdir",
               "leave out what the program does not need with .overwinterignore; data sets go by "
               "mounts");
}

std::string header_of(const ArchiveEntry& entry) {
  std::string out(1, static_cast<char>(entry.kind));
  const auto length = static_cast<std::uint32_t>(entry.path.size());
  out.append(reinterpret_cast<const char*>(&length), sizeof length);
  out += entry.path;
  out.append(reinterpret_cast<const char*>(&entry.size_bytes), sizeof entry.size_bytes);
  return out + entry.target;
}

Status put(const WriteBytes& write, std::string_view text) {
  return write(std::as_bytes(std::span(text.data(), text.size())));
}

Status write_file(const FolderListing& listing, const ArchiveEntry& entry,
                  const WriteBytes& write) {
  const fs::path path = listing.root / entry.path;
  const auto changed = [&] {
    return error(Code::kAborted, fmt::format("{} changed while it was read", path.string()));
  };
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return error(Code::kFailedPrecondition,
                 fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  std::string piece(kPackPieceBytes, '\0');
  std::uint64_t left = entry.size_bytes;
  while (left > 0) {
    file.read(piece.data(),
              static_cast<std::streamsize>(std::min<std::uint64_t>(left, kPackPieceBytes)));
    const auto got = static_cast<std::size_t>(file.gcount());
    if (got == 0) return changed();
    if (Status status = put(write, std::string_view(piece).substr(0, got)); !status.ok())
      return status;
    left -= got;
  }
  return file.peek() == std::ifstream::traits_type::eof() ? Status::success() : changed();
}

}  // namespace

std::uint64_t FolderListing::archive_bytes() const {
  std::uint64_t bytes = 8 + 9;
  for (const ArchiveEntry& entry : entries) bytes += 13 + entry.path.size() + entry.size_bytes;
  return bytes;
}

Result<FolderListing> list_folder(const fs::path& root, std::uint64_t bytes_max) {
  std::error_code code;
  if (!fs::is_directory(root, code))
    return fail(Code::kNotFound, fmt::format("{} is no folder", root.string()),
                "workload.exec.workdir");
  const Result<IgnoreRules> rules = rules_of(root);
  if (!rules) return fail(rules.error());
  FolderListing listing;
  listing.root = root;
  if (Status status = Lister(listing, *rules).folder("", 0); !status.ok())
    return fail(std::move(status));
  std::sort(listing.entries.begin(), listing.entries.end(),
            [](const ArchiveEntry& a, const ArchiveEntry& b) { return a.path < b.path; });
  std::sort(listing.left_out.begin(), listing.left_out.end());
  if (listing.content_bytes > bytes_max) return fail(too_large(listing, bytes_max));
  return listing;
}

Status write_archive(const FolderListing& listing, const WriteBytes& write) {
  const std::uint32_t version = 1;
  std::string begin = "OWAR";
  begin.append(reinterpret_cast<const char*>(&version), sizeof version);
  if (Status status = put(write, begin); !status.ok()) return status;
  for (const ArchiveEntry& entry : listing.entries) {
    if (Status status = put(write, header_of(entry)); !status.ok()) return status;
    if (entry.kind == EntryKind::kFile || entry.kind == EntryKind::kProgram)
      if (Status status = write_file(listing, entry, write); !status.ok()) return status;
  }
  std::string end(1, '\0');
  const std::uint64_t count = listing.entries.size();
  end.append(reinterpret_cast<const char*>(&count), sizeof count);
  return put(write, end);
}

Result<Digest> archive_digest(const FolderListing& listing) {
  BlobDigester digester;
  const Status status = write_archive(listing, [&](std::span<const std::byte> data) {
    digester.update(data);
    return Status::success();
  });
  if (!status.ok()) return fail(status);
  return digester.finish();
}

}  // namespace overwinter::formats
