#include "worker/programs/program_work.h"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <utility>

#include "common/base/log.h"
#include "common/formats/archive.h"
#include "worker/exec/steady_time.h"
#include "worker/programs/output_archive.h"
#include "worker/runtime/gang_outcome.h"

namespace overwinter::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLookEvery{500};
constexpr milliseconds kDefaultGrace{90'000};

// "projects/P/jobs/J" to P.
std::string project_of(const std::string& job) {
  const std::size_t begin = job.find('/') + 1;
  return job.substr(begin, job.find('/', begin) - begin);
}

}  // namespace

milliseconds stop_grace(const v1::StopSpec& stop) {
  if (!stop.has_grace()) return kDefaultGrace;
  return milliseconds(stop.grace().seconds() * 1000 + stop.grace().nanos() / 1'000'000);
}

// The specification was validated: names of signals are these.
int stop_signal(const v1::StopSpec& stop) {
  static const std::map<std::string_view, int> kSignals = {
      {"", SIGTERM},        {"SIGTERM", SIGTERM}, {"SIGINT", SIGINT},   {"SIGHUP", SIGHUP},
      {"SIGQUIT", SIGQUIT}, {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2}, {"SIGKILL", SIGKILL}};
  const auto at = kSignals.find(stop.signal());
  return at == kSignals.end() ? SIGTERM : at->second;
}

ProgramWork::ProgramWork(GangKey key, ProgramWorkParts parts, GangWorkObserver& observer)
    : key_(key),
      parts_(std::move(parts)),
      observer_(observer),
      sending_(*parts_.checkpoints, [this] { return observer_.access(); }) {}

// ---- prepared

Status ProgramWork::prepare(const OfferSeat& offer, const std::stop_token& stop) {
  if (!offer.spec || !spec_.ParseFromString(*offer.spec) || !spec_.has_exec())
    return error(Code::kInvalidArgument, "the job's specification cannot be read", "spec");
  job_ = offer.job;
  const auto launcher = exec::parse_launcher(spec_.exec().launcher());
  if (!launcher) return launcher.error();
  launcher_ = *launcher;
  if (Status good = note_metrics(); !good.ok()) return good;
  const CheckpointAccess access = observer_.access();
  if (spec_.exec().secrets_size() > 0) {
    auto secrets = parts_.secrets->read(access.seat, access.capability, stop);
    if (!secrets) return secrets.error();
    secrets_ = std::move(*secrets);
  }
  ProgramPlace::Wish wish;
  wish.key = key_;
  wish.worker = parts_.worker;
  wish.project = project_of(job_);
  wish.exec = spec_.exec();
  wish.restore = offer.from_step.has_value();
  wish.owner = owner();
  auto place = ProgramPlace::make(
      *parts_.site, wish, *parts_.files, *parts_.checkpoints, access,
      [this](bool error, std::string_view text) {
        log_line(0, error, text);
        observer_.preparing();
      },
      stop);
  if (!place) {
    parts_.log->flush(access.seat, kLastWordsWithin);  // what setup printed
    return place.error();
  }
  place_ = std::move(*place);
  return Status::success();
}

Status ProgramWork::note_metrics() {
  for (const v1::MetricPattern& metric : spec_.exec().metrics()) {
    auto pattern = exec::MetricPattern::parse(metric.regex());
    if (!pattern) return pattern.error();
    if (patterns_.size() < exec::kMetricsMax)
      patterns_.push_back({metric.name(), std::move(*pattern)});
  }
  return Status::success();
}

// ---- launched

Result<ProgramWork::Told> ProgramWork::told() const {
  const exec::JobFolder& folder = place_->folder();
  const std::vector<std::string> list(spec_.exec().argv().begin(), spec_.exec().argv().end());
  auto command = exec::command_line(spec_.exec().shell(), list);
  if (!command) return fail(command.error());
  Told out;
  out.command = std::move(*command);
  out.names.job = job_;
  out.names.attempt = key_.attempt;
  out.names.retries = spec_.retries();
  if (!spec_.exec().checkpoint_dir().empty())
    out.names.checkpoint_dir = (folder.work() / spec_.exec().checkpoint_dir()).string();
  out.names.stop_file = folder.stop_file();
  out.names.home = folder.home();
  out.names.temporary = folder.temporary();
  out.names.module_folder = folder.module();
  out.user = place_->setup_environment();
  for (const auto& [name, value] : spec_.exec().env()) out.user[name] = value;
  for (const auto& [name, value] : secrets_) out.user[name] = value;
  return out;
}

void ProgramWork::set_seats(const std::vector<RankSeat>& seats, std::uint32_t world_size,
                            bool first) {
  ranks_.clear();
  for (const RankSeat& seat : seats) ranks_.push_back(seat.rank);
  gpus_ = std::make_unique<ProgramGpus>(*parts_.site, seats);
  first_ = first;
  if (first && !spec_.exec().checkpoint_dir().empty()) {
    CheckpointCollector::Setting setting;
    setting.key = key_;
    setting.world_size = world_size;
    setting.work = place_->folder().work();
    setting.checkpoint_dir = spec_.exec().checkpoint_dir();
    setting.copies = place_->own_folder() / "checkpoints";
    setting.restored = place_->restored_step();
    collector_ = std::make_unique<CheckpointCollector>(std::move(setting), sending_);
  }
}

exec::TreeOrder ProgramWork::tree_order(std::span<const RankSeat> seats) const {
  std::uint64_t memory = 0;
  for (const RankSeat& seat : seats) memory += host_memory_of(*parts_.site, seat);
  exec::TreeOrder order = place_->order(memory);
  gpus_->admit(order);
  return order;
}

void ProgramWork::watch_program() {
  gpus_->watch([this] { return processes(); },
               [this](const ProgramGpus::Over& over) { over_on_gpu(over); });
  watch_ = std::jthread([this] { watch(); });  // which ends the other
}

void ProgramWork::over_on_gpu(const ProgramGpus::Over& over) {
  {
    const MutexLock lock(mutex_);
    gpu_over_ = over;
  }
  kill_program();
}

void ProgramWork::forget_program() {
  {
    const MutexLock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (watch_.joinable()) watch_.join();
  if (gpus_) gpus_->end();
}

void ProgramWork::wind_down() {
  if (!watch_.joinable()) return;
  if (Status told = exec::tell_to_stop(place_->folder()); !told.ok())
    log_warning("job {}: {}", key_.job.value(), told.message);
  {
    const MutexLock lock(mutex_);
    if (stop_asked_) return;
    stop_asked_ = steady_clock::now();
    taken_when_asked_ = collector_ ? collector_->taken() : 0;
  }
  changed_.notify_all();
}

void ProgramWork::kill() {
  killed_ = true;
  sending_.give_up();
  given_up_.request_stop();
  kill_program();
}

// ---- what the program says

std::optional<std::uint64_t> ProgramWork::step() const {
  const MutexLock lock(mutex_);
  return step_;
}

MemoryUse ProgramWork::use_of(std::uint32_t rank) const {
  if (const auto on_gpu = gpus_->use(rank)) return *on_gpu;
  const MutexLock lock(mutex_);
  const auto at = on_host_.find(rank);
  return at == on_host_.end() ? MemoryUse{} : at->second;
}

void ProgramWork::log_line(std::uint32_t rank, bool error, std::string_view text) const {
  const CheckpointAccess of = observer_.access();
  parts_.log->line({of.seat, of.capability()}, rank, error, std::string(text));
}

void ProgramWork::said(std::uint32_t rank, bool error, std::string_view text) {
  log_line(rank, error, text);
  take_progress(rank, exec::parse_progress(text, patterns_));
}

void ProgramWork::take_progress(std::uint32_t rank, const exec::ProgressLine& progress) {
  const bool tells = !progress.empty() && rank == ranks_.front();
  std::uint64_t step = 0;
  std::uint64_t at = 0;
  {
    const MutexLock lock(mutex_);
    if (progress.step) step_ = std::max(step_.value_or(0), *progress.step);
    step = step_.value_or(0);
    // A program that counts no steps has its values in the order of their coming.
    at = progress.step ? *progress.step : step_ ? *step_ : (tells ? ++values_ : values_);
  }
  observer_.moved(rank, step);
  if (!tells) return;
  const CheckpointAccess of = observer_.access();
  const JobLog::Origin origin{of.seat, of.capability()};
  if (progress.loss) parts_.log->point(origin, "loss", at, *progress.loss);
  if (progress.validation_loss)
    parts_.log->point(origin, "validation_loss", at, *progress.validation_loss);
  for (const auto& [name, value] : progress.metrics) parts_.log->point(origin, name, at, value);
}

void ProgramWork::used(std::uint32_t rank, const MemoryUse& use) {
  const MutexLock lock(mutex_);
  MemoryUse& known = on_host_[rank];
  known = {use.used_bytes, std::max(known.peak_bytes, use.peak_bytes)};
}

void ProgramWork::program_over(GangSeatExited how, bool by_itself) {
  {
    const MutexLock lock(mutex_);
    over_ = Over{std::move(how), by_itself};
  }
  changed_.notify_all();
}

// ---- beside the program

void ProgramWork::watch() {
  std::optional<Over> over;
  for (;;) {
    {
      const MutexLock lock(mutex_);
      if (!over_ && !ending_) changed_.wait_for(mutex_, kLookEvery);
      over = over_;
      if (over || ending_) break;
    }
    look();
    tell_memory();
    look_for_checkpoint();
    stop_when_due();
  }
  if (over) close(*over);
}

void ProgramWork::tell_memory() {
  for (const std::uint32_t rank : ranks_) {
    const MemoryUse use = use_of(rank);
    if (std::exchange(told_[rank], use) != use) observer_.measured(rank, use);
  }
}

void ProgramWork::look_for_checkpoint() {
  if (!collector_) return;
  const Status looked = collector_->look(exec::steady_now(), processes(), step());
  if (!looked.ok() && looked.code != Code::kAborted)
    log_warning("job {}: {}", key_.job.value(), looked.message);
}

// After its next whole checkpoint, but no later than half of its grace: the other half is for
// ending.
void ProgramWork::stop_when_due() {
  milliseconds left{0};
  {
    const MutexLock lock(mutex_);
    if (!stop_asked_ || signalled_) return;
    const milliseconds grace = stop_grace(spec_.stop());
    const auto waited =
        std::chrono::duration_cast<milliseconds>(steady_clock::now() - *stop_asked_);
    const bool kept = collector_ && collector_->stored() > taken_when_asked_;
    if (collector_ && !kept && waited < grace / 2) return;
    signalled_ = true;
    left = std::max(grace - waited, milliseconds(0));
  }
  stop_program(stop_signal(spec_.stop()), left);
}

void ProgramWork::close(const Over& over) {
  gpus_->end();
  // Its processes are gone; what follows may take minutes.
  for (const std::uint32_t rank : ranks_) observer_.measured(rank, {0, use_of(rank).peak_bytes});
  GangSeatExited how = verdict(over);
  if (!killed_) keep_last_checkpoint();
  if (how.outcome == GangOutcome::kCompleted) {
    if (const Status kept = keep_outputs(); !kept.ok()) {
      how.outcome = GangOutcome::kFailed;
      how.message = kept.message;
    }
  } else if (how.outcome == GangOutcome::kFailed && !killed_) {
    keep_workdir();
  }
  for (const std::uint32_t rank : ranks_) observer_.moved(rank, how.exit.step);
  tell_over(how, *parts_.log, observer_);
}

void ProgramWork::keep_last_checkpoint() {
  if (!collector_) return;
  const auto wait = [this] {
    while (collector_->busy() && !given_up_.stop_requested()) {
      const MutexLock lock(mutex_);
      changed_.wait_for(mutex_, milliseconds(20));
    }
  };
  wait();
  const Status looked = collector_->look_last(exec::steady_now(), step());
  if (!looked.ok())
    log_warning("job {}: the last checkpoint was not kept: {}", key_.job.value(), looked.message);
  wait();
}

Status ProgramWork::keep_outputs() {
  if (!first_ || spec_.exec().outputs_size() == 0) return Status::success();
  const std::vector<std::string> wanted(spec_.exec().outputs().begin(),
                                        spec_.exec().outputs().end());
  const auto archive =
      archive_outputs(place_->folder().work(), wanted, place_->own_folder() / "outputs");
  if (!archive) return archive.error();
  for (const std::string& missing : archive->missing)
    log_line(ranks_.front(), true, fmt::format("[overwinter: no output {} was made]", missing));
  return send(JobOutputs::Kind::kOutputs, archive->file);
}

Status ProgramWork::send(JobOutputs::Kind kind, const std::filesystem::path& archive) {
  const CheckpointAccess of = observer_.access();
  return parts_.outputs->put(
      {of.seat, of.capability, kind, archive,
       [this](const Status& full) {
         log_line(ranks_.front(), true,
                  fmt::format("[overwinter: its files wait for room at the coordinator: {}]",
                              full.message));
       }},
      given_up_.get_token());
}

// For `jobs download --workdir`. It changes nothing of how the job ended.
void ProgramWork::keep_workdir() {
  const auto archive = archive_outputs(place_->folder().work(), {"."},
                                       place_->own_folder() / "left", formats::kArchiveBytesMax);
  const Status kept = archive ? send(JobOutputs::Kind::kWorkdir, archive->file) : archive.error();
  if (!kept.ok())
    log_line(ranks_.front(), true,
             fmt::format("[overwinter: its folder is not kept: {}]", kept.message));
}

GangSeatExited ProgramWork::verdict(const Over& over) const {
  GangSeatExited how = over.how;
  const MutexLock lock(mutex_);
  how.exit.step = step_.value_or(0);
  if (over.by_itself) return how;
  if (gpu_over_ && how.outcome != GangOutcome::kCompleted) {
    how.outcome = GangOutcome::kFailed;
    how.message = gpu_over_->message;
    how.exit.rank = gpu_over_->rank;
    return how;
  }
  if (how.outcome == GangOutcome::kCompleted) {
    // A program that was told to stop and ended well has stopped: it goes on later.
    if (stop_asked_) how.outcome = GangOutcome::kStopped;
  } else if (stop_asked_) {
    how.outcome = GangOutcome::kStopped;
  }
  return how;
}

}  // namespace overwinter::worker
