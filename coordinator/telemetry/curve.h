// A curve in bounded memory: points are gathered in buckets of steps, and of each bucket the first,
// the smallest, the largest and the last value stay, so that no spike is lost. When there are too
// many buckets, neighbours become one. Pure; not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "coordinator/telemetry/log_types.h"

namespace overwinter::telemetry {

struct CurveValue {
  AttemptNumber attempt = 0;
  std::uint64_t step = 0;
  Time time;
  double value = 0;
  friend bool operator==(const CurveValue&, const CurveValue&) = default;
};

// Exponential means by step over all points that came, also those that thinning has dropped; not
// biased towards nothing at the start. Values that are no numbers are passed over.
enum class Smoothing : std::uint8_t { kNone, kLight, kStrong };
inline constexpr std::array<double, 2> kSmoothingFactors{0.6, 0.9};  // of kLight and kStrong

class Curve {
 public:
  static constexpr std::size_t kBucketsMax = 512;
  static constexpr std::size_t kLostMax = 512;

  // The means up to a point: enough to go on from there.
  struct Means {
    std::array<float, 2> values{};
    std::uint32_t count = 0;  // of numbers that they are of
    friend bool operator==(const Means&, const Means&) = default;
  };
  struct Point {
    CurveValue value;
    Means means;
  };

  // A step that is not above the last one begins the curve again from there, as a restart from a
  // checkpoint does; of an older attempt than the last point's, or of the same one and no later,
  // it is ignored: late words, or a push that was sent again. What a later attempt takes back is
  // lost. Not a number counts as larger than all.
  void add(const CurveValue& value);
  // The same of a point that was kept, with its means.
  void add(const Point& point);
  // What a restart had taken back before.
  void add_lost(const CurveValue& value);

  // Kept values with a step of at least `from`, in order of their steps; thinned further to about
  // points_max (at least 4), keeping the extremes.
  [[nodiscard]] std::vector<CurveValue> values(std::uint64_t from = 0,
                                               std::size_t points_max = SIZE_MAX,
                                               Smoothing smoothing = Smoothing::kNone) const;
  [[nodiscard]] std::vector<Point> points(std::uint64_t from = 0,
                                          std::size_t points_max = SIZE_MAX) const;
  // What restarts took back, the last kLostMax of it, in the order in which it came.
  [[nodiscard]] const std::vector<CurveValue>& lost() const { return lost_; }
  [[nodiscard]] std::optional<CurveValue> last() const;
  // Points that were added and not taken back by a restart.
  [[nodiscard]] std::uint64_t count() const;

 private:
  struct Bucket {
    Point first, least, most, last;
    std::uint64_t count = 0;
  };
  static void merge(Bucket& into, const Bucket& later);
  static void append(const Bucket& bucket, std::uint64_t from, std::vector<Point>& out);
  [[nodiscard]] bool is_old(const CurveValue& value) const;
  void take_back(const CurveValue& by);
  [[nodiscard]] static std::vector<Bucket> halved(const std::vector<Bucket>& buckets,
                                                  std::uint64_t stride);

  std::uint64_t stride_ = 1;  // steps of a bucket
  std::vector<Bucket> buckets_;
  std::vector<CurveValue> lost_;
};

}  // namespace overwinter::telemetry
