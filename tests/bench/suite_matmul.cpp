// A product over two workers of this machine beside one process with two threads.
#include <fmt/format.h>

#include <google/protobuf/util/time_util.h>

#include <filesystem>

#include "tests/bench/cluster.h"
#include "tests/bench/matrices.h"
#include "tests/bench/suites.h"

namespace overwinter::bench {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::uint64_t kProductSide = 4096;
constexpr std::uint64_t kCommandSide = 8192;
constexpr std::size_t kRuns = 5;
constexpr int kThreads = 2;
constexpr const char* kDevice = "cpu:memory=4GiB,threads=1";

// Of one way to run it: with files of this machine shared, over TLS alone, the peer.
struct Times {
  std::vector<double> shared;
  std::vector<double> tls;
  std::vector<double> peer;
};

class Bench {
 public:
  Bench(Cluster& cluster, std::uint64_t side) : cluster_(cluster), side_(side) {}

  Status make_files() {
    if (Status done = write_matrix(a_, side_, 1); !done.ok()) return done;
    return write_matrix(b_, side_, 2);
  }

  // The factors are there: from the grant of the first seat to the end, by the coordinator's clock.
  Result<double> product() {
    if (a_uri_.empty()) {
      for (auto [path, uri] : {std::pair(&a_, &a_uri_), std::pair(&b_, &b_uri_)}) {
        auto stored = cluster_.client().upload(kProject, *path, {});
        if (!stored) return fail(stored.error());
        *uri = *stored;
      }
    }
    v1::JobSpec spec;
    spec.set_project(kProject);
    spec.set_name("bench");
    spec.mutable_matmul()->set_a(a_uri_);
    spec.mutable_matmul()->set_b(b_uri_);
    const auto job = cluster_.run_job(spec);
    if (!job) return fail(job.error());
    plan_ = job->plan().matmul();
    return static_cast<double>(
               TimeUtil::DurationToMilliseconds(job->end_time() - job->start_time())) /
           1000;
  }

  // The whole command, every byte sent anew, C compared at some places.
  Result<double> command() {
    for (const std::string& path : {a_, b_}) {
      if (Status done = change_matrix(path, ++changes_); !done.ok()) return fail(done);
    }
    const auto done = cluster_.command({"matmul", a_, b_, "-o", c_, "--quiet"});
    if (!done) return fail(done.error());
    if (done->exit_code != 0) {
      return fail(Code::kInternal, fmt::format("overwinter matmul ended with {}", done->exit_code));
    }
    if (Status right = check_product(a_, b_, c_, side_, ++changes_); !right.ok()) {
      return fail(right);
    }
    std::error_code ignored;
    std::filesystem::remove(c_, ignored);
    return done->seconds;
  }

  [[nodiscard]] std::string tiles() const {
    return fmt::format("{} x {} tiles of {} x {}", plan_.grid_rows(), plan_.grid_columns(),
                       plan_.tile_rows(), plan_.tile_columns());
  }

 private:
  Cluster& cluster_;
  const std::uint64_t side_;
  const std::string a_ = cluster_.path("a.npy");
  const std::string b_ = cluster_.path("b.npy");
  const std::string c_ = cluster_.path("c.npy");
  std::string a_uri_;
  std::string b_uri_;
  std::uint64_t changes_ = 100;
  v1::MatmulPlan plan_;
};

// Alternating, so that all ways meet the same machine. The first round is to warm up.
Result<Times> alternate(Cluster& cluster, Bench& bench, Result<double> (Bench::*way)(),
                        std::uint64_t side, std::size_t runs, const std::string& name) {
  Times out;
  for (std::size_t i = 0; i <= runs && !interrupted(); ++i) {
    Times now;
    for (const bool shared : {true, false}) {
      if (Status set = cluster.share_descriptors(shared); !set.ok()) return fail(set);
      const auto seconds = (bench.*way)();
      if (!seconds) return fail(seconds.error());
      (shared ? now.shared : now.tls).push_back(*seconds);
    }
    const auto peer = peer_seconds(side, kThreads);
    if (!peer) return fail(peer.error());
    say(fmt::format("matmul: {}, run {}: {:.3f} s shared, {:.3f} s TLS, {:.3f} s peer", name, i,
                    now.shared[0], now.tls[0], *peer));
    if (i == 0) continue;
    out.shared.push_back(now.shared[0]);
    out.tls.push_back(now.tls[0]);
    out.peer.push_back(*peer);
  }
  if (out.peer.empty()) return fail(Code::kCancelled, "interrupted");
  return out;
}

void add_rows(SuiteReport& report, const std::string& name, const Times& times, std::uint64_t side,
              double peak, double wanted) {
  const double gflop =
      2e-9 * static_cast<double>(side) * static_cast<double>(side) * static_cast<double>(side);
  for (const bool shared : {true, false}) {
    Row row;
    row.name =
        fmt::format("{}, {}", name, shared ? "as shipped" : "descriptors off: all data over TLS");
    row.unit = "s";
    row.ours = summarize(shared ? times.shared : times.tls);
    row.peer = summarize(times.peer);
    row.peer_name = fmt::format("OpenBLAS sgemm, one process, {} threads", kThreads);
    row.ratio = row.peer->median / row.ours.median;
    row.note = fmt::format("{:.1f} GFLOP/s, the peer {:.1f}", gflop / row.ours.median,
                           gflop / row.peer->median);
    if (peak > 0) {
      row.limit_name =
          fmt::format("{:.0f} GFLOP/s, multiply-adds from registers, {} threads", peak, kThreads);
      row.fraction = gflop / row.ours.median / peak;
    }
    if (shared && wanted > 0) {
      row.target = fmt::format("at least {:.0f} % of the peer", wanted * 100);
      row.met = *row.ratio >= wanted;
    }
    report.rows.push_back(row);
  }
}

}  // namespace

Result<SuiteReport> run_matmul(const Settings& settings) {
  SuiteReport report;
  const std::size_t runs = settings.runs.value_or(kRuns);
  const double peak = peak_gflops(kThreads);
  say("matmul: starting a coordinator and two workers");
  auto cluster = Cluster::up(settings, 2, kDevice);
  if (!cluster) return fail(cluster.error());
  {
    const std::uint64_t side = settings.side.value_or(kProductSide);
    Bench bench(**cluster, side);
    if (Status made = bench.make_files(); !made.ok()) return fail(made);
    const auto times =
        alternate(**cluster, bench, &Bench::product, side, runs, fmt::format("product n={}", side));
    if (!times) return fail(times.error());
    // Targets are set for these sides alone.
    add_rows(report, fmt::format("n={} fp32, first seat to last tile", side), *times, side, peak,
             side == kProductSide ? 0.6 : 0);
    report.rows.back().note += "; " + bench.tiles();
  }
  const std::uint64_t side = settings.side.value_or(kCommandSide);
  Bench bench(**cluster, side);
  if (Status made = bench.make_files(); !made.ok()) return fail(made);
  const auto times =
      alternate(**cluster, bench, &Bench::command, side, runs, fmt::format("command n={}", side));
  if (!times) return fail(times.error());
  add_rows(report, fmt::format("n={} fp32, whole command with upload and download", side), *times,
           side, peak, side == kCommandSide ? 0.5 : 0);
  return report;
}

}  // namespace overwinter::bench
