#include "coordinator/telemetry/curve.h"

#include <algorithm>
#include <cmath>

namespace overwinter::telemetry {
namespace {

// Whether a is smaller; not a number is larger than all numbers.
bool less(double a, double b) {
  if (std::isnan(a)) return false;
  return std::isnan(b) || a < b;
}

std::uint64_t step_of(const Curve::Point& point) {
  return point.value.step;
}

Curve::Means next_means(const Curve::Means& before, double value) {
  if (!std::isfinite(value)) return before;
  Curve::Means out = before;
  out.count = before.count == UINT32_MAX - 1 ? before.count : before.count + 1;
  for (std::size_t i = 0; i < kSmoothingFactors.size(); ++i) {
    // What is kept has its weight divided out: that is put back first.
    const double factor = kSmoothingFactors[i];
    const double weight = 1 - std::pow(factor, before.count);
    const double sum = factor * before.values[i] * weight + (1 - factor) * value;
    out.values[i] = static_cast<float>(sum / (1 - std::pow(factor, out.count)));
  }
  return out;
}

}  // namespace

void Curve::merge(Bucket& into, const Bucket& later) {
  if (less(later.least.value.value, into.least.value.value)) into.least = later.least;
  if (less(into.most.value.value, later.most.value.value)) into.most = later.most;
  into.last = later.last;
  into.count += later.count;
}

std::vector<Curve::Bucket> Curve::halved(const std::vector<Bucket>& buckets, std::uint64_t stride) {
  std::vector<Bucket> out;
  for (const Bucket& bucket : buckets) {
    if (!out.empty() && step_of(out.back().first) / stride == step_of(bucket.first) / stride)
      merge(out.back(), bucket);
    else
      out.push_back(bucket);
  }
  return out;
}

// Exact for values that are still there one by one; of a bucket that the step falls into what is
// known of before it stays.
void Curve::take_back(const CurveValue& by) {
  const std::uint64_t step = by.step;
  std::size_t whole = buckets_.size();
  while (whole > 0 && step_of(buckets_[whole - 1].first) >= step) --whole;
  std::vector<Point> gone;
  if (whole > 0 && step_of(buckets_[whole - 1].last) >= step) {
    Bucket& bucket = buckets_[whole - 1];
    std::vector<Point> kept;
    append(bucket, 0, kept);
    const auto cut = std::find_if(kept.begin(), kept.end(),
                                  [&](const Point& point) { return step_of(point) >= step; });
    gone.assign(cut, kept.end());
    kept.erase(cut, kept.end());
    Bucket rest{kept[0], kept[0], kept[0], kept[0], 1};
    for (std::size_t i = 1; i < kept.size(); ++i)
      merge(rest, {kept[i], kept[i], kept[i], kept[i], 1});
    bucket = rest;
  }
  for (std::size_t i = whole; i < buckets_.size(); ++i) append(buckets_[i], 0, gone);
  buckets_.resize(whole);
  // Within an attempt nothing is thrown away: a program told a step again.
  for (const Point& point : gone)
    if (point.value.attempt != by.attempt) add_lost(point.value);
}

void Curve::add_lost(const CurveValue& value) {
  if (lost_.size() >= 2 * kLostMax) lost_.erase(lost_.begin(), lost_.end() - kLostMax);
  lost_.push_back(value);
}

bool Curve::is_old(const CurveValue& value) const {
  const CurveValue& last = buckets_.back().last.value;
  return value.attempt < last.attempt || (value.attempt == last.attempt && value.time <= last.time);
}

void Curve::add(const CurveValue& value) {
  if (!buckets_.empty() && value.step <= step_of(buckets_.back().last)) {
    if (is_old(value)) return;
    take_back(value);
  }
  const Means before = buckets_.empty() ? Means{} : buckets_.back().last.means;
  add(Point{value, next_means(before, value.value)});
}

void Curve::add(const Point& point) {
  if (!buckets_.empty() && step_of(point) <= step_of(buckets_.back().last)) {
    if (is_old(point.value)) return;
    take_back(point.value);
  }
  const Bucket fresh{point, point, point, point, 1};
  if (!buckets_.empty() && step_of(buckets_.back().first) / stride_ == step_of(point) / stride_) {
    merge(buckets_.back(), fresh);
    return;
  }
  buckets_.push_back(fresh);
  while (buckets_.size() > kBucketsMax) {
    stride_ *= 2;
    buckets_ = halved(buckets_, stride_);
  }
}

void Curve::append(const Bucket& bucket, std::uint64_t from, std::vector<Point>& out) {
  std::vector<Point> points{bucket.first, bucket.least, bucket.most, bucket.last};
  std::sort(points.begin(), points.end(),
            [](const Point& a, const Point& b) { return step_of(a) < step_of(b); });
  std::uint64_t step = 0;
  bool any = false;
  for (const Point& point : points) {
    if (step_of(point) < from || (any && step_of(point) == step)) continue;
    out.push_back(point);
    step = step_of(point);
    any = true;
  }
}

std::vector<Curve::Point> Curve::points(std::uint64_t from, std::size_t points_max) const {
  std::vector<Bucket> wanted;
  for (const Bucket& bucket : buckets_)
    if (step_of(bucket.last) >= from) wanted.push_back(bucket);
  const std::size_t buckets_max = std::max<std::size_t>(points_max / 4, 1);
  for (std::uint64_t stride = stride_;
       wanted.size() > buckets_max && stride <= (std::uint64_t{1} << 62);) {
    stride *= 2;
    wanted = halved(wanted, stride);
  }
  std::vector<Point> out;
  for (const Bucket& bucket : wanted) append(bucket, from, out);
  return out;
}

std::vector<CurveValue> Curve::values(std::uint64_t from, std::size_t points_max,
                                      Smoothing smoothing) const {
  std::vector<CurveValue> out;
  for (const Point& point : points(from, points_max)) {
    out.push_back(point.value);
    if (smoothing == Smoothing::kNone) continue;
    const auto which = static_cast<std::size_t>(smoothing) - 1;
    out.back().value = point.means.count == 0 ? NAN : point.means.values[which];
  }
  return out;
}

std::optional<CurveValue> Curve::last() const {
  if (buckets_.empty()) return std::nullopt;
  return buckets_.back().last.value;
}

std::uint64_t Curve::count() const {
  std::uint64_t count = 0;
  for (const Bucket& bucket : buckets_) count += bucket.count;
  return count;
}

}  // namespace overwinter::telemetry
