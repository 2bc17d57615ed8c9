// A folder as one blob: what a workdir travels as. The same content gives the same bytes, whatever
// the times, owners and order on disk; so its digest names it. Format 1, little-endian:
//
//   "OWAR" u32 version
//   entries, by path, each greater (as bytes) than the one before:
//     u8 kind   1 folder, 2 file, 3 file that runs, 4 link
//     u32 length of the path, the path (relative, no "", "." or ".." parts, no NUL)
//     u64 size of the content, the content (of a link: its target)
//   u8 0, u64 number of entries
//
// Reading takes it as hostile: every size is checked before memory is taken, an entry lies in a
// folder that the archive made, a link points inside (leading ".." no more than it is deep, none
// after that), and nothing is ever written through a link.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace overwinter::formats {

inline constexpr std::uint64_t kArchiveBytesMax = 200 * kMiB;  // of the contents together
// The same of what an exec job leaves: its outputs, or its folder when it failed.
inline constexpr std::uint64_t kOutputsBytesMax = 4 * kGiB;
inline constexpr std::size_t kArchiveEntriesMax = 200'000;
inline constexpr std::size_t kArchivePathMax = 4096;
inline constexpr std::size_t kArchiveDepthMax = 64;

// The longest archive of so much content.
[[nodiscard]] constexpr std::uint64_t archive_bytes_max(std::uint64_t content_bytes_max) {
  constexpr std::uint64_t kEntryHead = 1 + 4 + 8;
  constexpr std::uint64_t kEnds = 4 + 4 + 1 + 8;
  return content_bytes_max + kEnds + kArchiveEntriesMax * (kEntryHead + 2 * kArchivePathMax);
}

enum class EntryKind : std::uint8_t { kFolder = 1, kFile = 2, kProgram = 3, kLink = 4 };

struct ArchiveEntry {
  EntryKind kind = EntryKind::kFile;
  std::string path;
  std::uint64_t size_bytes = 0;
  std::string target;  // of a link
  friend bool operator==(const ArchiveEntry&, const ArchiveEntry&) = default;
};

// What a folder would be packed as.
struct FolderListing {
  std::filesystem::path root;
  std::vector<ArchiveEntry> entries;  // by path
  std::vector<std::string>
      left_out;  // links that point outside, sockets, devices; at most 20 named
  std::uint64_t content_bytes = 0;

  [[nodiscard]] std::uint64_t archive_bytes() const;
};

// Everything below `root` but .git and what .overwinterignore there (else .gitignore) leaves out.
// NOT_FOUND: no such folder. RESOURCE_EXHAUSTED: over `bytes_max`, with the five largest files, or
// too many entries.
[[nodiscard]] Result<FolderListing> list_folder(const std::filesystem::path& root,
                                                std::uint64_t bytes_max = kArchiveBytesMax);

using WriteBytes = std::function<Status(std::span<const std::byte>)>;
// ABORTED when a file has changed its size since it was listed.
[[nodiscard]] Status write_archive(const FolderListing& listing, const WriteBytes& write);
// Of what write_archive() writes (common/formats/digest.h).
[[nodiscard]] Result<Digest> archive_digest(const FolderListing& listing);

// Fills from the front; how much; 0 at the end.
using ReadBytes = std::function<Result<std::size_t>(std::span<std::byte>)>;
struct UnpackOptions {
  std::uint64_t bytes_max = kArchiveBytesMax;
  std::optional<uid_t> owner{};  // and group of the same number; nothing: the caller's
};
// Into `folder`, which is there and empty. Folders get 0700, files 0600 or 0700. INVALID_ARGUMENT
// for what breaks the format's rules; after an error the folder holds a part: remove it.
[[nodiscard]] Status unpack_archive(const ReadBytes& read, const std::filesystem::path& folder,
                                    const UnpackOptions& options = {});

// The rules for one path and for the link at it, as unpack_archive() has them.
[[nodiscard]] bool archive_path_ok(std::string_view path);
[[nodiscard]] bool archive_link_ok(std::string_view path, std::string_view target);

}  // namespace overwinter::formats
