#include "coordinator/dashboard/series.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace overwinter::dashboard {
namespace {

double place(const telemetry::CurveValue& point, Axis axis) {
  return axis == Axis::kStep ? static_cast<double>(point.step)
                             : static_cast<double>(unix_ms(point.time));
}

nlohmann::json number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

}  // namespace

std::vector<std::size_t> part_starts(std::span<const telemetry::CurveValue> points, Axis axis) {
  if (points.empty()) return {};
  std::vector<double> distances;
  for (std::size_t i = 1; i < points.size(); ++i) {
    if (points[i].attempt != points[i - 1].attempt) continue;
    distances.push_back(place(points[i], axis) - place(points[i - 1], axis));
  }
  double widest = INFINITY;
  if (distances.size() >= 3) {
    double sum = 0;
    for (const double distance : distances) sum += distance;
    const auto middle = distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2);
    std::nth_element(distances.begin(), middle, distances.end());
    widest = std::max(3 * *middle, 6 * sum / static_cast<double>(distances.size()));
  }
  std::vector<std::size_t> starts{0};
  for (std::size_t i = 1; i < points.size(); ++i) {
    const bool other_attempt = points[i].attempt != points[i - 1].attempt;
    if (other_attempt || place(points[i], axis) - place(points[i - 1], axis) > widest) {
      starts.push_back(i);
    }
  }
  return starts;
}

namespace {

nlohmann::json parts_json(std::span<const telemetry::CurveValue> points,
                          std::span<const telemetry::CurveValue> smooth,
                          std::vector<std::size_t> starts) {
  auto parts = nlohmann::json::array();
  starts.push_back(points.size());
  for (std::size_t part = 0; part + 1 < starts.size(); ++part) {
    auto steps = nlohmann::json::array();
    auto times = nlohmann::json::array();
    auto values = nlohmann::json::array();
    for (std::size_t i = starts[part]; i < starts[part + 1]; ++i) {
      steps.push_back(points[i].step);
      times.push_back(unix_ms(points[i].time));
      values.push_back(number(points[i].value));
    }
    nlohmann::json out{{"attempt", points[starts[part]].attempt},
                       {"steps", std::move(steps)},
                       {"times", std::move(times)},
                       {"values", std::move(values)}};
    if (smooth.size() == points.size()) {
      auto& means = out["smooth"] = nlohmann::json::array();
      for (std::size_t i = starts[part]; i < starts[part + 1]; ++i)
        means.push_back(number(smooth[i].value));
    }
    parts.push_back(std::move(out));
  }
  return parts;
}

// One a restart: where steps go back, or another attempt's begin.
std::vector<std::size_t> lost_starts(std::span<const telemetry::CurveValue> lost) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < lost.size(); ++i) {
    if (i == 0 || lost[i].attempt != lost[i - 1].attempt || lost[i].step <= lost[i - 1].step)
      starts.push_back(i);
  }
  return starts;
}

}  // namespace

nlohmann::json series_json(const telemetry::CurveSummary& summary, const CurvePoints& points,
                           Axis axis) {
  return {{"metric", summary.name},
          {"count", std::to_string(summary.count)},
          {"kept", points.values.size()},
          {"parts", parts_json(points.values, points.smooth, part_starts(points.values, axis))},
          {"lost", parts_json(points.lost, {}, lost_starts(points.lost))}};
}

}  // namespace overwinter::dashboard
