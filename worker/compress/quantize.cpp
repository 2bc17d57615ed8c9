#include "worker/compress/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <vector>

#include "worker/compress/compress_kernels.h"
#include "worker/compress/shares.h"

namespace overwinter::worker {
namespace {

// Columns that are worked on together: their inverses lie on the stack.
constexpr std::size_t kColumns = 512;

struct RowsOf {
  const Tensor<const float>& from;
  MatrixSize size;
  std::span<std::int8_t> to;
  std::span<float> scales;
  const CompressKernels& kernels;
};

// Channels [begin, end); the largest bits of all.
std::uint32_t quantize_rows(const RowsOf& of, std::size_t begin, std::size_t end) {
  std::uint32_t most = 0;
  for (std::size_t row = begin; row < end; ++row) {
    const float* x = of.from.values.data() + row * of.size.columns;
    const std::uint32_t largest = of.kernels.largest(x, of.size.columns);
    most = std::max(most, largest);
    if (largest >= kInfinityBits) return most;
    const Int8Scale scale = int8_scale(largest);
    of.scales[row] = scale.scale;
    of.kernels.quantize(x, of.size.columns, scale.inverse, of.to.data() + row * of.size.columns);
  }
  return most;
}

std::uint32_t quantize_columns(const RowsOf& of, std::size_t begin, std::size_t end) {
  std::uint32_t most = 0;
  const std::size_t stride = of.size.columns;
  for (; begin < end; begin += kColumns) {
    const std::size_t width = std::min(kColumns, end - begin);
    std::array<std::uint32_t, kColumns> largest{};
    const float* x = of.from.values.data() + begin;
    of.kernels.largest_of_columns(x, of.size.rows, stride, width, largest.data());
    std::array<float, kColumns> inverses{};
    for (std::size_t j = 0; j < width; ++j) {
      most = std::max(most, largest[j]);
      const Int8Scale scale = int8_scale(largest[j]);
      of.scales[begin + j] = scale.scale;
      inverses[j] = scale.inverse;
    }
    if (most >= kInfinityBits) return most;
    for (std::size_t row = 0; row < of.size.rows; ++row) {
      of.kernels.quantize_columns(x + row * stride, width, inverses.data(),
                                  of.to.data() + row * stride + begin);
    }
  }
  return most;
}

template <class T>
Result<MatrixSize> checked_size(const Tensor<const T>& from, Channels channels, std::size_t to,
                                std::size_t scales) {
  const std::size_t count = from.values.size();
  if (Status good = check_shape(from.name, from.shape, count); !good.ok()) return fail(good);
  const auto size = matrix_size(from.name, from.shape, channels);
  if (!size) return size;
  if (Status good = check_room(from.name, "values", to, count); !good.ok()) return fail(good);
  Status good = check_room(from.name, "scales", scales, channel_count(*size, channels));
  if (!good.ok()) return fail(std::move(good));
  return size;
}

}  // namespace

Result<MatrixSize> matrix_size(std::string_view name, std::span<const std::size_t> shape,
                               Channels channels) {
  if (shape.empty()) {
    return fail(Code::kInvalidArgument,
                fmt::format("the tensor {} is one number and has no channels", name),
                std::string(name));
  }
  const bool first = channels == Channels::kFirst;
  const auto rest = count_of(name, first ? shape.subspan(1) : shape.first(shape.size() - 1));
  if (!rest) return fail(rest.error());
  if (const auto all = count_of(name, shape); !all) return fail(all.error());
  return first ? MatrixSize{shape.front(), *rest} : MatrixSize{*rest, shape.back()};
}

Int8Scale int8_scale(std::uint32_t largest_bits) {
  const float scale = std::bit_cast<float>(largest_bits) / 127.0F;
  if (scale < std::numeric_limits<float>::min()) return {};
  return {scale, 1.0F / scale};
}

Status quantize_int8(ThreadTeam& team, const Tensor<const float>& from, Channels channels,
                     std::span<std::int8_t> to, std::span<float> scales) {
  const auto size = checked_size(from, channels, to.size(), scales.size());
  if (!size) return size.error();
  const RowsOf of{from, *size, to, scales, compress_kernels(best_kernel_level())};
  std::vector<std::uint32_t> largest(team.size(), 0);
  const auto note = [&](auto&& quantize) {
    return [&](std::uint32_t thread, std::size_t begin, std::size_t end) {
      largest[thread] = quantize(of, begin, end);
    };
  };
  if (channels == Channels::kFirst) {
    for_each_share(team, size->rows, 1, note(quantize_rows), size->columns);
  } else {
    for_each_share(team, size->columns, kShareStep, note(quantize_columns), size->rows);
  }
  if (*std::ranges::max_element(largest) < kInfinityBits) return Status::success();
  return refuse_from(from, kInfinityBits, "fp32");
}

Status dequantize_int8(ThreadTeam& team, const Tensor<const std::int8_t>& from, Channels channels,
                       std::span<const float> scales, std::span<float> to) {
  const auto size = checked_size(from, channels, to.size(), scales.size());
  if (!size) return size.error();
  const CompressKernels& kernels = compress_kernels(best_kernel_level());
  for_each_share(
      team, size->rows, 1,
      [&](std::uint32_t /*thread*/, std::size_t begin, std::size_t end) {
        for (std::size_t row = begin; row < end; ++row) {
          const std::int8_t* q = from.values.data() + row * size->columns;
          float* x = to.data() + row * size->columns;
          if (channels == Channels::kFirst) {
            kernels.dequantize(q, size->columns, scales[row], x);
          } else {
            kernels.dequantize_columns(q, size->columns, scales.data(), x);
          }
        }
      },
      size->columns);
  return Status::success();
}

}  // namespace overwinter::worker
