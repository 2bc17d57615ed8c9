#include "coordinator/runtime/result_keeper.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "coordinator/runtime/disk_failed.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::runtime {
namespace {

artifacts::ResultSpec result_spec(const plan::MatmulGeometry& geometry) {
  artifacts::ResultSpec spec;
  spec.dtype = geometry.precision == plan::Precision::kFp64   ? formats::Dtype::kFloat64
               : geometry.precision == plan::Precision::kInt8 ? formats::Dtype::kInt32
                                                              : formats::Dtype::kFloat32;
  spec.rows = geometry.m;
  spec.columns = geometry.n;
  spec.tile_rows = geometry.tile_rows;
  spec.tile_columns = geometry.tile_columns;
  spec.group_rows = geometry.group_rows;
  return spec;
}

Result<v1::MatmulPlan> matmul_plan(const std::string& bytes) {
  v1::Plan plan;
  if (!plan.ParseFromString(bytes) || !plan.has_matmul()) {
    return fail(Code::kFailedPrecondition, "the job has no matrix as its result");
  }
  return std::move(*plan.mutable_matmul());
}

}  // namespace

Status remove_orphans(artifacts::ResultStore& results, const core::ClusterState& state,
                      store::History& history) {
  const auto found = results.list();
  if (!found) return found.error();
  for (const JobId job : *found) {
    if (state.find_job(job) != nullptr) continue;  // the core says what becomes of it
    const auto past = history.state_of(job);
    if (!past) return past.error();
    if (*past == core::JobState::kSucceeded) continue;
    log_warning("the tiles of job {} are removed: {}", job.value(),
                past->has_value() ? "it did not succeed" : "there is no such job");
    if (Status status = results.remove(job); !status.ok()) return status;
  }
  return Status::success();
}

ResultKeeper::ResultKeeper(const Views& views, const artifacts::BlobStore& blobs,
                           artifacts::ResultStore& results, BlockingPool& pool, EventQueue& queue,
                           std::uint64_t sketches_bytes_max)
    : views_(views),
      blobs_(blobs),
      results_(results),
      pool_(pool),
      queue_(queue),
      sketches_bytes_max_(sketches_bytes_max) {}

void ResultKeeper::prepare(const core::PrepareResult& effect) {
  if (!effect.plan) return;
  if (!matmul_plan(*effect.plan)) return;  // a workload without a result
  start(effect.job, effect.project, effect.plan);
}

void ResultKeeper::start(JobId job, std::string project, core::SharedBytes plan) {
  {
    MutexLock lock(mutex_);
    Entry& entry = jobs_[job];
    if (entry.ready || entry.preparing) return;
    entry.preparing = true;
  }
  pool_.run_vital(Work::kCheck, [this, job, project = std::move(project), plan = std::move(plan)] {
    prepare_now(job, project, *plan);
  });
}

void ResultKeeper::prepare_now(JobId job, const std::string& project, const std::string& plan) {
  auto made = make_ready(job, project, plan);
  Status status;
  std::vector<std::function<void(Status)>> waiting;
  {
    MutexLock lock(mutex_);
    const auto it = jobs_.find(job);
    if (it == jobs_.end()) return;  // dropped meanwhile
    it->second.preparing = false;
    waiting.swap(it->second.waiting);
    if (made) {
      it->second.ready = std::move(*made);
    } else {
      status = made.error();
      release(it->second);
    }
  }
  if (!status.ok()) {
    end_if_disk_failed(status);
    log_warning("the result of job {} could not be prepared: {}", job.value(), status.message);
    status.code = Code::kUnavailable;
  }
  for (const auto& then : waiting) then(status);
}

Status ResultKeeper::prepare_store(JobId job, const plan::MatmulGeometry& geometry,
                                   const UnitRanges& done) {
  Status status = results_.prepare(job, result_spec(geometry), done);
  if (status.code == Code::kResourceExhausted) {
    queue_.post_vital(core::ResultRefused{job, status.message});
  }
  return status;
}

Result<std::shared_ptr<const ResultKeeper::Ready>> ResultKeeper::make_ready(
    JobId job, const std::string& project, const std::string& plan) {
  auto message = matmul_plan(plan);
  if (!message) return fail(message.error());
  auto geometry = plan::geometry_of(*message);
  if (!geometry) return fail(geometry.error());
  const auto view = views_.job(job);
  if (Status status = prepare_store(job, *geometry, view ? view->done : UnitRanges());
      !status.ok()) {
    return fail(std::move(status));
  }
  auto ready = std::make_shared<Ready>();
  ready->geometry = *geometry;
  // Nothing is left to be checked: it is only sealed.
  if (view && view->done.count() >= geometry->grid().units()) {
    return std::shared_ptr<const Ready>(std::move(ready));
  }
  const auto open = [&](const std::string& digest) -> Result<artifacts::MatrixBlob> {
    const auto parsed = parse_digest(digest);
    if (!parsed) return fail(parsed.error());
    return blobs_.open_matrix({project, *parsed});
  };
  auto a = open(message->a_digest());
  if (!a) return fail(a.error());
  auto b = open(message->b_digest());
  if (!b) return fail(b.error());
  ready->factors = {std::move(*a), std::move(*b)};
  if (Status status = reserve(job, verify::SketchBuilder::memory_bytes(*geometry)); !status.ok()) {
    return fail(std::move(status));
  }
  auto sketch = make_sketch(*geometry, ready->factors);
  if (!sketch) return fail(sketch.error());
  ready->sketch = std::move(*sketch);
  return std::shared_ptr<const Ready>(std::move(ready));
}

Status ResultKeeper::reserve(JobId job, std::uint64_t sketch_bytes) {
  MutexLock lock(mutex_);
  const auto fits = [&]() OW_REQUIRES(mutex_) {
    return sketch_bytes <= sketches_bytes_max_ - std::min(sketches_bytes_max_, sketches_bytes_);
  };
  for (auto& [id, entry] : jobs_) {
    if (fits()) break;
    const auto view = entry.ready ? views_.job(id) : nullptr;
    if (view &&
        (view->state == core::JobState::kPaused || view->state == core::JobState::kQueued)) {
      entry.ready.reset();
      release(entry);
    }
  }
  const auto it = jobs_.find(job);
  if (it == jobs_.end()) return error(Code::kNotFound, "the job has ended");
  if (!fits()) {
    return error(Code::kResourceExhausted,
                 "its sketch needs " + format_bytes(sketch_bytes) + " beside the " +
                     format_bytes(sketches_bytes_) + " of other jobs', and " +
                     format_bytes(sketches_bytes_max_) + " is the most: its tiles wait");
  }
  it->second.sketch_bytes = sketch_bytes;
  sketches_bytes_ += sketch_bytes;
  return Status::success();
}

void ResultKeeper::release(Entry& entry) {
  sketches_bytes_ -= std::exchange(entry.sketch_bytes, 0);
}

void ResultKeeper::finish(const core::FinishResult& effect) {
  pool_.run_vital(Work::kCheck, [this, job = effect.job] {
    const auto manifest = results_.seal(job);
    if (!manifest) {
      end_if_disk_failed(manifest.error());
      log_warning("the result of job {} was not sealed: {}; it is when it is downloaded",
                  job.value(), manifest.error().message);
    }
    forget(job);
  });
}

void ResultKeeper::forget(JobId job) {
  std::vector<std::function<void(Status)>> waiting;
  {
    MutexLock lock(mutex_);
    if (const auto it = jobs_.find(job); it != jobs_.end()) {
      waiting.swap(it->second.waiting);
      release(it->second);
      jobs_.erase(it);
    }
  }
  for (const auto& then : waiting) then(error(Code::kNotFound, "the job has ended"));
}

void ResultKeeper::drop(const core::DropResult& effect) {
  pool_.run_vital(Work::kCheck, [this, job = effect.job] {
    forget(job);
    if (const Status status = results_.remove(job); !status.ok()) {
      end_if_disk_failed(status);
      log_warning("the tiles of job {} could not be removed: {}", job.value(), status.message);
    }
  });
}

void ResultKeeper::when_ready(JobId job, const std::function<void(Status)>& then) {
  const auto view = views_.job(job);
  if (!view || core::is_terminal(view->state)) {
    then(error(Code::kNotFound, "the job has ended"));
    return;
  }
  bool ready = false;
  {
    MutexLock lock(mutex_);
    Entry& entry = jobs_[job];
    ready = entry.ready != nullptr;
    if (!ready) entry.waiting.push_back(then);
  }
  if (ready) {
    then(Status::success());
  } else {
    start(job, view->project, view->plan);  // does nothing while it is being prepared
  }
}

Result<artifacts::TileVerdict> ResultKeeper::verify(JobId job, UnitNumber, const plan::Tile& tile,
                                                    std::span<const std::byte> data) {
  std::shared_ptr<const Ready> ready;
  {
    MutexLock lock(mutex_);
    if (const auto it = jobs_.find(job); it != jobs_.end()) ready = it->second.ready;
  }
  if (!ready || !ready->sketch) return fail(Code::kNotFound, "the job has ended");
  return check_tile(*ready->sketch, ready->factors, tile, data);
}

Result<artifacts::ResultManifest> ResultKeeper::sealed(const JobView& job) {
  if (job.state != core::JobState::kSucceeded) {
    return fail(Code::kFailedPrecondition,
                "job " + job.name + " has no result: it has not succeeded", {},
                "overwinter jobs get " + job.name + " says how far it is");
  }
  auto manifest = results_.manifest(job.id);
  if (manifest || manifest.error().code != Code::kNotFound) return manifest;
  const auto message = matmul_plan(*job.plan);
  if (!message) return fail(message.error());
  const auto geometry = plan::geometry_of(*message);
  if (!geometry) return fail(geometry.error());
  UnitRanges all;
  if (geometry->grid().units() > 0) all.add({0, geometry->grid().units()});
  const Status prepared = prepare_store(job.id, *geometry, all);
  auto made =
      prepared.ok() ? results_.seal(job.id) : Result<artifacts::ResultManifest>(fail(prepared));
  if (made) return made;
  // The job's own sealing may have come to its end in between; then there is nothing left to seal.
  manifest = results_.manifest(job.id);
  return manifest ? manifest : made;
}

Result<artifacts::ResultReader> ResultKeeper::read(const JobView& job) {
  const auto manifest = sealed(job);
  if (!manifest) return fail(manifest.error());
  return results_.read(job.id, artifacts::Order::kC);
}

}  // namespace overwinter::runtime
