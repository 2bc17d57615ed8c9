#include "coordinator/artifacts/job_archives.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <tuple>
#include <utility>

#include "coordinator/artifacts/live_upload.h"

namespace overwinter::artifacts {
namespace {

constexpr std::string_view kPart = ".part";

std::string_view kind_name(JobArchiveKind kind) {
  return kind == JobArchiveKind::kOutputs ? "outputs" : "workdir";
}

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
  return problem == std::errc{} && stop == text.data() + text.size();
}

struct FileName {
  JobArchiveKind kind = JobArchiveKind::kOutputs;
  AttemptNumber attempt = 0;
  Time stored{};
  Digest digest;
};

// KIND-ATTEMPT-MILLISECONDS-DIGEST
std::string write_name(const FileName& name) {
  return fmt::format("{}-{}-{}-{}", kind_name(name.kind), name.attempt, unix_ms(name.stored),
                     to_hex(name.digest));
}

std::optional<FileName> read_name(std::string_view text) {
  std::array<std::string_view, 4> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t end = i + 1 < parts.size() ? text.find('-') : text.size();
    if (end == std::string_view::npos) return std::nullopt;
    parts[i] = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  FileName name;
  if (parts[0] == kind_name(JobArchiveKind::kWorkdir))
    name.kind = JobArchiveKind::kWorkdir;
  else if (parts[0] != kind_name(JobArchiveKind::kOutputs))
    return std::nullopt;
  std::int64_t ms = 0;
  const auto digest = parse_digest(parts[3]);
  if (!read_number(parts[1], name.attempt) || !read_number(parts[2], ms) || !digest)
    return std::nullopt;
  name.stored = time_from_unix_ms(ms);
  name.digest = *digest;
  return name;
}

}  // namespace

struct JobArchiveUpload::Session : LiveUpload {
  JobArchiveName name;
  std::uint64_t size_bytes = 0;
};

JobArchiveUpload::~JobArchiveUpload() {
  session_->give_up();
  store_.forget(session_);
}

Status JobArchiveUpload::write(std::span<const std::byte> data, Time now) {
  return session_->write(data, now);
}

Status JobArchiveUpload::finish() {
  Status status = store_.publish(*session_);
  store_.forget(session_);
  return status;
}

JobArchives::JobArchives(FilePort& files, std::string root, const JobArchivesConfig& config)
    : files_(files), root_(std::move(root) + "/archives"), config_(config) {}

JobArchives::~JobArchives() = default;

std::string JobArchives::folder_of(JobId job) const {
  return fmt::format("{}/{}", root_, job.value());
}

std::string JobArchives::path_of(const Place& place, const Stored& stored) const {
  return folder_of(place.first) + "/" +
         write_name({place.second, stored.attempt, stored.stored, stored.digest});
}

Result<std::unique_ptr<JobArchives>> JobArchives::open(FilePort& files, std::string root,
                                                       const JobArchivesConfig& config) {
  const std::string parent = root;
  std::unique_ptr<JobArchives> store(new JobArchives(files, std::move(root), config));
  Status status = files.make_folder(store->root_);
  if (status.ok()) status = files.sync_folder(parent);
  if (status.ok()) status = store->load();
  if (!status.ok()) return fail(std::move(status));
  return store;
}

Status JobArchives::load() {
  const auto names = files_.list(root_);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    std::uint64_t job = 0;
    Status status;
    if (name.ends_with(kPart))
      status = files_.remove(root_ + "/" + name);
    else if (read_number(std::string_view(name), job))
      status = load_job(JobId(job));
    if (!status.ok()) return status;
  }
  return files_.sync_folder(root_);
}

Status JobArchives::load_job(JobId job) {
  const std::string folder = folder_of(job);
  const auto names = files_.list(folder);
  if (!names) return names.error();
  // A killed process may have renamed one into place and not synced the folder.
  if (Status status = files_.sync_folder(folder); !status.ok()) return status;
  for (const std::string& text : *names) {
    const auto name = read_name(text);
    if (!name) continue;
    const auto size = files_.file_size(folder + "/" + text);
    if (!size) return size.error();
    const Place place{job, name->kind};
    const Stored found{name->attempt, name->stored, name->digest, *size};
    std::optional<Stored> replaced = find(place);
    const auto order = [](const Stored& one) { return std::tie(one.attempt, one.stored); };
    if (!replaced || order(*replaced) < order(found)) {
      MutexLock lock(mutex_);
      stored_[place] = found;
    } else {
      replaced = found;
    }
    if (!replaced) continue;
    if (Status status = files_.remove(path_of(place, *replaced)); !status.ok()) return status;
  }
  return Status::success();
}

std::optional<JobArchives::Stored> JobArchives::find(const Place& place) const {
  MutexLock lock(mutex_);
  const auto found = stored_.find(place);
  return found == stored_.end() ? std::nullopt : std::optional(found->second);
}

Status JobArchives::admit(const JobArchiveName& name, std::uint64_t size_bytes) const {
  if (size_bytes > config_.archive_bytes_max)
    return error(
        Code::kInvalidArgument,
        fmt::format("The {} of the job have {} as an archive; the most that is stored is {}.",
                    name.kind == JobArchiveKind::kOutputs ? "outputs" : "files in the folder",
                    format_bytes(size_bytes), format_bytes(config_.archive_bytes_max)));
  const Result<std::uint64_t> free = files_.free_bytes(root_);
  if (!free) return free.error();
  if (*free >= config_.free_bytes_min && *free - config_.free_bytes_min >= size_bytes)
    return Status::success();
  return error(Code::kResourceExhausted,
               fmt::format("The coordinator's disk has {} free; an archive of {} would leave less "
                           "than {}.",
                           format_bytes(*free), format_bytes(size_bytes),
                           format_bytes(config_.free_bytes_min)),
               {}, "Free disk space on the coordinator, or remove results no longer needed.");
}

Result<std::unique_ptr<JobArchiveUpload>> JobArchives::begin(const JobArchiveName& name,
                                                             std::uint64_t size_bytes, Time now) {
  if (const auto there = find({name.job, name.kind})) {
    if (there->attempt > name.attempt)
      return fail(Code::kAborted, "A later attempt of the job has stored its own.");
    if (there->attempt == name.attempt && there->digest == name.digest &&
        there->size_bytes == size_bytes)
      return fail(Code::kAlreadyExists, "It is stored already.");
  }
  if (Status status = admit(name, size_bytes); !status.ok()) return fail(std::move(status));
  auto session = std::make_shared<Session>();
  session->name = name;
  session->size_bytes = size_bytes;
  session->begin(now);
  std::string path;
  {
    MutexLock lock(mutex_);
    if (uploads_.size() >= config_.uploads_max)
      return fail(Code::kResourceExhausted,
                  fmt::format("{} archives are on their way, which is the most at one time.",
                              config_.uploads_max),
                  {}, "Try again when one has ended.");
    path = fmt::format("{}/{}{}", root_, next_upload_++, kPart);
    uploads_.insert(session);
  }
  // From here on the destructor of `upload` undoes everything.
  std::unique_ptr<JobArchiveUpload> upload(new JobArchiveUpload(*this, session));
  auto file = IncomingFile::create(files_, std::move(path), size_bytes, name.digest);
  if (!file) return fail(std::move(file.error()));
  MutexLock lock(session->mutex);
  session->file = std::move(*file);
  return upload;
}

Status JobArchives::publish(Session& session) {
  MutexLock lock(session.mutex);
  if (!session.file) return session.ended;
  const Place place{session.name.job, session.name.kind};
  Status status = session.file->finish();
  if (!status.ok()) {
    session.end(status);
    return status;
  }
  MutexLock folder_lock(folder_mutex_);
  const auto replaced = find(place);
  if (replaced && replaced->attempt > session.name.attempt)
    status = error(Code::kAborted, "A later attempt of the job has stored its own.");
  // Later than what it replaces, whatever the clock says: after a crash the later one counts.
  Stored stored{session.name.attempt, session.last_sign, session.name.digest, session.size_bytes};
  if (replaced) stored.stored = std::max(stored.stored, replaced->stored + Duration(1));
  if (status.ok()) status = files_.make_folder(folder_of(place.first));
  if (status.ok()) status = files_.sync_folder(root_);
  if (status.ok()) status = session.file->publish(path_of(place, stored));
  if (!status.ok()) {
    session.end(status);
    return status;
  }
  session.file.reset();
  session.ended = error(Code::kFailedPrecondition, "The upload has ended.");
  if (status = files_.sync_folder(folder_of(place.first)); !status.ok()) return status;
  {
    MutexLock names_lock(mutex_);
    stored_[place] = stored;
  }
  if (!replaced) return status;
  // Should its name come back after a power cut, the next start removes it.
  status = files_.remove(path_of(place, *replaced));
  return is_fatal(status) ? status : Status::success();
}

Result<JobArchive> JobArchives::get(JobId job, JobArchiveKind kind, Time now) const {
  const Place place{job, kind};
  const auto stored = find(place);
  const bool over =
      stored && kind == JobArchiveKind::kWorkdir && now - stored->stored >= config_.workdir_kept;
  const auto missing = [&] {
    return fail(Code::kNotFound,
                fmt::format("Job {} has no {} stored.", job.value(), kind_name(kind)));
  };
  if (!stored || over) return missing();
  auto file = files_.open(path_of(place, *stored), OpenMode::kRead);
  // Replaced in between: what came instead is asked for anew.
  if (!file && file.error().code == Code::kNotFound) {
    const auto now_stored = find(place);
    if (!now_stored) return missing();
    if (now_stored->digest != stored->digest || now_stored->stored != stored->stored)
      return get(job, kind, now);
  }
  if (!file) return fail(std::move(file.error()));
  const auto size = (*file)->size_bytes();
  if (!size) return fail(size.error());
  if (*size != stored->size_bytes)
    return fail(Code::kInternal,
                fmt::format("The {} of job {} are damaged: {} of {} bytes.", kind_name(kind),
                            job.value(), *size, stored->size_bytes));
  return JobArchive{Blob{std::move(*file), *size}, stored->digest, stored->attempt, stored->stored};
}

Status JobArchives::sweep(Time now) {
  std::vector<SessionPtr> uploads;
  {
    MutexLock lock(mutex_);
    uploads.assign(uploads_.begin(), uploads_.end());
  }
  for (const SessionPtr& session : uploads) {
    if (session->end_if_idle(now, config_.upload_idle_max)) forget(session);
  }
  return remove_expired(now);
}

Status JobArchives::remove_expired(Time now) {
  MutexLock folder_lock(folder_mutex_);
  std::vector<std::pair<Place, Stored>> over;
  {
    MutexLock lock(mutex_);
    for (const auto& [place, stored] : stored_) {
      if (place.second == JobArchiveKind::kWorkdir && now - stored.stored >= config_.workdir_kept)
        over.emplace_back(place, stored);
    }
    for (const auto& [place, stored] : over) stored_.erase(place);
  }
  Status first;
  for (const auto& [place, stored] : over) {
    Status status = files_.remove(path_of(place, stored));
    if (status.ok()) status = files_.sync_folder(folder_of(place.first));
    if (first.ok()) first = std::move(status);
  }
  return first;
}

Status JobArchives::drop(JobId job) {
  MutexLock folder_lock(folder_mutex_);
  {
    MutexLock lock(mutex_);
    std::erase_if(stored_, [&](const auto& entry) { return entry.first.first == job; });
  }
  const std::string folder = folder_of(job);
  const auto names = files_.list(folder);
  if (!names) {
    return names.error().code == Code::kNotFound ? Status::success() : names.error();
  }
  for (const std::string& name : *names) {
    if (Status status = files_.remove(folder + "/" + name); !status.ok()) return status;
  }
  if (Status status = files_.remove_folder(folder); !status.ok()) return status;
  return files_.sync_folder(root_);
}

std::vector<JobId> JobArchives::jobs() const {
  std::set<JobId> out;
  MutexLock lock(mutex_);
  for (const auto& [place, stored] : stored_) out.insert(place.first);
  return {out.begin(), out.end()};
}

void JobArchives::forget(const SessionPtr& session) {
  MutexLock lock(mutex_);
  uploads_.erase(session);
}

}  // namespace overwinter::artifacts
