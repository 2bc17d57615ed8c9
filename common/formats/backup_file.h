// The file of a backup. A POSIX tar (tar.h) that any tar reads; its last member, MANIFEST.json,
// names every other with its size and plain SHA-256 and says what it was taken of. One member to a
// line, so that people can read it too:
//
//   {"format": "overwinter-backup", "version": 1, "cluster": …, "generation": 1, "turn": 1234,
//    "turnHash": …, "turnTime": RFC 3339, "taken": RFC 3339, "program": "0.1.0", "keys": false,
//    "members": [
//   {"name": "store/log.db", "sizeBytes": 12288, "sha256": …},
//   …]}
//
// What the members are: coordinator/backup/README.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/formats/running_hash.h"
#include "common/formats/tar.h"

namespace overwinter::formats {

inline constexpr std::uint64_t kBackupVersion = 1;
inline constexpr std::size_t kBackupMembersMax = 500'000;
inline constexpr std::string_view kBackupManifestName = "MANIFEST.json";

struct BackupMember {
  std::string name;
  std::uint64_t size_bytes = 0;
  Digest sha256;
  friend bool operator==(const BackupMember&, const BackupMember&) = default;
};

struct BackupManifest {
  std::string cluster;
  std::uint64_t generation = 1;
  std::uint64_t turn = 0;  // the last of its log, its hash and time
  Digest turn_hash;
  Time turn_time{};
  Time taken{};
  std::string program;  // version of the coordinator that wrote it
  bool keys = false;    // a member holds keys, sealed
  std::vector<BackupMember> members;
  friend bool operator==(const BackupManifest&, const BackupManifest&) = default;
};

[[nodiscard]] std::string write_backup_manifest(const BackupManifest& manifest);
// INVALID_ARGUMENT: damaged; FAILED_PRECONDITION: of a newer version.
[[nodiscard]] Result<BackupManifest> read_backup_manifest(std::string_view text);

// Reads a backup from front to end and proves it. Members reach the sink before they are proven:
// trust nothing of them until finish() is OK. Not thread-safe.
class BackupReader final : private TarSink {
 public:
  // `members`: where they go, the manifest apart; null: nowhere. It outlives this.
  explicit BackupReader(TarSink* members);
  ~BackupReader() override;

  // INVALID_ARGUMENT, or what the sink said.
  Status feed(std::span<const std::byte> piece) { return tar_.feed(piece); }
  // Once, after the last piece. DATA_LOSS names the member whose content is another one, is missing
  // or is too many; or it was cut short.
  [[nodiscard]] Result<BackupManifest> finish();

 private:
  Status begin(const TarMember& member) override;
  Status data(std::span<const std::byte> piece) override;
  Status end() override;

  TarSink* const members_;
  TarReader tar_;
  RunningHash hash_;
  std::vector<BackupMember> seen_;
  std::string manifest_;
  bool in_manifest_ = false;
};

}  // namespace overwinter::formats
