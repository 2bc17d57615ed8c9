// A curve in bounded memory: points are gathered in buckets of steps, and of each bucket the first,
// the smallest, the largest and the last value stay, so that no spike is lost. When there are too
// many buckets, neighbours become one. Pure; not thread-safe.
#pragma once

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

class Curve {
 public:
  static constexpr std::size_t kBucketsMax = 512;

  // A step that is not above the last one begins the curve again from there, as a restart from a
  // checkpoint does; of an older attempt than the last point's it is ignored. Not a number counts
  // as larger than all.
  void add(const CurveValue& value);

  // Kept values with a step of at least `from`, in order of their steps; thinned further to about
  // points_max (at least 4), keeping the extremes.
  [[nodiscard]] std::vector<CurveValue> values(std::uint64_t from = 0,
                                               std::size_t points_max = SIZE_MAX) const;
  [[nodiscard]] std::optional<CurveValue> last() const;
  // Points that were added and not taken back by a restart.
  [[nodiscard]] std::uint64_t count() const;

 private:
  struct Bucket {
    CurveValue first, least, most, last;
    std::uint64_t count = 0;
  };
  static void merge(Bucket& into, const Bucket& later);
  static void append(const Bucket& bucket, std::uint64_t from, std::vector<CurveValue>& out);
  void take_back(std::uint64_t step);
  [[nodiscard]] static std::vector<Bucket> halved(const std::vector<Bucket>& buckets,
                                                  std::uint64_t stride);

  std::uint64_t stride_ = 1;  // steps of a bucket
  std::vector<Bucket> buckets_;
};

}  // namespace overwinter::telemetry
