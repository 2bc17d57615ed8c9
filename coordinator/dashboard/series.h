// Curves for a plot: one array an attempt, split where points are missing.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "coordinator/telemetry/curve_store.h"

namespace overwinter::dashboard {

enum class Axis { kStep, kTime };

// Where each part of a curve begins: at its first point, where the attempt changes, and behind a
// gap. A gap is wider than six times the mean and three times the median distance of neighbours:
// thinned points stand in pairs, so their median alone may be a single step.
[[nodiscard]] std::vector<std::size_t> part_starts(std::span<const telemetry::CurveValue> points,
                                                   Axis axis);

// The values of one curve that are shown.
struct CurvePoints {
  std::span<const telemetry::CurveValue> values;
  std::span<const telemetry::CurveValue> smooth = {};  // the same points smoothed; may be empty
  std::span<const telemetry::CurveValue> lost = {};    // what restarts took back
};
// {"metric", "count" (points that came), "kept", "parts": [{"attempt", "steps": […], "times": [ms
// …], "values": […], "smooth": […] where it was asked for}], "lost": [parts]}. Values that are no
// numbers are "NaN", "Infinity" and "-Infinity".
[[nodiscard]] nlohmann::json series_json(const telemetry::CurveSummary& summary,
                                         const CurvePoints& points, Axis axis);

}  // namespace overwinter::dashboard
