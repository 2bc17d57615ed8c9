#include "coordinator/artifacts/result_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "common/base/bytes.h"
#include "common/formats/digest.h"
#include "coordinator/artifacts/small_file.h"

namespace overwinter::artifacts {
namespace {

const std::string kTilesName = "tiles";
const std::string kSpecName = "spec";
const std::string kManifestName = "manifest";

Status unknown_job(JobId job) {
  return error(Code::kNotFound, fmt::format("Job {} has no result that takes tiles.", job.value()));
}

Status no_such_unit(JobId job, UnitNumber unit, std::uint64_t units) {
  return error(Code::kOutOfRange, fmt::format("Job {} has {} units; there is none with number {}.",
                                              job.value(), units, unit));
}

}  // namespace

// Fields below `file` are guarded by the store's mutex_.
struct ResultStore::JobResult {
  const ResultSpec spec;
  const plan::TileGrid grid;
  const std::shared_ptr<File> file;  // null for a sealed result: all units have landed

  using Tags = std::map<UnitNumber, std::vector<std::uint64_t>>;
  UnitRanges landed;
  std::set<UnitNumber> writing;  // a put() writes them right now
  Tags written;                  // and not yet synced
  Tags syncing;                  // the running sync covers them
  bool dropped = false;
};

ResultStore::ResultStore(FilePort& files, std::string root, const ResultStoreConfig& config)
    : files_(files), root_(std::move(root)), config_(config) {}

ResultStore::~ResultStore() = default;

Result<std::unique_ptr<ResultStore>> ResultStore::open(FilePort& files, std::string root,
                                                       const ResultStoreConfig& config) {
  std::unique_ptr<ResultStore> store(new ResultStore(files, std::move(root), config));
  if (Status status = files.make_folder(store->root_ + "/results"); !status.ok())
    return fail(std::move(status));
  for (const std::string& folder : {store->root_, store->root_ + "/results"}) {
    if (Status status = files.sync_folder(folder); !status.ok()) return fail(std::move(status));
  }
  return store;
}

std::string ResultStore::job_folder(JobId job) const {
  return fmt::format("{}/results/{}", root_, job.value());
}

ResultStore::JobResultPtr ResultStore::find(JobId job) const {
  MutexLock lock(mutex_);
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? nullptr : found->second;
}

Status ResultStore::prepare(JobId job, const ResultSpec& spec, const UnitRanges& landed) {
  if (Status status = check_result_spec(spec); !status.ok()) return status;
  if (landed.count() != landed.intersection(UnitRanges({0, spec.grid().units()})).count())
    return error(Code::kInvalidArgument, fmt::format("Job {} has landed units beyond its {} units.",
                                                     job.value(), spec.grid().units()));
  MutexLock folder_lock(folder_mutex_);
  if (const JobResultPtr open = find(job)) {
    if (open->spec != spec)
      return error(Code::kFailedPrecondition,
                   fmt::format("The result of job {} has another shape.", job.value()));
    MutexLock lock(mutex_);
    open->landed.add(landed);
    return Status::success();
  }
  Result<Taken> taken = take_up(job, spec, landed);
  if (!taken) return std::move(taken.error());
  JobResultPtr result(new JobResult{spec, spec.grid(), std::move(taken->file), landed, {}, {}, {}});
  if (taken->sealed) result->landed = UnitRanges({0, spec.grid().units()});
  MutexLock lock(mutex_);
  jobs_.emplace(job, std::move(result));
  return Status::success();
}

// Uses what is on disk, else creates it.
Result<ResultStore::Taken> ResultStore::take_up(JobId job, const ResultSpec& spec,
                                                const UnitRanges& landed) {
  const std::string folder = job_folder(job);
  const Result<std::string> text = read_small_file(files_, folder + "/" + kSpecName);
  if (!text && text.error().code == Code::kNotFound) {
    if (!landed.empty())
      return fail(Code::kNotFound,
                  fmt::format("{} tiles of job {} have landed, but its result is gone.",
                              landed.count(), job.value()));
    return create(job, spec);
  }
  if (!text) return fail(text.error());
  const Result<ResultSpec> stored = read_result_spec(*text);
  if (!stored) return fail(stored.error());
  if (*stored != spec)
    return fail(Code::kFailedPrecondition,
                fmt::format("The result of job {} has another shape.", job.value()));
  // Names that a killed process made may be seen and not be durable yet.
  for (const std::string& place : {folder, root_ + "/results"}) {
    if (Status status = files_.sync_folder(place); !status.ok()) return fail(std::move(status));
  }
  if (manifest(job)) return Taken{nullptr, true};
  Result<std::unique_ptr<File>> file = files_.open(folder + "/" + kTilesName, OpenMode::kReadWrite);
  if (!file) return fail(std::move(file.error()));
  const Result<std::uint64_t> size = (*file)->size_bytes();
  if (!size) return fail(size.error());
  if (*size < spec.data_bytes())
    return fail(Code::kInternal, fmt::format("The tiles of job {} are cut short: {} of {} bytes.",
                                             job.value(), *size, spec.data_bytes()));
  return Taken{std::move(*file), false};
}

Status ResultStore::room_for(std::uint64_t data_bytes) const {
  const Result<std::uint64_t> free = files_.free_bytes(root_);
  if (!free) return free.error();
  if (*free >= config_.free_bytes_min && *free - config_.free_bytes_min >= data_bytes) {
    return Status::success();
  }
  return error(Code::kResourceExhausted,
               fmt::format("the coordinator's disk has {} free; a result of {} would leave less "
                           "than {}",
                           format_bytes(*free), format_bytes(data_bytes),
                           format_bytes(config_.free_bytes_min)),
               {}, "free disk space on the coordinator, or remove results no longer needed");
}

Result<ResultStore::Taken> ResultStore::create(JobId job, const ResultSpec& spec) {
  // Whatever is there has no specification: a creation that was cut off.
  if (Status status = remove_files(job); !status.ok()) return fail(std::move(status));
  if (Status status = room_for(spec.data_bytes()); !status.ok()) return fail(std::move(status));
  Result<std::shared_ptr<File>> file = create_files(job, spec);
  if (!file) {
    (void)remove_files(job);
    return fail(std::move(file.error()));
  }
  return Taken{std::move(*file), false};
}

// The specification comes last: a folder that has one is whole.
Result<std::shared_ptr<File>> ResultStore::create_files(JobId job, const ResultSpec& spec) {
  const std::string folder = job_folder(job);
  if (Status status = files_.make_folder(folder); !status.ok()) return fail(std::move(status));
  if (Status status = files_.sync_folder(root_ + "/results"); !status.ok())
    return fail(std::move(status));
  Result<std::unique_ptr<File>> file = files_.open(folder + "/" + kTilesName, OpenMode::kCreate);
  if (!file) return fail(std::move(file.error()));
  if (Status status = (*file)->allocate(spec.data_bytes()); !status.ok())
    return fail(std::move(status));
  if (Status status = (*file)->sync(); !status.ok()) return fail(std::move(status));
  if (Status status = write_small_file(files_, folder, kSpecName, write_result_spec(spec));
      !status.ok())
    return fail(std::move(status));
  return std::shared_ptr<File>(std::move(*file));
}

Result<ResultSpec> ResultStore::spec(JobId job) const {
  const JobResultPtr result = find(job);
  if (!result) return fail(unknown_job(job));
  return result->spec;
}

Result<UnitRanges> ResultStore::landed(JobId job) const {
  const JobResultPtr result = find(job);
  if (!result) return fail(unknown_job(job));
  MutexLock lock(mutex_);
  return result->landed;
}

Result<bool> ResultStore::has_landed(JobId job, UnitNumber unit) const {
  const JobResultPtr result = find(job);
  if (!result) return fail(unknown_job(job));
  if (unit >= result->grid.units()) return fail(no_such_unit(job, unit, result->grid.units()));
  MutexLock lock(mutex_);
  return result->landed.contains(unit);
}

// Settles what a tile's unit is: landed or written by another (an answer), or now this caller's to
// write (none).
Result<std::optional<ResultStore::Put>> ResultStore::claim(JobId job, JobResult& result,
                                                           UnitNumber unit, std::uint64_t tag) {
  MutexLock lock(mutex_);
  while (true) {
    if (!broken_.ok()) return fail(broken_);
    if (result.dropped) return fail(unknown_job(job));
    if (result.landed.contains(unit)) return Put::kLanded;
    for (JobResult::Tags* tags : {&result.written, &result.syncing}) {
      const auto found = tags->find(unit);
      if (found == tags->end()) continue;
      found->second.push_back(tag);
      return Put::kWritten;
    }
    if (result.writing.insert(unit).second) return std::optional<Put>{};
    written_.wait(mutex_);
  }
}

Result<ResultStore::Put> ResultStore::put(JobId job, UnitNumber unit,
                                          std::span<const std::byte> tile, std::uint64_t tag) {
  const JobResultPtr result = find(job);
  if (!result) return fail(unknown_job(job));
  if (unit >= result->grid.units()) return fail(no_such_unit(job, unit, result->grid.units()));
  if (tile.size() != result->spec.tile_bytes(unit))
    return fail(Code::kInvalidArgument,
                fmt::format("Tile {} of job {} has {} bytes, and {} came.", unit, job.value(),
                            result->spec.tile_bytes(unit), tile.size()));
  const Result<std::optional<Put>> claimed = claim(job, *result, unit, tag);
  if (!claimed) return fail(claimed.error());
  if (*claimed) return **claimed;

  const std::uint64_t offset =
      result->grid.elements_before(unit) * formats::dtype_bytes(result->spec.dtype);
  Status status = result->file->write_at(offset, tile);
  MutexLock lock(mutex_);
  result->writing.erase(unit);
  written_.notify_all();
  if (is_fatal(status)) broken_ = status;
  if (!status.ok()) return fail(std::move(status));
  if (result->dropped) return fail(unknown_job(job));
  result->written[unit].push_back(tag);
  return Put::kWritten;
}

std::uint64_t ResultStore::waiting() const {
  MutexLock lock(mutex_);
  std::uint64_t tiles = dropped_.size();
  for (const auto& [job, result] : jobs_) tiles += result->written.size();
  return tiles;
}

Result<std::vector<Landing>> ResultStore::sync() {
  MutexLock sync_lock(sync_mutex_);
  std::vector<std::pair<JobId, JobResultPtr>> covered;
  std::vector<Landing> landings;
  {
    MutexLock lock(mutex_);
    if (!broken_.ok()) return fail(broken_);
    landings.swap(dropped_);
    for (const auto& [job, result] : jobs_) {
      if (result->written.empty()) continue;
      result->syncing.swap(result->written);
      covered.emplace_back(job, result);
    }
  }
  for (const auto& [job, result] : covered) {
    Status status = result->file->sync();
    if (status.ok()) continue;
    MutexLock lock(mutex_);
    broken_ = status;
    return fail(std::move(status));
  }
  MutexLock lock(mutex_);
  for (const auto& [job, result] : covered) {
    for (const auto& [unit, tags] : result->syncing) {
      if (!result->dropped) result->landed.add({unit, unit + 1});
      for (std::size_t i = 0; i < tags.size(); ++i) {
        const Landing::Outcome outcome = result->dropped ? Landing::Outcome::kDropped
                                         : i == 0        ? Landing::Outcome::kLanded
                                                         : Landing::Outcome::kRepeated;
        landings.push_back({job, unit, tags[i], outcome});
      }
    }
    result->syncing.clear();
  }
  return landings;
}

Result<ResultManifest> ResultStore::seal(JobId job) {
  const JobResultPtr result = find(job);
  if (!result || !result->file) {
    // Sealed before, or there is nothing. A killed process may have left the name not yet durable.
    Result<ResultManifest> sealed = manifest(job);
    if (!sealed) return sealed;
    MutexLock folder_lock(folder_mutex_);
    if (Status status = files_.sync_folder(job_folder(job)); !status.ok())
      return fail(std::move(status));
    return sealed;
  }
  {
    MutexLock lock(mutex_);
    const std::uint64_t missing = result->grid.units() - result->landed.count();
    if (missing != 0)
      return fail(Code::kFailedPrecondition,
                  fmt::format("The result of job {} lacks {} of {} tiles.", job.value(), missing,
                              result->grid.units()));
  }
  // Landed tiles never change: no lock is needed to read them.
  ResultReader reader(result->file, result->spec, Order::kC);
  formats::BlobDigester digester;
  std::vector<std::byte> piece(kMiB);
  while (reader.bytes_left() != 0) {
    const Result<std::size_t> got = reader.next(piece);
    if (!got) return fail(got.error());
    digester.update(std::span(piece).first(*got));
  }
  const ResultManifest sealed{result->spec, digester.finish(), digester.size_bytes()};
  MutexLock folder_lock(folder_mutex_);
  // Another call sealed it first, or it was removed.
  if (find(job) != result) return manifest(job);
  if (Status status =
          write_small_file(files_, job_folder(job), kManifestName, write_result_manifest(sealed));
      !status.ok())
    return fail(std::move(status));
  MutexLock lock(mutex_);
  jobs_.erase(job);
  return sealed;
}

Result<ResultManifest> ResultStore::manifest(JobId job) const {
  const Result<std::string> text = read_small_file(files_, job_folder(job) + "/" + kManifestName);
  if (!text && text.error().code == Code::kNotFound)
    return fail(Code::kNotFound, fmt::format("Job {} has no result.", job.value()));
  if (!text) return fail(text.error());
  return read_result_manifest(*text);
}

Result<ResultReader> ResultStore::read(JobId job, Order order) const {
  const Result<ResultManifest> sealed = manifest(job);
  if (!sealed) return fail(sealed.error());
  Result<std::unique_ptr<File>> tiles =
      files_.open(job_folder(job) + "/" + kTilesName, OpenMode::kRead);
  if (!tiles) return fail(std::move(tiles.error()));
  return ResultReader(std::move(*tiles), sealed->spec, order);
}

Status ResultStore::remove(JobId job) {
  MutexLock folder_lock(folder_mutex_);
  {
    MutexLock lock(mutex_);
    const auto found = jobs_.find(job);
    if (found != jobs_.end()) {
      JobResult& result = *found->second;
      result.dropped = true;
      for (const auto& [unit, tags] : result.written) {
        for (const std::uint64_t tag : tags)
          dropped_.push_back({job, unit, tag, Landing::Outcome::kDropped});
      }
      result.written.clear();
      jobs_.erase(found);
    }
  }
  return remove_files(job);
}

// The manifest goes first, the folder last: what a crash leaves is no result, and list() still
// shows it.
Status ResultStore::remove_files(JobId job) {
  const std::string folder = job_folder(job);
  Result<std::vector<std::string>> names = files_.list(folder);
  if (!names && names.error().code == Code::kNotFound) return Status::success();
  if (!names) return std::move(names.error());
  std::stable_partition(names->begin(), names->end(),
                        [](const std::string& name) { return name == kManifestName; });
  for (const std::string& name : *names) {
    if (Status status = files_.remove(fmt::format("{}/{}", folder, name)); !status.ok())
      return status;
    if (name != kManifestName) continue;
    if (Status status = files_.sync_folder(folder); !status.ok()) return status;
  }
  if (Status status = files_.remove_folder(folder); !status.ok()) return status;
  return files_.sync_folder(root_ + "/results");
}

Result<std::vector<JobId>> ResultStore::list() const {
  const Result<std::vector<std::string>> names = files_.list(root_ + "/results");
  if (!names) return fail(names.error());
  std::vector<JobId> jobs;
  for (const std::string& name : *names) {
    std::uint64_t number = 0;
    const auto [stop, problem] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (problem == std::errc{} && stop == name.data() + name.size()) jobs.emplace_back(number);
  }
  std::sort(jobs.begin(), jobs.end());
  return jobs;
}

}  // namespace overwinter::artifacts
