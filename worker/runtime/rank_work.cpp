#include "worker/runtime/rank_work.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/base/log.h"
#include "worker/runtime/gang_outcome.h"

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRestored = "restored";
// Of the lines that tell how a training goes: all steps are in its curves.
constexpr std::chrono::seconds kLineEvery{5};

Duration from_proto(const google::protobuf::Duration& d) {
  return Duration(d.seconds() * 1000 + d.nanos() / 1'000'000);
}

// Everything in the folder to the gang's user. Called before any process of that user runs.
Status give_away(const fs::path& folder, uid_t uid) {
  if (uid == ::geteuid()) return Status::success();
  std::error_code failed;
  for (const auto& entry : fs::recursive_directory_iterator(folder, failed)) {
    if (::lchown(entry.path().c_str(), uid, uid) != 0) {
      return error(Code::kInternal, "cannot give away " + entry.path().string());
    }
  }
  if (failed) return error(Code::kInternal, "cannot read " + folder.string());
  return Status::success();
}

Result<CheckpointManifest> manifest_of(const GangKey& key, std::uint32_t world_size,
                                       const v1::RankCheckpoint& checkpoint) {
  CheckpointManifest manifest;
  manifest.job = key.job;
  manifest.attempt = key.attempt;
  manifest.step = checkpoint.step();
  manifest.world_size = world_size;
  manifest.data_position = checkpoint.data_position();
  if (checkpoint.has_loss()) manifest.loss = checkpoint.loss();
  if (!checkpoint.parameters_digest().empty()) {
    auto digest = parse_digest(checkpoint.parameters_digest());
    if (!digest) return fail(digest.error());
    manifest.parameters = *digest;
  }
  for (const v1::LocalFile& file : checkpoint.files()) {
    auto digest = parse_digest(file.digest());
    if (!digest) return fail(digest.error());
    const auto kind = parse_checkpoint_file_kind(file.kind());
    if (!kind) return fail(kind.error());
    manifest.files.push_back({file.name(), file.size_bytes(), *digest, *kind});
  }
  if (Status good = check_checkpoint(manifest); !good.ok()) return fail(good);
  return manifest;
}

}  // namespace

RankWork::RankWork(GangKey key, RankWorkParts parts, GangWorkObserver& observer)
    : key_(key),
      parts_(std::move(parts)),
      observer_(observer),
      sending_(*parts_.checkpoints, [this] { return observer_.access(); }) {}

// ---- prepared

Status RankWork::prepare(const OfferSeat& offer, const std::stop_token& stop) {
  Status status = fetch_inputs(offer, stop);
  if (status.ok() && offer.from_step) status = fetch_checkpoint(offer, stop);
  return status.ok() ? give_away(folder_->path(), gang_user(key_)) : status;
}

Status RankWork::fetch_inputs(const OfferSeat& offer, const std::stop_token& stop) {
  v1::Plan plan;
  if (!offer.spec || !offer.plan || !spec_.ParseFromString(*offer.spec) ||
      !plan.ParseFromString(*offer.plan)) {
    return error(Code::kInvalidArgument, "the job's specification cannot be read", "spec");
  }
  if (!spec_.has_train() || !plan.has_train()) {
    return error(Code::kUnimplemented, "this worker runs no such gang", "workload");
  }
  auto folder = GangFolder::make(parts_.places, gang_name(key_, parts_.worker) + "-data",
                                 gang_user(key_), gang_user(key_));
  if (!folder) return folder.error();
  folder_.emplace(std::move(*folder));
  task_.set_spec(*offer.spec);
  task_.set_plan(*offer.plan);
  task_.set_products(parts_.products);
  task_.set_job_directory(folder_->path().string());
  task_.set_steps(spec_.train().steps());
  task_.set_checkpoint_every_steps(spec_.checkpoint().every_steps());
  if (spec_.checkpoint().has_every_time()) {
    task_.set_checkpoint_every_ms(
        static_cast<std::uint64_t>(from_proto(spec_.checkpoint().every_time()).count()));
  }
  const auto fetch = [&](const std::string& text, const std::string& name, v1::LocalFile& into) {
    auto digest = parse_digest(text);
    if (!digest) return digest.error();
    const Status fetched =
        parts_.files->fetch(observer_.access().capability, *digest, folder_->path(), name, stop);
    if (!fetched.ok()) return fetched;
    into.set_digest(text);
    add_file(name, into);
    return Status::success();
  };
  for (int i = 0; i < plan.train().data_digests_size(); ++i) {
    const Status fetched =
        fetch(plan.train().data_digests(i), fmt::format("data-{}", i), *task_.add_data());
    if (!fetched.ok()) return fetched;
  }
  if (plan.train().init_digest().empty()) return Status::success();
  v1::LocalFile initial;
  const Status fetched = fetch(plan.train().init_digest(), "initial.safetensors", initial);
  task_.set_initial_path(initial.path());
  return fetched;
}

void RankWork::add_file(const std::string& name, v1::LocalFile& into) const {
  const fs::path path = folder_->path() / name;
  std::error_code failed;
  into.set_name(name);
  into.set_path(path.string());
  into.set_size_bytes(fs::file_size(path, failed));
}

Status RankWork::fetch_checkpoint(const OfferSeat& offer, const std::stop_token& stop) {
  const fs::path into = folder_->path() / kRestored;
  auto restored = parts_.checkpoints->restore(observer_.access(), into, stop);
  if (!restored) return restored.error();
  for (const std::string& line : fallback_lines(*restored)) {
    log_warning("{}: {}", offer.job, line);
    log_line(true, line);
  }
  if (!restored->manifest) return Status::success();
  task_.set_first_step(restored->manifest->step);
  for (const CheckpointFile& file : restored->manifest->files) {
    v1::LocalFile& local = *task_.add_checkpoint();
    add_file(std::string(kRestored) + "/" + file.name, local);
    local.set_name(file.name);
    local.set_digest(to_hex(file.digest));
  }
  return Status::success();
}

// ---- launched

Status RankWork::start(const LaunchGang& launch, const std::vector<RankSeat>& seats) {
  auto order = order_of(key_, launch, parts_.worker, parts_.network);
  if (!order) return order.error();
  if (spec_.has_stall_timeout()) order->deadlines.progress = from_proto(spec_.stall_timeout());
  for (const RankSeat& seat : seats) {
    v1::RankTask task = task_;
    task.set_memory_bytes(seat.memory_bytes);
    task.set_threads(seat.threads);
    order->tasks.push_back(std::move(task));
  }
  {
    const MutexLock lock(mutex_);
    hosts_ = order->hosts;
  }
  return parts_.launcher->start(std::move(*order));
}

void RankWork::wind_down() {
  if (stop_asked_.exchange(true)) return;
  parts_.launcher->ask_ranks(key_, v1::RankStop::AFTER_CHECKPOINT);
}

void RankWork::kill() {
  sending_.give_up();
  parts_.launcher->end(key_, Duration(0));
}

// ---- what the launcher says

void RankWork::heard(const GangEvent& event) {
  if (const auto* ready = std::get_if<GangRankReady>(&event)) {
    observer_.up(ready->rank);
  } else if (const auto* moved = std::get_if<GangRankProgress>(&event)) {
    progressed(moved->rank, moved->progress);
  } else if (const auto* checkpoint = std::get_if<GangCheckpoint>(&event)) {
    store(checkpoint->rank, checkpoint->checkpoint);
  } else if (const auto* output = std::get_if<GangOutput>(&event)) {
    const CheckpointAccess of = observer_.access();
    parts_.log->line({of.seat, of.capability()}, output->rank.value_or(0), output->error,
                     output->text);
  } else if (const auto* end = std::get_if<GangEnded>(&event)) {
    ended(*end);
  }
}

void RankWork::progressed(std::uint32_t rank, const v1::RankProgress& progress) {
  if (rank == 0) {
    tell_points(progress);
    tell_line(progress);
  }
  {
    const MutexLock lock(mutex_);
    step_ = std::max(step_, progress.step());
  }
  observer_.moved(rank, progress.step());
  observer_.measured(rank, {progress.memory_used_bytes(), progress.memory_peak_bytes()});
}

void RankWork::tell_points(const v1::RankProgress& progress) {
  const CheckpointAccess of = observer_.access();
  const JobLog::Origin origin{of.seat, of.capability()};
  const auto tell = [&](const char* metric, double value) {
    parts_.log->point(origin, metric, progress.step(), value);
  };
  if (progress.has_loss()) {
    tell("loss", progress.loss());
    tell("learning_rate", progress.learning_rate());
    if (progress.gradient_norm() > 0) tell("gradient_norm", progress.gradient_norm());
    tell("samples_per_second", progress.samples_per_second());
    if (progress.tokens_per_second() > 0) tell("tokens_per_second", progress.tokens_per_second());
  }
  if (progress.has_validation_loss()) tell("validation_loss", progress.validation_loss());
}

void RankWork::tell_line(const v1::RankProgress& progress) {
  if (!progress.has_loss() && !progress.has_validation_loss()) return;
  const auto now = std::chrono::steady_clock::now();
  const bool last = progress.step() == task_.steps();
  if (now < next_line_ && !last && !progress.has_validation_loss()) return;
  next_line_ = now + kLineEvery;
  std::string text = fmt::format("step {} of {}", progress.step(), task_.steps());
  if (progress.has_loss())
    text += fmt::format(", loss {:.4f}, learning rate {:.3g}", progress.loss(),
                        progress.learning_rate());
  if (progress.has_validation_loss())
    text += fmt::format(", validation loss {:.4f}", progress.validation_loss());
  if (progress.tokens_per_second() > 0)
    text += fmt::format(", {:.0f} tokens a second", progress.tokens_per_second());
  log_line(false, std::move(text));
}

void RankWork::log_line(bool error, std::string text) const {
  const CheckpointAccess of = observer_.access();
  parts_.log->line({of.seat, of.capability()}, 0, error, std::move(text));
}

void RankWork::store(std::uint32_t rank, const v1::RankCheckpoint& checkpoint) {
  std::uint32_t world_size = 0;
  {
    const MutexLock lock(mutex_);
    for (const GangHost& host : hosts_) world_size += host.slots;
  }
  const auto answer = [this, rank, step = checkpoint.step()](const Status& kept) {
    v1::CheckpointKept message;
    message.set_step(step);
    log_line(!kept.ok(), kept.ok() ? fmt::format("checkpoint of step {} is stored", step)
                                   : fmt::format("checkpoint of step {} is not stored: {}", step,
                                                 kept.message));
    if (!kept.ok()) message.set_error(kept.message);
    parts_.launcher->checkpoint_kept(key_, rank, message);
  };
  auto manifest = manifest_of(key_, world_size, checkpoint);
  if (!manifest) return answer(manifest.error());
  // All files of a checkpoint lie in one folder, which path checks of the gang's part cover.
  sending_.send(std::move(*manifest), fs::path(checkpoint.files(0).path()).parent_path(), answer);
}

void RankWork::ended(const GangEnded& ended) {
  GangSeatExited how = seat_exit_of(ended);
  if (ended.fault.kind == GangFaultKind::kNone) {
    const MutexLock lock(mutex_);
    how.exit.step = step_;
    if (stop_asked_ && (!ended.clean || step_ < task_.steps())) how.outcome = GangOutcome::kStopped;
  }
  if (ended.fault.kind == GangFaultKind::kUnreachable)
    observer_.unreachable(ended.fault.worker, ended.fault.message);
  tell_over(how, *parts_.log, observer_);
}

}  // namespace overwinter::worker
