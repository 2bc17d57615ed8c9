// What a program's lines say of its progress (INTERFACE §3): its own "overwinter: step=10
// loss=2.31", the job file's `metrics` patterns, and the dictionaries that Hugging Face's Trainer
// prints. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/exec/metric_pattern.h"

namespace overwinter::worker::exec {

struct NamedPattern {
  std::string name;
  MetricPattern pattern;
};

inline constexpr std::size_t kMetricsMax = 16;  // patterns of a job, values of a line
inline constexpr std::size_t kMetricNameMax = 64;

struct ProgressLine {
  std::optional<std::uint64_t> step;
  std::optional<double> loss;
  std::optional<double> validation_loss;
  std::vector<std::pair<std::string, double>> metrics;  // all others, at most kMetricsMax

  [[nodiscard]] bool empty() const { return !step && !loss && !validation_loss && metrics.empty(); }
  friend bool operator==(const ProgressLine&, const ProgressLine&) = default;
};

// Values that are no number are left out; "nan" and "inf" are numbers, for a loss that is one is
// news. `step` is a whole number; `eval_loss`, `val_loss` and `validation_loss` are the validation
// loss.
[[nodiscard]] ProgressLine parse_progress(std::string_view line,
                                          const std::vector<NamedPattern>& patterns);

}  // namespace overwinter::worker::exec
