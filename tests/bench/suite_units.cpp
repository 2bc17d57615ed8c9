// Units that do nothing, handed out and reported over TLS: what the coordinator itself can do.
#include <fmt/format.h>
#include <unistd.h>

#include <google/protobuf/util/time_util.h>

#include "tests/bench/cluster.h"
#include "tests/bench/suites.h"

namespace overwinter::bench {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::uint64_t kUnits = 200'000;
constexpr std::size_t kRuns = 5;
constexpr double kTarget = 20'000;

}  // namespace

Result<SuiteReport> run_units(const Settings& settings) {
  SuiteReport report;
  if (::access((settings.bin + "/" + kTestCoordinator).c_str(), X_OK) != 0) {
    report.skipped = fmt::format(
        "{} is not beside this program: only a build with tests has the workload (cmake --preset "
        "test)",
        kTestCoordinator);
    return report;
  }
  say("units: starting the coordinator of the test build and two workers");
  auto cluster = Cluster::up_for_test_workloads(settings, 2, "cpu:memory=512MiB,threads=1");
  if (!cluster) return fail(cluster.error());
  // Ranges as they come by default, and one by one.
  for (const std::uint64_t range : {64, 1}) {
    std::vector<double> rates;
    const std::uint64_t units = range == 1 ? kUnits / 20 : kUnits;
    for (std::size_t i = 0; i <= settings.runs.value_or(kRuns) && !interrupted(); ++i) {
      say(fmt::format("units: {} in ranges of at most {}, run {}", units, range, i));
      v1::JobSpec spec;
      spec.set_project(kProject);
      spec.set_name("units");
      spec.mutable_noop()->set_units(units);
      spec.mutable_noop()->set_units_per_range_max(range);
      const auto job = (*cluster)->run_job(spec);
      if (!job) return fail(job.error());
      const auto ms = TimeUtil::DurationToMilliseconds(job->end_time() - job->start_time());
      if (i > 0) {  // the first is to warm up
        rates.push_back(static_cast<double>(units) * 1000 /
                        static_cast<double>(std::max<std::int64_t>(1, ms)));
      }
    }
    Row row;
    row.name = fmt::format("units a second over 2 workers, ranges of at most {}", range);
    row.unit = "1/s";
    row.ours = summarize(rates);
    if (range != 1) {
      row.target = "20,000 a second";
      row.met = row.ours.median >= kTarget;
    }
    report.rows.push_back(row);
  }
  return report;
}

}  // namespace overwinter::bench
