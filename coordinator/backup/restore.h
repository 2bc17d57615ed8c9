// Restore: a backup's file into an empty data folder, as a new generation (TRUST §4).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/formats/backup_file.h"
#include "coordinator/core/fact.h"

namespace overwinter::backup {

struct RestoreOptions {
  std::filesystem::path file;
  std::filesystem::path data_dir;  // missing, or empty but for what a cut-off restore left
  // Asked once, and only when the backup has keys.
  std::function<Result<std::string>()> passphrase;
  Time now{};
};

struct Restored {
  formats::BackupManifest manifest;
  core::StoreGeneration generation;  // that begins
  std::uint64_t jobs_unfinished = 0;
  std::uint64_t jobs_requeued = 0;  // of them: they had seats when the backup was taken
  std::uint64_t workers = 0;        // that were not removed
  std::uint64_t tokens = 0;         // that were good
};

// Everything is unpacked and proven in data_dir/restore.part: the tar, every member's digest, the
// log's chain up to the manifest's turn, the blobs that its jobs read. Then the turn is added with
// which its seats are lost and its workers away, all is synced and moved up. While restore.part is
// there nothing serves from the folder (not_being_restored); its removal is the last step, so that
// a restore that is killed anywhere leaves nothing that serves, and can be made again. After an
// error the folder is as empty as it was.
//
// FAILED_PRECONDITION: the folder is not empty, is in use, has no room, or a blob is missing
// (named). PERMISSION_DENIED: another passphrase. INVALID_ARGUMENT, DATA_LOSS: the file is none, is
// damaged or cut short; names the member.
[[nodiscard]] Result<Restored> restore_backup(const RestoreOptions& options);

// FAILED_PRECONDITION: a restore of this folder is under way or was cut off, and nothing may serve
// from it.
[[nodiscard]] Status not_being_restored(const std::filesystem::path& data_dir);

}  // namespace overwinter::backup
