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

}  // namespace

void Curve::merge(Bucket& into, const Bucket& later) {
  if (less(later.least.value, into.least.value)) into.least = later.least;
  if (less(into.most.value, later.most.value)) into.most = later.most;
  into.last = later.last;
  into.count += later.count;
}

std::vector<Curve::Bucket> Curve::halved(const std::vector<Bucket>& buckets, std::uint64_t stride) {
  std::vector<Bucket> out;
  for (const Bucket& bucket : buckets) {
    if (!out.empty() && out.back().first.step / stride == bucket.first.step / stride)
      merge(out.back(), bucket);
    else
      out.push_back(bucket);
  }
  return out;
}

// Exact for values that are still there one by one; of a bucket that the step falls into what is
// known of before it stays.
void Curve::take_back(std::uint64_t step) {
  while (!buckets_.empty() && buckets_.back().first.step >= step) buckets_.pop_back();
  if (buckets_.empty() || buckets_.back().last.step < step) return;
  Bucket& bucket = buckets_.back();
  std::vector<CurveValue> kept;
  append(bucket, 0, kept);
  std::erase_if(kept, [&](const CurveValue& value) { return value.step >= step; });
  Bucket rest{kept[0], kept[0], kept[0], kept[0], 1};
  for (std::size_t i = 1; i < kept.size(); ++i)
    merge(rest, {kept[i], kept[i], kept[i], kept[i], 1});
  bucket = rest;
}

void Curve::add(const CurveValue& value) {
  if (!buckets_.empty() && value.step <= buckets_.back().last.step) {
    if (value.attempt < buckets_.back().last.attempt) return;
    take_back(value.step);
  }
  const Bucket fresh{value, value, value, value, 1};
  if (!buckets_.empty() && buckets_.back().first.step / stride_ == value.step / stride_) {
    merge(buckets_.back(), fresh);
    return;
  }
  buckets_.push_back(fresh);
  while (buckets_.size() > kBucketsMax) {
    stride_ *= 2;
    buckets_ = halved(buckets_, stride_);
  }
}

void Curve::append(const Bucket& bucket, std::uint64_t from, std::vector<CurveValue>& out) {
  std::vector<CurveValue> values{bucket.first, bucket.least, bucket.most, bucket.last};
  std::sort(values.begin(), values.end(),
            [](const CurveValue& a, const CurveValue& b) { return a.step < b.step; });
  std::uint64_t step = 0;
  bool any = false;
  for (const CurveValue& value : values) {
    if (value.step < from || (any && value.step == step)) continue;
    out.push_back(value);
    step = value.step;
    any = true;
  }
}

std::vector<CurveValue> Curve::values(std::uint64_t from, std::size_t points_max) const {
  std::vector<Bucket> wanted;
  for (const Bucket& bucket : buckets_)
    if (bucket.last.step >= from) wanted.push_back(bucket);
  const std::size_t buckets_max = std::max<std::size_t>(points_max / 4, 1);
  for (std::uint64_t stride = stride_;
       wanted.size() > buckets_max && stride <= (std::uint64_t{1} << 62);) {
    stride *= 2;
    wanted = halved(wanted, stride);
  }
  std::vector<CurveValue> out;
  for (const Bucket& bucket : wanted) append(bucket, from, out);
  return out;
}

std::optional<CurveValue> Curve::last() const {
  if (buckets_.empty()) return std::nullopt;
  return buckets_.back().last;
}

std::uint64_t Curve::count() const {
  std::uint64_t count = 0;
  for (const Bucket& bucket : buckets_) count += bucket.count;
  return count;
}

}  // namespace overwinter::telemetry
