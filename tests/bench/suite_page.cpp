// What people who look cost: the coordinator's share of a core with the page of a busy job open in
// one and in fifty browser tabs, and a submit's latency while fifty look and scripts read.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/security/random.h"
#include "tests/bench/cluster.h"
#include "tests/bench/suites.h"
#include "tests/bench/viewers.h"

namespace overwinter::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kRuns = 5;
constexpr auto kWindow = seconds(20);
constexpr auto kSettle = seconds(5);  // after tabs were opened, evenly over the first two
constexpr std::uint64_t kOpenWithinMs = 2000;
constexpr unsigned kWorkers = 2;
constexpr unsigned kEventsASecond = 1000;
constexpr std::size_t kManyPages = 50;
constexpr std::size_t kTabsOfOne = 20;  // the coordinator takes 24 streams of one token
constexpr double kOnePageWanted = 2;    // % of a core
constexpr double kManyPagesWanted = 10;
constexpr double kReadsASecond = 1000;
constexpr std::size_t kReaders = 8;
constexpr std::size_t kRounds = 5;
constexpr std::size_t kSubmitsARound = 40;
constexpr auto kBetweenSubmits = milliseconds(50);
constexpr double kLatencyRatioWanted = 1.5;

// Lines of a training, the number in every tenth a point of a curve.
constexpr const char* kPrints = R"(
import sys, time
each = float(sys.argv[1])
step, due = 0, time.monotonic()
while True:
    for _ in range(10):
        step += 1
        what = "loss %.4f" % (1 + 1 / step) if step % 10 == 0 else "of batch %d" % (step % 97)
        print("step %d %s, 7,210 tokens/s" % (step, what))
    sys.stdout.flush()
    due += 10 / each
    time.sleep(max(0.0, due - time.monotonic()))
)";

void wait(Clock::duration time) {
  const auto until = Clock::now() + time;
  while (Clock::now() < until && !interrupted()) std::this_thread::sleep_for(milliseconds(20));
}

struct House {
  std::unique_ptr<Cluster> cluster;
  PageServer server;
  std::vector<PageSession> sessions;
};

Result<House> open_house(const Settings& settings) {
  House out;
  auto cluster = Cluster::up_for_test_workloads(settings, kWorkers, "cpu:memory=512MiB,threads=1",
                                                kEventsASecond / kWorkers);
  if (!cluster) return fail(cluster.error());
  out.cluster = std::move(*cluster);
  const auto address = out.cluster->dashboard();
  if (!address) return fail(address.error());
  out.server = {*address, out.cluster->credentials().root_pem};
  for (std::size_t i = 0; i * kTabsOfOne < kManyPages; ++i) {
    v1::CreateTokenRequest request;
    request.set_role("operator");
    request.set_project(kProject);
    request.set_name(fmt::format("viewer-{}", i));
    const auto token = out.cluster->client().create_token(request);
    if (!token) return fail(token.error());
    const auto session = log_in(out.server, token->login());
    if (!session) return fail(session.error());
    out.sessions.push_back(*session);
  }
  return out;
}

Result<std::unique_ptr<Viewers>> open_pages(const House& house, const std::string& job,
                                            std::size_t pages) {
  auto viewers = Viewers::start(house.server);
  if (!viewers) return viewers;
  for (std::size_t i = 0; i < pages; ++i) {
    (*viewers)->open_page(house.sessions[i / kTabsOfOne], job, i * kOpenWithinMs / pages);
  }
  return viewers;
}

// ---- what pages cost
struct Window {
  double share = 0;   // of a core, in %
  double events = 0;  // of the job, a second
  Viewers::Counts seen;
  double seconds = 0;
};

// How many events the job has had.
using Counted = Result<std::uint64_t> (*)(const House& house, const std::string& job);

Result<Window> look(const House& house, const std::string& job, Counted counted,
                    std::size_t pages) {
  std::unique_ptr<Viewers> viewers;
  if (pages > 0) {
    auto opened = open_pages(house, job, pages);
    if (!opened) return fail(opened.error());
    viewers = std::move(*opened);
  }
  wait(kSettle);
  const auto pid = house.cluster->pid("coordinator");
  if (!pid) return fail(pid.error());
  const auto events_before = counted(house, job);
  if (!events_before) return fail(events_before.error());
  const Viewers::Counts seen = viewers ? viewers->counts() : Viewers::Counts{};
  const auto before = process_use(*pid);
  const auto begin = Clock::now();
  wait(kWindow);
  const auto after = process_use(*pid);
  Window out;
  out.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (viewers) out.seen = viewers->counts();
  viewers.reset();
  const auto events_after = counted(house, job);
  if (!before || !after || !events_after) {
    return fail(Code::kInternal, "the coordinator went away in a window");
  }
  if (out.seen.failed > 0) return fail(Code::kInternal, "a page: " + out.seen.first_failure);
  out.share = (after->cpu_seconds - before->cpu_seconds) / out.seconds * 100;
  out.events = static_cast<double>(*events_after - *events_before) / out.seconds;
  out.seen.questions -= seen.questions;
  out.seen.changes -= seen.changes;
  out.seen.resets -= seen.resets;
  out.seen.bytes -= seen.bytes;
  say(fmt::format(
      "page: {} open: {:.2f} % of a core, {:.0f} events a second, {} questions, {} changes,"
      " {} resets, {:.1f} MB",
      pages, out.share, out.events, out.seen.questions, out.seen.changes, out.seen.resets,
      static_cast<double>(out.seen.bytes) / 1e6));
  return out;
}

Row cost_row(const std::string& what, std::size_t pages, double wanted,
             const std::vector<Window>& quiet, const std::vector<Window>& loaded) {
  std::vector<double> more;
  std::vector<double> alone;
  Window sum;
  for (std::size_t i = 0; i < loaded.size(); ++i) {
    // The window before and the one after, so that a drift of the machine falls out.
    more.push_back(loaded[i].share - (quiet[i].share + quiet[i + 1].share) / 2);
    sum.seconds += loaded[i].seconds;
    sum.events += loaded[i].events / static_cast<double>(loaded.size());
    sum.seen.questions += loaded[i].seen.questions;
    sum.seen.changes += loaded[i].seen.changes;
    sum.seen.resets += loaded[i].seen.resets;
  }
  for (const Window& window : quiet) alone.push_back(window.share);
  Row row;
  row.name = fmt::format("{} on a job with {}: more of the coordinator's core than with none",
                         pages == 1 ? "1 page" : fmt::format("{} pages", pages), what);
  row.unit = "% of a core";
  row.ours = summarize(more);
  row.peer = summarize(alone);
  row.peer_name = "the whole of it, no page open";
  row.limit_name = fmt::format("{:.0f} % of a core", wanted);
  row.fraction = row.ours.median / wanted;
  row.target = fmt::format("at most {:.0f} % of a core", wanted);
  row.met = row.ours.median <= wanted;
  const double tabs = sum.seconds * static_cast<double>(pages);
  row.note = fmt::format(
      "{:.0f} events a second; a page: {:.2f} questions and {:.2f} changes a second; {} resets",
      sum.events, static_cast<double>(sum.seen.questions) / tabs,
      static_cast<double>(sum.seen.changes) / tabs, sum.seen.resets);
  return row;
}

Status measure_cost(const House& house, const std::string& job, const std::string& what,
                    Counted counted, std::size_t runs, SuiteReport& report) {
  std::vector<Window> none;
  std::vector<Window> one;
  std::vector<Window> many;
  for (std::size_t i = 0; i <= runs && !interrupted(); ++i) {
    for (const std::size_t pages : {std::size_t{0}, std::size_t{1}, kManyPages}) {
      if (i == runs && pages > 0) break;  // the last quiet one
      const auto window = look(house, job, counted, pages);
      if (!window) return window.error();
      (pages == 0 ? none : pages == 1 ? one : many).push_back(*window);
    }
  }
  if (interrupted()) return error(Code::kCancelled, "interrupted");
  report.rows.push_back(cost_row(what, 1, kOnePageWanted, none, one));
  report.rows.push_back(cost_row(what, kManyPages, kManyPagesWanted, none, many));
  return Status::success();
}

Result<std::string> start_job(Cluster& cluster, const v1::JobSpec& spec) {
  v1::SubmitJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(random_id(20));
  const auto job = cluster.client().submit(request);
  if (!job) return fail(job.error());
  for (const auto until = Clock::now() + seconds(30); Clock::now() < until && !interrupted();) {
    const auto now = cluster.client().get_job(job->name());
    if (!now) return fail(now.error());
    if (now->state() == v1::Job::RUNNING) return job->name();
    wait(milliseconds(100));
  }
  return fail(Code::kInternal, job->name() + " did not run in time");
}

v1::JobSpec units_job() {
  v1::JobSpec spec;
  spec.set_project(kProject);
  spec.set_name("units");
  spec.mutable_noop()->set_units(10'000'000);
  spec.mutable_noop()->set_units_per_range_max(1);
  return spec;
}

v1::JobSpec lines_job(unsigned per_second) {
  v1::JobSpec spec;
  spec.set_project(kProject);
  spec.set_name(fmt::format("lines-{}", per_second));
  spec.mutable_workers()->set_max(1);
  v1::ExecSpec& exec = *spec.mutable_exec();
  for (const std::string& word : {std::string("/usr/bin/python3"), std::string("-c"),
                                  std::string(kPrints), std::to_string(per_second)}) {
    exec.add_argv(word);
  }
  v1::MetricPattern& loss = *exec.add_metrics();
  loss.set_name("loss");
  loss.set_regex("loss ([0-9.]+)");
  return spec;
}

// Changes of the job, as pages and watchers may hear of them.
Result<std::uint64_t> changes_of(const House& house, const std::string& job) {
  const auto answer = ask(house.server, house.sessions[0], "/api/v1/" + job);
  if (!answer) return fail(answer.error());
  return answer->event;
}

Result<std::uint64_t> lines_of(const House& house, const std::string& job) {
  const auto answer = ask(house.server, house.sessions[0], "/api/v1/" + job + "/logs?lines=1");
  if (!answer) return fail(answer.error());
  const auto json = nlohmann::json::parse(answer->body, nullptr, false);
  if (!json.is_object()) return fail(Code::kInternal, "the log is not JSON");
  return std::strtoull(json.value("next", "0").c_str(), nullptr, 10);
}

Status cancel(Cluster& cluster, const std::string& job) {
  const auto done = cluster.client().cancel(job);
  if (!done) return done.error();
  wait(seconds(2));
  return Status::success();
}

// ---- a submit while many look
Status submit_some(Cluster& cluster, const v1::JobSpec& spec, std::vector<double>& out) {
  for (std::size_t i = 0; i < kSubmitsARound && !interrupted(); ++i) {
    v1::SubmitJobRequest request;
    *request.mutable_spec() = spec;
    request.set_request_id(random_id(20));
    const auto begin = Clock::now();
    const auto job = cluster.client().submit(request);
    if (!job) return job.error();
    out.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    wait(kBetweenSubmits);
  }
  return Status::success();
}

Result<double> submit_under_load(const House& house, const std::string& job,
                                 const v1::JobSpec& spec, std::vector<double>& out) {
  const auto viewers = open_pages(house, job, kManyPages);
  if (!viewers) return fail(viewers.error());
  const std::string api = "/api/v1/";
  (*viewers)->read(house.sessions.back(),
                   {api + "projects/-/jobs?pageSize=50", api + job, api + "workers",
                    api + job + "/series?x=step"},
                   kReadsASecond, kReaders);
  wait(kSettle);
  const Viewers::Counts before = (*viewers)->counts();
  const auto begin = Clock::now();
  if (Status done = submit_some(*house.cluster, spec, out); !done.ok()) return fail(done);
  const double time = std::chrono::duration<double>(Clock::now() - begin).count();
  const Viewers::Counts after = (*viewers)->counts();
  if (after.failed > 0) return fail(Code::kInternal, "a viewer: " + after.first_failure);
  return static_cast<double>(after.reads - before.reads) / time;
}

Status measure_submits(const House& house, const std::string& job, std::size_t rounds,
                       SuiteReport& report) {
  const auto spec = one_unit_job(*house.cluster, "submit");
  if (!spec) return spec.error();
  std::vector<double> quiet;
  std::vector<double> loaded;
  std::vector<double> reads;
  std::vector<double> warm_up;
  if (Status done = submit_some(*house.cluster, *spec, warm_up); !done.ok()) return done;
  for (std::size_t i = 0; i < rounds && !interrupted(); ++i) {
    wait(kSettle);
    if (Status done = submit_some(*house.cluster, *spec, quiet); !done.ok()) return done;
    const auto rate = submit_under_load(house, job, *spec, loaded);
    if (!rate) return rate.error();
    reads.push_back(*rate);
    const Summary without = summarize(quiet);
    const Summary with = summarize(loaded);
    say(
        fmt::format("page: submits: quiet {:.2f} / {:.2f} ms, under load {:.2f} / {:.2f} ms, {:.0f}"
                    " reads a second",
                    without.median, without.p99, with.median, with.p99, *rate));
  }
  if (reads.empty()) return error(Code::kCancelled, "interrupted");
  Row row;
  row.name = fmt::format("submit to its answer under {} open pages and {:.0f} reads a second",
                         kManyPages, kReadsASecond);
  row.unit = "ms";
  row.ours = summarize(loaded);
  row.peer = summarize(quiet);
  row.peer_name = "nobody looks";
  const double p50 = row.ours.median / row.peer->median;
  const double p99 = row.ours.p99 / row.peer->p99;
  row.target = fmt::format("p50 and p99 at most {} of the quiet one", kLatencyRatioWanted);
  row.met = p50 <= kLatencyRatioWanted && p99 <= kLatencyRatioWanted;
  row.note = fmt::format("p50 {:.2f}, p99 {:.2f} of the quiet one; {:.0f} reads a second answered",
                         p50, p99, summarize(reads).median);
  report.rows.push_back(row);
  return Status::success();
}

}  // namespace

Result<SuiteReport> run_page(const Settings& settings) {
  SuiteReport report;
  for (const char* program : {kTestCoordinator, kTestWorker}) {
    if (::access((settings.bin + "/" + program).c_str(), X_OK) == 0) continue;
    report.skipped = fmt::format(
        "{} is not beside this program: only a build with tests has the workload (cmake --preset "
        "test)",
        program);
    return report;
  }
  say("page: starting the coordinator and two workers of the test build");
  const auto house = open_house(settings);
  if (!house) return fail(house.error());
  const std::size_t runs = settings.runs.value_or(kRuns);
  Cluster& cluster = *house->cluster;
  const auto units = start_job(cluster, units_job());
  if (!units) return fail(units.error());
  if (Status done =
          measure_cost(*house, *units, "1,000 finished units a second", changes_of, runs, report);
      !done.ok()) {
    return fail(done);
  }
  if (Status done = cancel(cluster, *units); !done.ok()) return fail(done);
  const auto lines = start_job(cluster, lines_job(kEventsASecond));
  if (!lines) return fail(lines.error());
  if (Status done = measure_cost(*house, *lines, "1,000 lines a second", lines_of, runs, report);
      !done.ok()) {
    return fail(done);
  }
  if (Status done = cancel(cluster, *lines); !done.ok()) return fail(done);
  const auto calm = start_job(cluster, lines_job(10));
  if (!calm) return fail(calm.error());
  const std::size_t rounds = settings.runs.value_or(kRounds);
  if (Status done = measure_submits(*house, *calm, rounds, report); !done.ok()) return fail(done);
  return report;
}

}  // namespace overwinter::bench
