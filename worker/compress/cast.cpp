#include "worker/compress/cast.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "worker/compress/compress_kernels.h"
#include "worker/compress/shares.h"
#include "worker/kernels/convert.h"

namespace overwinter::worker {
namespace {

// Numbers from here on are rounded to infinity: half way from the largest to what would be next.
struct ToBf16 {
  static constexpr std::uint32_t kFirstInfinite = 0x7f7f8000U;
  static constexpr std::string_view kLargest = "the largest number of bf16, 3.39e38";
};
struct ToFp16 {
  static constexpr std::uint32_t kFirstInfinite = 0x477ff000U;
  static constexpr std::string_view kLargest = "the largest number of fp16, 65,504";
};

template <class How, class To>
Status cast_as(ThreadTeam& team, const Tensor<const float>& from, std::span<To> to) {
  const std::size_t count = from.values.size();
  if (Status good = check_shape(from.name, from.shape, count); !good.ok()) return good;
  if (Status good = check_room(from.name, "values", to.size(), count); !good.ok()) return good;
  const CompressKernels& kernels = compress_kernels(best_kernel_level());
  std::vector<std::uint32_t> largest(team.size(), 0);
  for_each_share(team, count, kShareStep,
                 [&](std::uint32_t thread, std::size_t begin, std::size_t end) {
                   std::uint32_t most = 0;
                   for (; begin < end; begin += kChunk) {
                     const std::size_t size = std::min(kChunk, end - begin);
                     const float* x = from.values.data() + begin;
                     most = std::max(most, kernels.largest(x, size));
                     narrow(x, size, to.data() + begin);
                   }
                   largest[thread] = most;
                 });
  if (*std::ranges::max_element(largest) < How::kFirstInfinite) return Status::success();
  return refuse_from(from, How::kFirstInfinite, How::kLargest);
}

}  // namespace

double bf16_error_max(double x) {
  return std::max(0x1p-8 * std::abs(x), 0x1p-134);
}

double fp16_error_max(double x) {
  return std::max(0x1p-11 * std::abs(x), 0x1p-25);
}

Status cast(ThreadTeam& team, const Tensor<const float>& from, std::span<BFloat16> to) {
  return cast_as<ToBf16>(team, from, to);
}

Status cast(ThreadTeam& team, const Tensor<const float>& from, std::span<Float16> to) {
  return cast_as<ToFp16>(team, from, to);
}

}  // namespace overwinter::worker
