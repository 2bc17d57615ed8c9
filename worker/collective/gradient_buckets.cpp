#include "worker/collective/gradient_buckets.h"

#include <algorithm>

#include "common/base/check.h"

namespace overwinter::worker {

GradientBuckets::GradientBuckets(Collective& collective, std::span<float> gradient,
                                 std::size_t bucket_floats)
    : collective_(collective),
      gradient_(gradient),
      bucket_floats_(std::max<std::size_t>(bucket_floats, 1)),
      begun_from_(gradient.size()) {}

void GradientBuckets::begin_step() {
  pending_.clear();
  begun_from_ = gradient_.size();
}

Status GradientBuckets::begin(std::size_t from) {
  auto pending = collective_.start_all_reduce_sum(gradient_.subspan(from, begun_from_ - from));
  if (!pending) return pending.error();
  begun_from_ = from;
  pending_.push_back(std::move(*pending));
  return Status::success();
}

Status GradientBuckets::final_from(std::size_t offset) {
  check(offset <= gradient_.size(), "an offset lies in the gradient");
  while (begun_from_ >= offset + bucket_floats_) {
    if (Status s = begin(begun_from_ - bucket_floats_); !s.ok()) return s;
  }
  return Status::success();
}

Status GradientBuckets::finish() {
  if (Status s = final_from(0); !s.ok()) return s;
  if (begun_from_ > 0) {
    if (Status s = begin(0); !s.ok()) return s;
  }
  for (auto& pending : pending_) {
    if (Status s = pending->wait(); !s.ok()) return s;
    pending.reset();
  }
  pending_.clear();
  return Status::success();
}

}  // namespace overwinter::worker
