#include "coordinator/backup/backups.h"

#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

#include "common/base/version.h"
#include "coordinator/backup/key_bundle.h"
#include "coordinator/backup/layout.h"
#include "coordinator/store/log_copy.h"

namespace overwinter::backup {
namespace {

constexpr const char* kLogCopyName = "backup.db";

std::filesystem::path log_copy_path(const std::filesystem::path& data_dir) {
  return data_dir / kStoreFolder / kLogCopyName;
}

// With what SQLite may have put beside it.
void remove_copy(const std::filesystem::path& file) {
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
    std::error_code ignored;  // the next start tries again
    std::filesystem::remove(file.string() + suffix, ignored);
  }
}

std::uint64_t bytes_in_file(std::uint64_t size) {
  return formats::kTarBlockBytes + size + formats::tar_padding(size);
}

Status damaged_blob(const Content& content) {
  return error(Code::kFailedPrecondition,
               "the file artifact://" + to_hex(*content.blob) + " that " + content.needed_by +
                   " needs is damaged: its content is not what its name says",
               {}, "cancel that job, and take the backup again");
}

}  // namespace

Backups::Backups(BackupsConfig config, artifacts::HeldFiles& files, std::function<Time()> now)
    : config_(std::move(config)), files_(files), now_(std::move(now)) {
  remove_copy(log_copy_path(config_.data_dir));
}

Result<std::unique_ptr<Backup>> Backups::begin(std::string_view passphrase) {
  // Before the log is copied: what the copy's jobs need is there from here to the end.
  auto hold = files_.hold();
  if (!hold && hold.error().code == Code::kResourceExhausted) {
    return fail(Code::kResourceExhausted, "a backup is being taken already", {},
                "one is taken at a time: try again when it has ended");
  }
  if (!hold) return fail(std::move(hold.error()));
  std::unique_ptr<Backup> backup(new Backup(std::move(*hold), log_copy_path(config_.data_dir)));
  if (Status status = fill(*backup, passphrase); !status.ok()) return fail(std::move(status));
  return backup;
}

Status Backups::fill(Backup& backup, std::string_view passphrase) {
  std::vector<Content>& contents = backup.contents_;
  if (!passphrase.empty()) {
    // First in the file, so that a restore asks for the passphrase before it writes anything.
    auto keys = seal_keys(config_.data_dir, passphrase);
    if (!keys) return keys.error();
    Content content;
    content.name = kKeysMember;
    content.kind = Content::Kind::kText;
    content.size_bytes = keys->size();
    content.text = std::move(*keys);
    contents.push_back(std::move(content));
  }
  auto log =
      store::copy_log(config_.data_dir / kStoreFolder, backup.log_copy_, config_.free_bytes_min);
  if (!log) return log.error();
  Content of_log;
  of_log.name = kLogMember;
  of_log.path = backup.log_copy_.string();
  of_log.size_bytes = log->bytes;
  contents.push_back(std::move(of_log));
  auto artifacts =
      list_artifacts(files_, *backup.hold_, config_.data_dir / kArtifactFolder, log->state);
  if (!artifacts) return artifacts.error();
  auto telemetry = list_telemetry(config_.data_dir / kTelemetryFolder);
  if (!telemetry) return telemetry.error();
  std::move(artifacts->begin(), artifacts->end(), std::back_inserter(contents));
  std::move(telemetry->begin(), telemetry->end(), std::back_inserter(contents));
  if (contents.size() > formats::kBackupMembersMax) {
    return error(Code::kResourceExhausted, "the cluster's data are " +
                                               std::to_string(contents.size()) +
                                               " files, and a backup holds at most " +
                                               std::to_string(formats::kBackupMembersMax));
  }
  for (const Content& content : contents) backup.total_bytes_ += bytes_in_file(content.size_bytes);
  formats::BackupManifest& manifest = backup.manifest_;
  manifest.cluster = config_.cluster;
  manifest.generation = log->state.generation.number;
  manifest.turn = log->head.sequence;
  manifest.turn_hash = log->head.hash;
  manifest.turn_time = log->head.time;
  manifest.taken = now_();
  manifest.program = kVersion;
  manifest.keys = !passphrase.empty();
  return Status::success();
}

Backup::~Backup() {
  file_.reset();
  remove_copy(log_copy_);
}

Result<std::size_t> Backup::next(std::span<std::byte> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    if (!pending_.empty()) {
      const std::size_t take = std::min(pending_.size(), out.size() - filled);
      std::memcpy(out.data() + filled, pending_.data(), take);
      pending_.erase(0, take);
      filled += take;
    } else if (stage_ == Stage::kContent && read_ < size_) {
      const auto got = read_content(out.subspan(filled));
      if (!got) return fail(got.error());
      filled += *got;
    } else if (stage_ == Stage::kDone) {
      break;
    } else if (Status status = advance(); !status.ok()) {
      return fail(std::move(status));
    }
  }
  return filled;
}

// A step between two contents; what it has to hand out waits in pending_.
Status Backup::advance() {
  if (stage_ == Stage::kContent) return end_content();
  if (at_ < contents_.size()) return begin_content();
  end_file();
  return Status::success();
}

Status Backup::begin_content() {
  const Content& content = contents_[at_];
  size_ = content.size_bytes;
  if (content.kind != Content::Kind::kText) {
    auto file = content.kind == Content::Kind::kHeld
                    ? hold_->read(content.path)
                    : artifacts::posix_files().open(content.path, artifacts::OpenMode::kRead);
    const bool loose = content.kind == Content::Kind::kLoose;
    if (!file && file.error().code == Code::kNotFound && loose) {
      ++at_;
      return Status::success();
    }
    if (!file) return file.error();
    const auto size = (*file)->size_bytes();
    if (!size) return size.error();
    size_ = *size;
    file_ = std::move(*file);
  }
  read_ = 0;
  hash_.restart();
  digester_.reset();
  if (content.blob) digester_.emplace();
  manifest_.members.push_back({content.name, size_, {}});
  pending_ = formats::tar_head({content.name, size_});
  stage_ = Stage::kContent;
  return Status::success();
}

Result<std::size_t> Backup::read_content(std::span<std::byte> out) {
  const Content& content = contents_[at_];
  const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(size_ - read_, out.size()));
  const std::span<std::byte> piece = out.first(take);
  if (content.kind == Content::Kind::kText) {
    std::memcpy(piece.data(), content.text.data() + read_, take);
  } else {
    Status status = file_->read_at(read_, piece);
    if (status.code == Code::kOutOfRange && content.kind == Content::Kind::kLoose) {
      // Cut off meanwhile: zeros, at which a reader of it stops.
      std::fill(piece.begin(), piece.end(), std::byte{0});
      status = Status::success();
    }
    if (!status.ok()) return fail(std::move(status));
  }
  hash_.update(piece);
  if (digester_) digester_->update(piece);
  read_ += take;
  return take;
}

Status Backup::end_content() {
  const Content& content = contents_[at_];
  if (digester_ && digester_->finish() != *content.blob) return damaged_blob(content);
  manifest_.members.back().sha256 = hash_.finish();
  pending_.assign(formats::tar_padding(size_), '\0');
  file_.reset();
  ++at_;
  stage_ = Stage::kBetween;
  return Status::success();
}

void Backup::end_file() {
  const std::string text = formats::write_backup_manifest(manifest_);
  pending_ = formats::tar_head({std::string(formats::kBackupManifestName), text.size()}) + text;
  pending_.append(formats::tar_padding(text.size()), '\0');
  pending_ += formats::tar_end();
  stage_ = Stage::kDone;
}

}  // namespace overwinter::backup
