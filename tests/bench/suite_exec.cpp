// The user's own programs: what the house adds to the start of one, and how far one that takes
// memory at 2 GiB/s passes its limit where the watchdog counts.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>

#include "common/base/mutex.h"
#include "tests/bench/cluster.h"
#include "tests/bench/suites.h"
#include "worker/exec/process_tree.h"

namespace overwinter::bench {
namespace {

namespace exec = worker::exec;

constexpr std::size_t kRuns = 11;
constexpr double kAddedWanted = 0.3;
constexpr std::uint64_t kLimitBytes = std::uint64_t{1} << 30;
constexpr double kOverWanted = 5;

// The instant at which the program's first line runs, on the clock that all processes share.
constexpr const char* kTellsStart =
    "import time; print('%.6f' % time.clock_gettime(time.CLOCK_BOOTTIME))";
// Writes 16 MiB after 16 MiB, 2 GiB a second, and says after each how many it has.
constexpr const char* kFills = R"(
import time
chunk = 16 << 20
pause = chunk / (2 << 30)
held, due = [], time.monotonic()
while len(held) < 256:
    held.append(bytearray(b"x") * chunk)
    print(len(held) * chunk, flush=True)
    due += pause
    time.sleep(max(0.0, due - time.monotonic()))
)";

double now() {
  timespec at{};
  ::clock_gettime(CLOCK_BOOTTIME, &at);
  return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) / 1e9;
}

// The last number in the text.
std::optional<double> number_of(const std::string& text) {
  const std::size_t end = text.find_last_of("0123456789");
  if (end == std::string::npos) return std::nullopt;
  const std::size_t begin = text.find_last_not_of("0123456789.", end);
  return std::strtod(text.c_str() + (begin == std::string::npos ? 0 : begin + 1), nullptr);
}

Result<double> started_directly(const Cluster& cluster) {
  const double before = now();
  const auto done =
      run_program({"/usr/bin/python3", "-c", kTellsStart}, {}, cluster.path("peer.log"));
  if (!done) return fail(done.error());
  const auto at = number_of(done->output);
  if (!at) return fail(Code::kInternal, "python3 did not run");
  return *at - before;
}

Result<double> started_as_job(Cluster& cluster) {
  v1::JobSpec spec;
  spec.set_project(kProject);
  spec.set_name("start");
  spec.mutable_workers()->set_max(1);
  for (const char* word : {"/usr/bin/python3", "-c", kTellsStart})
    spec.mutable_exec()->add_argv(word);
  const double before = now();
  const auto job = cluster.run_job(spec);
  if (!job) return fail(job.error());
  const auto logs = cluster.command({"logs", job->name()});
  if (!logs) return fail(logs.error());
  const auto at = number_of(logs->output);
  if (!at) return fail(Code::kInternal, "the job printed nothing: " + logs->output);
  return *at - before;
}

// Ends with the tree; what it said last.
class Filling final : public exec::TreeObserver {
 public:
  void started(std::size_t, pid_t) override {}
  void ended(std::size_t, const exec::ProcessEnd&) override {}
  void line(std::size_t, exec::Stream, std::string_view text) override {
    const MutexLock lock(mutex_);
    std::from_chars(text.data(), text.data() + text.size(), told_);
  }
  void dropped(std::size_t, exec::Stream, std::uint64_t) override {}
  void finished(const exec::TreeEnd& end) override {
    const MutexLock lock(mutex_);
    end_ = end;
    changed_.notify_all();
  }
  // The most that is known to have been held.
  Result<double> wait() {
    const MutexLock lock(mutex_);
    while (!end_) changed_.wait(mutex_);
    if (!end_->over_limit) return fail(Code::kInternal, "it was not ended for its memory");
    return static_cast<double>(std::max(end_->peak_bytes, told_));
  }

 private:
  Mutex mutex_;
  Condition changed_;
  std::uint64_t told_ OW_GUARDED_BY(mutex_) = 0;
  std::optional<exec::TreeEnd> end_ OW_GUARDED_BY(mutex_);
};

Result<double> overshoot(const Settings& settings) {
  exec::TreeOrder order;
  order.processes.push_back({{"/usr/bin/python3", "-c", kFills}, {{"PATH", "/usr/bin:/bin"}}});
  order.folder = "/";
  order.confinement.grants = exec::common_grants();
  order.memory.limit_bytes = kLimitBytes;
  Filling filling;
  const auto tree = exec::ProcessTree::start(order, filling, settings.bin + "/overwinter-keeper");
  if (!tree) return fail(tree.error());
  const auto peak = filling.wait();
  if (!peak) return peak;
  return 100 * (*peak / static_cast<double>(kLimitBytes) - 1);
}

}  // namespace

Result<SuiteReport> run_exec(const Settings& settings) {
  SuiteReport report;
  report.suite = "exec";
  report.what = "a job of `python3 -c …` from submit to its first line, and one over its memory";
  auto cluster = Cluster::up(settings, 1, "cpu:memory=1GiB,threads=1");
  if (!cluster) return fail(cluster.error());
  std::vector<double> ours;
  std::vector<double> direct;
  std::vector<double> over;
  const std::size_t runs = settings.runs.value_or(kRuns);
  for (std::size_t i = 0; i <= runs && !interrupted(); ++i) {
    const auto job = started_as_job(**cluster);
    if (!job) return fail(job.error());
    const auto peer = started_directly(**cluster);
    if (!peer) return fail(peer.error());
    const auto past = overshoot(settings);
    if (!past) return fail(past.error());
    say(fmt::format("exec: run {}: {:.3f} s as a job, {:.3f} s directly, {:.1f} % over", i, *job,
                    *peer, *past));
    if (i == 0) continue;
    ours.push_back(*job);
    direct.push_back(*peer);
    over.push_back(*past);
  }
  if (over.empty()) return fail(Code::kCancelled, "interrupted");
  Row start;
  start.name = "submit to the program's first line";
  start.unit = "s";
  start.ours = summarize(ours);
  start.peer = summarize(direct);
  start.peer_name = "started directly";
  start.target = fmt::format("at most {} s more", kAddedWanted);
  start.met = start.ours.median - start.peer->median <= kAddedWanted;
  Row limit;
  limit.name = "past a limit of 1 GiB under a watchdog, at 2 GiB/s";
  limit.unit = "%";
  limit.ours = summarize(over);
  limit.target = fmt::format("at most {:.0f} %", kOverWanted);
  limit.met = limit.ours.max <= kOverWanted;
  report.rows = {start, limit};
  return report;
}

}  // namespace overwinter::bench
