// Backups: takes a backup while the coordinator runs, as the bytes of one file
// (common/formats/backup_file.h). README.md says what it holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/formats/backup_file.h"
#include "common/formats/digest.h"
#include "coordinator/artifacts/held_files.h"
#include "coordinator/backup/contents.h"

namespace overwinter::backup {

struct BackupsConfig {
  std::filesystem::path data_dir;
  std::string cluster;
  // A copy of the log is refused when it would leave less than this on the disk.
  std::uint64_t free_bytes_min = std::uint64_t{256} << 20;
};

// One that is under way. Its end, however it comes, gives back what it held. Used by one thread at
// a time.
class Backup {
 public:
  ~Backup();
  Backup(const Backup&) = delete;
  Backup& operator=(const Backup&) = delete;

  // The next bytes of the file: fills `out`, less only at its end. After an error it is spent.
  // FAILED_PRECONDITION names a blob that is damaged, and the job that needs it.
  [[nodiscard]] Result<std::size_t> next(std::span<std::byte> out);
  [[nodiscard]] bool done() const { return stage_ == Stage::kDone && pending_.empty(); }
  // About: without the manifest and its rounding.
  [[nodiscard]] std::uint64_t total_bytes() const { return total_bytes_; }

 private:
  friend class Backups;
  enum class Stage : std::uint8_t { kBetween, kContent, kDone };

  Backup(std::unique_ptr<artifacts::HeldFiles::Hold> hold, std::filesystem::path log_copy)
      : hold_(std::move(hold)), log_copy_(std::move(log_copy)) {}

  [[nodiscard]] Status advance();
  [[nodiscard]] Status begin_content();
  [[nodiscard]] Result<std::size_t> read_content(std::span<std::byte> out);
  [[nodiscard]] Status end_content();
  void end_file();

  const std::unique_ptr<artifacts::HeldFiles::Hold> hold_;
  const std::filesystem::path log_copy_;  // removed at the end
  std::vector<Content> contents_;
  std::size_t at_ = 0;  // of contents_
  formats::BackupManifest manifest_;
  std::uint64_t total_bytes_ = 0;

  Stage stage_ = Stage::kBetween;
  std::string pending_;  // heads and padding that wait to be handed out
  std::unique_ptr<artifacts::File> file_;
  std::uint64_t size_ = 0;  // of the content that is read, and how much was
  std::uint64_t read_ = 0;
  formats::RunningHash hash_;
  std::optional<formats::BlobDigester> digester_;
};

// Thread-safe. What it names outlives it.
class Backups {
 public:
  // Removes the copy that a killed process left.
  Backups(BackupsConfig config, artifacts::HeldFiles& files, std::function<Time()> now);

  // The whole as of the last commit; takes as long as the log takes to copy and to replay, and
  // blocks. `passphrase` empty: without keys. RESOURCE_EXHAUSTED: one is under way, or too little
  // disk. FAILED_PRECONDITION: a blob that a job needs is not there.
  [[nodiscard]] Result<std::unique_ptr<Backup>> begin(std::string_view passphrase);

 private:
  [[nodiscard]] Status fill(Backup& backup, std::string_view passphrase);

  const BackupsConfig config_;
  artifacts::HeldFiles& files_;
  const std::function<Time()> now_;
};

}  // namespace overwinter::backup
