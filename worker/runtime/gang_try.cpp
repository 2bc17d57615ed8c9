#include "worker/runtime/gang_try.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/base/log.h"

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRestored = "restored";

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

// What a fault of the gang says of this worker's seats.
GangOutcome outcome_of(const GangFault& fault) {
  switch (fault.kind) {
    case GangFaultKind::kHostLost:
    case GangFaultKind::kUnreachable:
      return GangOutcome::kPeerLost;
    case GangFaultKind::kRankLost:
      // How it ended is known to whoever started it.
      return fault.signal || fault.exit_code ? GangOutcome::kFailed : GangOutcome::kPeerLost;
    case GangFaultKind::kNone:
    case GangFaultKind::kTaskFailed:
    case GangFaultKind::kRankFrozen:
    case GangFaultKind::kStalled:
    case GangFaultKind::kNotReady:
    case GangFaultKind::kLauncherKilled:
    case GangFaultKind::kRankKilled:
    case GangFaultKind::kLauncherFailed:
    case GangFaultKind::kCannotStart:
      break;
  }
  return GangOutcome::kFailed;
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
    CheckpointFileKind kind = CheckpointFileKind::kWeights;
    if (file.name().starts_with("optimizer")) kind = CheckpointFileKind::kOptimizer;
    if (file.name().starts_with("trainer")) kind = CheckpointFileKind::kState;
    manifest.files.push_back({file.name(), file.size_bytes(), *digest, kind});
  }
  if (Status good = check_checkpoint(manifest); !good.ok()) return fail(good);
  return manifest;
}

}  // namespace

GangTry::GangTry(GangKey key, const GangTryParts& parts)
    : key_(key), parts_(parts), thread_([this](const std::stop_token& stop) { run(stop); }) {}

GangTry::~GangTry() {
  preparing_.request_stop();
  thread_.request_stop();
  arrived_.notify_all();
}

void GangTry::post(std::function<void()> what) {
  {
    const MutexLock lock(mutex_);
    queue_.push_back(std::move(what));
  }
  arrived_.notify_all();
}

void GangTry::run(const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] { arrived_.notify_all(); });
  while (!stop.stop_requested()) {
    std::function<void()> next;
    {
      const MutexLock lock(mutex_);
      while (queue_.empty() && !stop.stop_requested()) arrived_.wait_for(mutex_, Duration(1000));
      if (stop.stop_requested()) return;
      next = std::move(queue_.front());
      queue_.pop_front();
    }
    next();
  }
}

bool GangTry::finished() const {
  const MutexLock lock(mutex_);
  return any_ && seats_.empty();
}

CheckpointAccess GangTry::access() const {
  const MutexLock lock(mutex_);
  CheckpointAccess access;
  access.seat = seats_.empty() ? SeatKey{key_.job, key_.attempt, 0} : seats_.begin()->first;
  access.capability = [this] {
    const MutexLock inner(mutex_);
    return capability_;
  };
  return access;
}

GangTry::Seat* GangTry::seat_of(std::uint32_t rank) {
  for (auto& [key, seat] : seats_) {
    if (seat.rank == rank) return &seat;
  }
  return nullptr;
}

// ---- prepared

void GangTry::begin(const OfferSeat& offer) {
  {
    const MutexLock lock(mutex_);
    any_ = true;
    capability_ = offer.capability;
    Seat seat;
    seat.offer = offer;
    seats_[offer.seat] = std::move(seat);
  }
  post([this, key = offer.seat] { prepare(key); });
}

void GangTry::prepare(const SeatKey& key) {
  OfferSeat offer;
  {
    const MutexLock lock(mutex_);
    const auto at = seats_.find(key);
    if (at == seats_.end()) return;
    offer = at->second.offer;
  }
  Status status = Status::success();
  if (preparing_.stop_requested())
    status = error(Code::kCancelled, "given up while it was prepared");
  if (status.ok() && !fetched_) {
    status = fetch_inputs(offer);
    if (status.ok() && offer.from_step) status = fetch_checkpoint(offer);
    if (status.ok()) status = give_away(folder_->path(), gang_user(key_));
    fetched_ = status.ok();
  }
  std::optional<LimitingResource::Charge> memory;
  if (status.ok()) {
    auto charge = (*parts_.devices)[offer.device]->memory().charge(offer.memory_bytes, "a rank");
    if (charge) {
      memory = std::move(*charge);
    } else {
      status = charge.error();
    }
  }
  const MutexLock lock(mutex_);
  if (!status.ok()) {
    seats_.erase(key);
    parts_.post(SeatRefused{key, status.message});
    return;
  }
  Seat& seat = seats_[key];
  seat.memory = std::move(*memory);
  seat.ready = true;
  parts_.post(SeatReady{key, 1});
}

Status GangTry::fetch_inputs(const OfferSeat& offer) {
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
    const Status fetched = parts_.files->fetch(access().capability, *digest, folder_->path(), name,
                                               preparing_.get_token());
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

void GangTry::add_file(const std::string& name, v1::LocalFile& into) const {
  const fs::path path = folder_->path() / name;
  std::error_code failed;
  into.set_name(name);
  into.set_path(path.string());
  into.set_size_bytes(fs::file_size(path, failed));
}

Status GangTry::fetch_checkpoint(const OfferSeat& offer) {
  const fs::path into = folder_->path() / kRestored;
  auto restored = parts_.checkpoints->restore(access(), into, preparing_.get_token());
  if (!restored) return restored.error();
  for (const std::string& skipped : restored->skipped) log_warning("{}: {}", offer.job, skipped);
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

void GangTry::launch(const LaunchGang& order) {
  const auto ranks = ranks_of(order.members, parts_.worker);
  std::optional<GangSeatExited> past;
  bool first = false;
  {
    const MutexLock lock(mutex_);
    for (auto& [key, seat] : seats_) {
      if (const auto at = ranks.find(key); at != ranks.end()) seat.rank = at->second;
    }
    if (const auto at = seats_.find(order.seat); at != seats_.end()) at->second.launched = true;
    first = !std::exchange(started_, true);
    past = over_;
    if (past && seats_.contains(order.seat)) {
      seats_[order.seat].exited = true;
      past->seat = order.seat;
    }
  }
  if (past) return parts_.post(*past);
  if (!first) return;
  post([this, order] {
    if (const Status status = start(order); !status.ok()) {
      over({{}, GangOutcome::kFailed, {}, status.message});
    }
  });
}

Status GangTry::start(const LaunchGang& launch) {
  auto order = order_from_members(launch.members, parts_.worker, parts_.network, launch.token);
  if (!order) return order.error();
  order->key = key_;
  order->uid = gang_user(key_);
  order->gid = ::geteuid() == 0 ? order->uid : ::getegid();
  order->oob_port = kMpirunPortFirst;
  if (order->leads()) {
    auto port = free_mpirun_port(key_);
    if (!port) return port.error();
    order->oob_port = *port;
  }
  if (spec_.has_stall_timeout()) order->deadlines.progress = from_proto(spec_.stall_timeout());
  {
    const MutexLock lock(mutex_);
    hosts_ = order->hosts;
    for (const std::uint32_t rank : order->own_ranks()) {
      const Seat* seat = seat_of(rank);
      if (seat == nullptr) return error(Code::kFailedPrecondition, "a seat of the gang has ended");
      v1::RankTask task = task_;
      task.set_memory_bytes(seat->offer.memory_bytes);
      const std::uint32_t threads = (*parts_.devices)[seat->offer.device]->info().threads;
      task.set_threads(seat->offer.threads == 0 ? threads : seat->offer.threads);
      order->tasks.push_back(std::move(task));
    }
  }
  return parts_.launcher->start(std::move(*order));
}

void GangTry::wind_down() {
  {
    const MutexLock lock(mutex_);
    if (std::exchange(stop_asked_, true)) return;
  }
  parts_.launcher->ask_ranks(key_, v1::RankStop::AFTER_CHECKPOINT);
}

void GangTry::kill(const SeatKey& key) {
  bool launched = false;
  {
    const MutexLock lock(mutex_);
    const auto at = seats_.find(key);
    launched = at != seats_.end() && at->second.launched;
  }
  if (!launched) {
    preparing_.request_stop();
    return;
  }
  // Behind a start that is under way.
  post([this] { parts_.launcher->end(key_, Duration(0)); });
}

void GangTry::renew(const SeatKey&, const std::string& capability) {
  const MutexLock lock(mutex_);
  capability_ = capability;
}

void GangTry::end(const SeatKey& key) {
  post([this, key] {
    std::uint64_t peak = 0;
    bool last = false;
    {
      const MutexLock lock(mutex_);
      if (const auto at = seats_.find(key); at != seats_.end()) {
        peak = at->second.memory_peak_bytes;
        seats_.erase(at);
      }
      last = seats_.empty();
    }
    if (last) folder_.reset();
    parts_.post(SeatClosed{key, peak});
  });
}

// ---- what the launcher says

void GangTry::heard(const GangEvent& event) {
  if (const auto* ready = std::get_if<GangRankReady>(&event)) {
    const MutexLock lock(mutex_);
    for (auto& [key, seat] : seats_) {
      if (seat.rank == ready->rank) parts_.post(GangSeatUp{key});
    }
  } else if (const auto* moved = std::get_if<GangRankProgress>(&event)) {
    progressed(moved->rank, moved->progress);
  } else if (const auto* checkpoint = std::get_if<GangCheckpoint>(&event)) {
    post([this, rank = checkpoint->rank, what = checkpoint->checkpoint] { store(rank, what); });
  } else if (const auto* output = std::get_if<GangOutput>(&event)) {
    const CheckpointAccess of = access();
    parts_.log->line({of.seat, of.capability()}, output->rank.value_or(0), output->error,
                     output->text);
  } else if (const auto* end = std::get_if<GangEnded>(&event)) {
    ended(*end);
  }
}

void GangTry::tell_points(const v1::RankProgress& progress) {
  const CheckpointAccess of = access();
  const JobLog::Origin origin{of.seat, of.capability()};
  const auto tell = [&](const char* metric, double value) {
    parts_.log->point(origin, metric, progress.step(), value);
  };
  if (progress.has_loss()) {
    tell("loss", progress.loss());
    tell("learning_rate", progress.learning_rate());
    tell("gradient_norm", progress.gradient_norm());
    tell("samples_per_second", progress.samples_per_second());
    if (progress.tokens_per_second() > 0) tell("tokens_per_second", progress.tokens_per_second());
  }
  if (progress.has_validation_loss()) tell("validation_loss", progress.validation_loss());
}

void GangTry::progressed(std::uint32_t rank, const v1::RankProgress& progress) {
  if (rank == 0) tell_points(progress);
  const MutexLock lock(mutex_);
  for (auto& [key, seat] : seats_) {
    if (seat.rank != rank) continue;
    seat.step = std::max(seat.step, progress.step());
    seat.memory_peak_bytes = std::max(seat.memory_peak_bytes, progress.memory_peak_bytes());
    parts_.post(SeatProgressed{key, seat.step, ++seat.activity});
    parts_.post(SeatMeasured{key, seat.memory_peak_bytes});
  }
}

void GangTry::store(std::uint32_t rank, const v1::RankCheckpoint& checkpoint) {
  v1::CheckpointKept answer;
  answer.set_step(checkpoint.step());
  std::uint32_t world_size = 0;
  {
    const MutexLock lock(mutex_);
    for (const GangHost& host : hosts_) world_size += host.slots;
  }
  const auto manifest = manifest_of(key_, world_size, checkpoint);
  if (!manifest) {
    answer.set_error(manifest.error().message);
  } else {
    // All files of a checkpoint lie in one folder, which path checks of the gang's part cover.
    const fs::path folder = fs::path(checkpoint.files(0).path()).parent_path();
    const Status kept =
        parts_.checkpoints->store(access(), *manifest, folder, thread_.get_stop_token());
    if (!kept.ok()) answer.set_error(kept.message);
  }
  if (!answer.error().empty()) {
    log_warning("job {}: the checkpoint of step {} was not kept: {}", key_.job.value(),
                checkpoint.step(), answer.error());
  }
  parts_.launcher->checkpoint_kept(key_, rank, answer);
}

void GangTry::ended(const GangEnded& ended) {
  GangSeatExited how;
  how.message = ended.fault.message;
  how.exit.rank = ended.fault.rank;
  how.exit.step = ended.fault.step;
  how.exit.signal = ended.fault.signal.value_or(0);
  how.exit.exit_code = ended.fault.exit_code.value_or(0);
  if (ended.fault.kind != GangFaultKind::kNone) {
    how.outcome = outcome_of(ended.fault);
  } else {
    const MutexLock lock(mutex_);
    std::uint64_t step = 0;
    for (const auto& [key, seat] : seats_) step = std::max(step, seat.step);
    how.exit.step = step;
    const bool to_the_end = ended.clean && (!stop_asked_ || step >= task_.steps());
    how.outcome = to_the_end    ? GangOutcome::kCompleted
                  : stop_asked_ ? GangOutcome::kStopped
                                : GangOutcome::kPeerLost;
  }
  if (ended.fault.kind == GangFaultKind::kUnreachable) {
    const MutexLock lock(mutex_);
    WorkerId unreachable;
    if (ended.fault.host && *ended.fault.host < hosts_.size()) {
      unreachable = hosts_[*ended.fault.host].worker;
    }
    for (const auto& [key, seat] : seats_) {
      if (seat.launched) parts_.post(GangLaunchFailed{key, unreachable, ended.fault.message});
    }
  }
  over(how);
}

void GangTry::over(const GangSeatExited& how) {
  const MutexLock lock(mutex_);
  over_ = how;
  for (auto& [key, seat] : seats_) {
    if (!seat.launched || std::exchange(seat.exited, true)) continue;
    GangSeatExited exited = how;
    exited.seat = key;
    parts_.post(exited);
  }
}

}  // namespace overwinter::worker
