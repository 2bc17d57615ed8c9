// What a training's rank is predicted to hold beside what a process of its own came to hold, over
// many trainings, and the workspace of a product by Strassen's method.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/bench/cluster.h"
#include "tests/bench/estimate.h"
#include "tests/bench/suites.h"

namespace overwinter::bench {
namespace {

Row row_of(const EstimateCase& of, const Estimate& estimate) {
  Row row;
  row.name = describe(of);
  row.unit = "MiB";
  row.ours = summarize({estimate.predicted / 1024 / 1024});
  row.peer_name = "measured";
  row.peer = summarize({estimate.measured / 1024 / 1024});
  row.ratio = estimate.predicted / estimate.measured;
  row.target = estimate.measured >= kEstimateMatters ? "within 5 %" : "within 3.2 MiB";
  row.met = is_good(estimate);
  return row;
}

}  // namespace

Result<SuiteReport> run_memory_estimate(const Settings& /*settings*/) {
  SuiteReport report;
  std::vector<double> errors;
  for (const EstimateCase& of : estimate_cases()) {
    if (interrupted()) return fail(Code::kCancelled, "interrupted");
    const auto estimate = run_estimate(of);
    if (!estimate) return fail(estimate.error());
    say(fmt::format("memory-estimate: {}: {}", describe(of), text_of(*estimate)));
    report.rows.push_back(row_of(of, *estimate));
    if (estimate->measured >= kEstimateMatters) errors.push_back(100 * std::abs(estimate->error()));
  }
  Row all;
  all.name = fmt::format("how far off, of {} trainings of 64 MiB or more", errors.size());
  all.unit = "%";
  all.ours = summarize(errors);
  all.target = "at most 5";
  all.met = all.ours.max <= 100 * kEstimateWithin;
  report.rows.push_back(all);
  return report;
}

}  // namespace overwinter::bench
