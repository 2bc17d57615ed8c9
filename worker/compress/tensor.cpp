#include "worker/compress/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "worker/compress/compress_kernels.h"
#include "worker/compress/shares.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kCountMax = std::numeric_limits<std::int64_t>::max();

std::string called(std::string_view name) {
  return fmt::format("the tensor {}", name.empty() ? "without a name" : name);
}

}  // namespace

Result<std::size_t> count_of(std::string_view name, std::span<const std::size_t> shape) {
  // A size of 0 makes it empty, whatever the others are.
  if (std::ranges::find(shape, std::size_t{0}) != shape.end()) return 0;
  std::size_t count = 1;
  for (const std::size_t size : shape) {
    if (size > kCountMax / count) {
      return fail(Code::kInvalidArgument, called(name) + " has more values than 63 bits can count",
                  std::string(name));
    }
    count *= size;
  }
  return count;
}

Status check_shape(std::string_view name, std::span<const std::size_t> shape, std::size_t values) {
  const auto count = count_of(name, shape);
  if (!count) return count.error();
  if (*count == values) return Status::success();
  return error(Code::kInvalidArgument,
               fmt::format("{} has {} values, and its shape says {}", called(name), values, *count),
               std::string(name));
}

Status check_room(std::string_view name, std::string_view what, std::size_t given,
                  std::size_t wanted) {
  if (given == wanted) return Status::success();
  return error(
      Code::kInvalidArgument,
      fmt::format("{} needs {} {}, and there is room for {}", called(name), wanted, what, given),
      std::string(name));
}

std::string index_text(std::span<const std::size_t> shape, std::size_t place) {
  std::string text;
  for (std::size_t i = shape.size(); i-- > 0;) {
    text.insert(0, fmt::format("{}{}", i == 0 ? "" : ", ", place % shape[i]));
    place /= shape[i];
  }
  return "[" + text + "]";
}

Status refuse_from(const Tensor<const float>& tensor, std::uint32_t bits, std::string_view type) {
  const auto found = std::ranges::find_if(tensor.values, [&](float x) {
    return (std::bit_cast<std::uint32_t>(x) & 0x7fffffffU) >= bits;
  });
  if (found == tensor.values.end()) return Status::success();
  const std::string where =
      index_text(tensor.shape, static_cast<std::size_t>(found - tensor.values.begin()));
  if (!std::isfinite(*found)) {
    return error(Code::kInvalidArgument,
                 fmt::format("{} holds {} at {}: what is not finite is not compressed",
                             called(tensor.name), std::isnan(*found) ? "NaN" : "infinity", where),
                 std::string(tensor.name));
  }
  return error(Code::kOutOfRange,
               fmt::format("{} holds {} at {}, which is beyond {}", called(tensor.name), *found,
                           where, type),
               std::string(tensor.name), "compress it to another type");
}

Status check_finite(ThreadTeam& team, const Tensor<const float>& tensor) {
  const CompressKernels& kernels = compress_kernels(best_kernel_level());
  std::vector<std::uint32_t> largest(team.size(), 0);
  for_each_share(team, tensor.values.size(), kShareStep,
                 [&](std::uint32_t thread, std::size_t begin, std::size_t end) {
                   largest[thread] = kernels.largest(tensor.values.data() + begin, end - begin);
                 });
  if (*std::ranges::max_element(largest) < kInfinityBits) return Status::success();
  return refuse_from(tensor, kInfinityBits, "fp32");
}

}  // namespace overwinter::worker
