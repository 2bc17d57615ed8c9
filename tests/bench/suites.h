// The suites. Each starts what it measures, measures it beside its peer in the same run, and ends
// everything that it started.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "tests/bench/report.h"

namespace overwinter::bench {

struct Settings {
  std::optional<std::size_t> runs;    // --runs; else the number of the suite
  std::optional<std::uint64_t> side;  // --n: of square matrices, where a suite has such
  std::string bin;                    // the folder of the shipped programs
  bool large = false;                 // --large: what takes many minutes too
};

struct Suite {
  std::string_view name;
  std::string_view what;
  Result<SuiteReport> (*run)(const Settings&);
};

[[nodiscard]] Result<SuiteReport> run_compress(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_exec(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_gang(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_gemm(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_gpu(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_idle(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_latency(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_matmul(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_memory(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_memory_estimate(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_page(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_store(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_strassen(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_train(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_units(const Settings& settings);
[[nodiscard]] Result<SuiteReport> run_verify(const Settings& settings);

}  // namespace overwinter::bench
