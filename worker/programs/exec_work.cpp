#include "worker/programs/exec_work.h"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "common/base/log.h"
#include "common/formats/archive.h"
#include "worker/exec/process_table.h"
#include "worker/programs/gang_layout.h"
#include "worker/programs/output_archive.h"
#include "worker/exec/tree_verdict.h"

namespace overwinter::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLookEvery{500};
constexpr milliseconds kDefaultGrace{90'000};
// Of processes whose sibling has failed: time to say why.
constexpr milliseconds kSiblingGrace{3'000};

milliseconds now() {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now().time_since_epoch());
}

milliseconds grace_of(const v1::StopSpec& stop) {
  if (!stop.has_grace()) return kDefaultGrace;
  return milliseconds(stop.grace().seconds() * 1000 + stop.grace().nanos() / 1'000'000);
}

// The specification was validated: names of signals are these.
int signal_of(const v1::StopSpec& stop) {
  static const std::map<std::string_view, int> kSignals = {
      {"", SIGTERM},        {"SIGTERM", SIGTERM}, {"SIGINT", SIGINT},   {"SIGHUP", SIGHUP},
      {"SIGQUIT", SIGQUIT}, {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2}, {"SIGKILL", SIGKILL}};
  const auto at = kSignals.find(stop.signal());
  return at == kSignals.end() ? SIGTERM : at->second;
}

// "projects/P/jobs/J" to P.
std::string project_of(const std::string& job) {
  const std::size_t begin = job.find('/') + 1;
  return job.substr(begin, job.find('/', begin) - begin);
}

}  // namespace

ExecWork::ExecWork(GangKey key, ExecWorkParts parts, GangWorkObserver& observer)
    : key_(key),
      parts_(parts),
      observer_(observer),
      sending_(*parts_.checkpoints, [this] { return observer_.access(); }) {}

ExecWork::~ExecWork() {
  kill();
  tree_.reset();  // kills and waits
  {
    const MutexLock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
}

// ---- prepared

Status ExecWork::prepare(const OfferSeat& offer, const std::stop_token& stop) {
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
  auto place = ProgramPlace::make(
      *parts_.site, wish, *parts_.files, *parts_.checkpoints, access,
      [this](bool error, std::string_view text) {
        log_line(0, error, fmt::format("setup: {}", text));
      },
      stop);
  if (!place) return place.error();
  place_ = std::move(*place);
  return Status::success();
}

Status ExecWork::note_metrics() {
  for (const v1::MetricPattern& metric : spec_.exec().metrics()) {
    auto pattern = exec::MetricPattern::parse(metric.regex());
    if (!pattern) return pattern.error();
    if (patterns_.size() < exec::kMetricsMax)
      patterns_.push_back({metric.name(), std::move(*pattern)});
  }
  return Status::success();
}

// ---- launched

Status ExecWork::start(const LaunchGang& launch, const std::vector<RankSeat>& seats) {
  auto layout = layout_of(launch.members, parts_.worker, key_, parts_.address);
  if (!layout) return layout.error();
  layout->threads = seats.front().threads;
  std::uint64_t memory = 0;
  for (const RankSeat& seat : seats) {
    memory += seat.memory_bytes;
    ranks_.push_back(seat.rank);
  }
  const exec::JobFolder& folder = place_->folder();
  exec::JobNames names;
  names.job = job_;
  names.attempt = key_.attempt;
  names.retries = spec_.retries();
  if (!spec_.exec().checkpoint_dir().empty())
    names.checkpoint_dir = (folder.work() / spec_.exec().checkpoint_dir()).string();
  names.stop_file = folder.stop_file();
  names.home = folder.home();
  names.temporary = folder.temporary();
  names.module_folder = folder.module();
  exec::Environment user = place_->setup_environment();
  for (const auto& [name, value] : spec_.exec().env()) user[name] = value;
  for (const auto& [name, value] : secrets_) user[name] = value;
  const std::vector<std::string> list(spec_.exec().argv().begin(), spec_.exec().argv().end());
  auto command = exec::command_line(spec_.exec().shell(), list);
  if (!command) return command.error();
  exec::TreeOrder order = place_->order(memory);
  const std::uint32_t processes =
      exec::processes_on_worker(launcher_, layout->devices[layout->worker]);
  for (std::uint32_t i = 0; i < processes; ++i) {
    order.processes.push_back(
        {*command, exec::launch_environment(launcher_, *layout, names, user, i)});
  }
  // The first worker's checkpoints are the job's: under DDP its first rank writes them.
  if (!names.checkpoint_dir.empty() && layout->worker == 0) {
    CheckpointCollector::Setting setting;
    setting.key = key_;
    setting.world_size = static_cast<std::uint32_t>(launch.members.size());
    setting.work = folder.work();
    setting.checkpoint_dir = spec_.exec().checkpoint_dir();
    setting.copies = place_->own_folder() / "checkpoints";
    setting.restored = place_->restored_step();
    collector_ = std::make_unique<CheckpointCollector>(std::move(setting), sending_);
  }
  auto tree = exec::ProcessTree::start(order, *this, parts_.site->keeper.string());
  if (!tree) return tree.error();
  tree_ = std::move(*tree);
  watch_ = std::jthread([this] { watch(); });
  return Status::success();
}

void ExecWork::wind_down() {
  if (!tree_) return;
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

void ExecWork::kill() {
  killed_ = true;
  sending_.give_up();
  given_up_.request_stop();
  if (tree_) tree_->kill();
}

// ---- what the program says

std::uint32_t ExecWork::rank_of(std::size_t process) const {
  return process < ranks_.size() ? ranks_[process] : ranks_.front();
}

std::optional<std::uint64_t> ExecWork::step() const {
  const MutexLock lock(mutex_);
  return step_;
}

void ExecWork::log_line(std::uint32_t rank, bool error, std::string_view text) const {
  const CheckpointAccess of = observer_.access();
  parts_.log->line({of.seat, of.capability()}, rank, error, std::string(text));
}

void ExecWork::started(std::size_t process, pid_t) {
  // Under other launchers than env one process stands for all devices of the worker.
  if (launcher_ == exec::Launcher::kEnv) return observer_.up(rank_of(process));
  for (const std::uint32_t rank : ranks_) observer_.up(rank);
}

void ExecWork::ended(std::size_t process, const exec::ProcessEnd& end) {
  if (end.succeeded()) return;
  {
    const MutexLock lock(mutex_);
    if (!failed_first_) failed_first_ = process;
  }
  changed_.notify_all();
}

void ExecWork::line(std::size_t process, exec::Stream stream, std::string_view text) {
  const std::uint32_t rank = rank_of(process);
  log_line(rank, stream == exec::Stream::kErrors, text);
  take_progress(rank, exec::parse_progress(text, patterns_));
}

void ExecWork::dropped(std::size_t process, exec::Stream stream, std::uint64_t bytes) {
  log_line(rank_of(process), stream == exec::Stream::kErrors, exec::dropped_text(bytes));
}

void ExecWork::take_progress(std::uint32_t rank, const exec::ProgressLine& progress) {
  const bool tells = !progress.empty() && rank == ranks_.front();
  std::uint64_t step = 0;
  std::uint64_t at = 0;
  std::uint64_t peak = 0;
  {
    const MutexLock lock(mutex_);
    if (progress.step) step_ = std::max(step_.value_or(0), *progress.step);
    step = step_.value_or(0);
    // A program that counts no steps has its values in the order of their coming.
    at = progress.step ? *progress.step : step_ ? *step_ : (tells ? ++values_ : values_);
    peak = memory_peak_;
  }
  observer_.moved(rank, step, peak);
  if (!tells) return;
  const CheckpointAccess of = observer_.access();
  const JobLog::Origin origin{of.seat, of.capability()};
  if (progress.loss) parts_.log->point(origin, "loss", at, *progress.loss);
  if (progress.validation_loss)
    parts_.log->point(origin, "validation_loss", at, *progress.validation_loss);
  for (const auto& [name, value] : progress.metrics) parts_.log->point(origin, name, at, value);
}

void ExecWork::finished(const exec::TreeEnd& end) {
  {
    const MutexLock lock(mutex_);
    end_ = end;
    memory_peak_ = std::max(memory_peak_, end.peak_bytes);
  }
  changed_.notify_all();
}

// ---- beside the program

void ExecWork::watch() {
  for (;;) {
    {
      const MutexLock lock(mutex_);
      if (!end_ && !ending_) changed_.wait_for(mutex_, kLookEvery);
      if (end_ || ending_) break;
    }
    end_with_the_first();
    look_for_checkpoint();
    stop_when_due();
  }
  std::optional<exec::TreeEnd> end;
  {
    const MutexLock lock(mutex_);
    end = end_;
  }
  if (end) close(*end);
}

// Where one process has failed the others wait for it, perhaps for ever.
void ExecWork::end_with_the_first() {
  {
    const MutexLock lock(mutex_);
    if (!failed_first_ || signalled_ || ranks_.size() < 2) return;
    signalled_ = true;
  }
  tree_->stop(SIGTERM, kSiblingGrace);
}

void ExecWork::look_for_checkpoint() {
  if (!collector_) return;
  const Status looked = collector_->look(now(), exec::tree_of(tree_->keeper()), step());
  if (!looked.ok() && looked.code != Code::kAborted)
    log_warning("job {}: {}", key_.job.value(), looked.message);
}

// After its next whole checkpoint, but no later than half of its grace: the other half is for
// ending.
void ExecWork::stop_when_due() {
  milliseconds left{0};
  {
    const MutexLock lock(mutex_);
    if (!stop_asked_ || signalled_) return;
    const milliseconds grace = grace_of(spec_.stop());
    const auto waited =
        std::chrono::duration_cast<milliseconds>(steady_clock::now() - *stop_asked_);
    const bool kept = collector_ && collector_->stored() > taken_when_asked_;
    if (collector_ && !kept && waited < grace / 2) return;
    signalled_ = true;
    left = std::max(grace - waited, milliseconds(0));
  }
  tree_->stop(signal_of(spec_.stop()), left);
}

void ExecWork::close(const exec::TreeEnd& end) {
  GangSeatExited how = verdict(end);
  if (!killed_) keep_last_checkpoint();
  if (how.outcome == GangOutcome::kCompleted) {
    if (const Status kept = keep_outputs(); !kept.ok()) {
      how.outcome = GangOutcome::kFailed;
      how.message = kept.message;
    }
  } else if (how.outcome == GangOutcome::kFailed && !killed_) {
    keep_workdir();
  }
  std::uint64_t peak = 0;
  {
    const MutexLock lock(mutex_);
    peak = memory_peak_;
  }
  for (const std::uint32_t rank : ranks_) observer_.moved(rank, how.exit.step, peak);
  observer_.over(how);
}

void ExecWork::keep_last_checkpoint() {
  if (!collector_) return;
  const auto wait = [this] {
    while (collector_->busy() && !given_up_.stop_requested()) {
      const MutexLock lock(mutex_);
      changed_.wait_for(mutex_, milliseconds(20));
    }
  };
  wait();
  const Status looked = collector_->look_last(now(), step());
  if (!looked.ok())
    log_warning("job {}: the last checkpoint was not kept: {}", key_.job.value(), looked.message);
  wait();
}

Status ExecWork::keep_outputs() {
  // Of the first worker, as its checkpoints.
  const bool first = std::find(ranks_.begin(), ranks_.end(), 0U) != ranks_.end();
  if (!first || spec_.exec().outputs_size() == 0) return Status::success();
  const std::vector<std::string> wanted(spec_.exec().outputs().begin(),
                                        spec_.exec().outputs().end());
  const auto archive =
      archive_outputs(place_->folder().work(), wanted, place_->own_folder() / "outputs");
  if (!archive) return archive.error();
  for (const std::string& missing : archive->missing)
    log_line(ranks_.front(), true, fmt::format("[overwinter: no output {} was made]", missing));
  const CheckpointAccess of = observer_.access();
  return parts_.outputs->put(of.seat, of.capability, JobOutputs::Kind::kOutputs, archive->file,
                             given_up_.get_token());
}

// For `jobs download --workdir`. It changes nothing of how the job ended.
void ExecWork::keep_workdir() {
  const auto archive = archive_outputs(place_->folder().work(), {"."},
                                       place_->own_folder() / "left", formats::kArchiveBytesMax);
  const CheckpointAccess of = observer_.access();
  const Status kept = archive
                          ? parts_.outputs->put(of.seat, of.capability, JobOutputs::Kind::kWorkdir,
                                                archive->file, given_up_.get_token())
                          : archive.error();
  if (!kept.ok())
    log_line(ranks_.front(), true,
             fmt::format("[overwinter: its folder is not kept: {}]", kept.message));
}

GangSeatExited ExecWork::verdict(const exec::TreeEnd& end) {
  GangSeatExited how;
  const MutexLock lock(mutex_);
  const exec::TreeVerdict judged = exec::judge(end, failed_first_);
  how.exit.step = step_.value_or(0);
  how.exit.exit_code = judged.exit_code;
  how.exit.signal = judged.signal;
  how.message = judged.message;
  if (judged.process) how.exit.rank = rank_of(*judged.process);
  if (judged.good) {
    // A program that was told to stop and ended well has stopped: it goes on later.
    how.outcome = stop_asked_ ? GangOutcome::kStopped : GangOutcome::kCompleted;
  } else if (end.over_limit || !end.refused.ok() || (end.keeper_lost && !killed_)) {
    how.outcome = GangOutcome::kFailed;
  } else if (stop_asked_) {
    how.outcome = GangOutcome::kStopped;
  } else {
    how.outcome = killed_ ? GangOutcome::kPeerLost : GangOutcome::kFailed;
  }
  return how;
}

}  // namespace overwinter::worker
