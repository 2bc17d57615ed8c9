#include "worker/compress/int8_linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <string>
#include <utility>

#include "worker/compress/compress_kernels.h"
#include "worker/compress/shares.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kBytesMax = std::numeric_limits<std::int64_t>::max();

Result<std::size_t> bytes_of(std::size_t rows, std::size_t columns, std::size_t size) {
  if (columns != 0 && rows > kBytesMax / size / columns)
    return fail(Code::kResourceExhausted, "a product has more bytes than 63 bits can count");
  return rows * columns * size;
}

}  // namespace

Result<std::size_t> Int8Linear::room_bytes(std::size_t k, std::size_t n, std::size_t rows) {
  std::size_t all = 0;
  for (const auto& part : {bytes_of(1, n, sizeof(float)), bytes_of(rows, 1, sizeof(float)),
                           bytes_of(rows, k, 1), bytes_of(rows, n, sizeof(std::int32_t))}) {
    if (!part) return part;
    if (all > kBytesMax - *part)
      return fail(Code::kResourceExhausted, "a product has more bytes than 63 bits can count");
    all += *part;
  }
  return all;
}

Result<Int8Linear> Int8Linear::make(GemmBackend& backend, ThreadTeam& team, MemoryResource& memory,
                                    const Tensor<const std::int8_t>& weights, Channels channels,
                                    std::span<const float> scales, std::size_t rows) {
  Status good = check_shape(weights.name, weights.shape, weights.values.size());
  if (!good.ok()) return fail(std::move(good));
  const auto size = matrix_size(weights.name, weights.shape, channels);
  if (!size) return fail(size.error());
  const bool first = channels == Channels::kFirst;
  const std::size_t k = first ? size->columns : size->rows;
  const std::size_t n = first ? size->rows : size->columns;
  good = check_room(weights.name, "scales", scales.size(), n);
  if (!good.ok()) return fail(std::move(good));
  if (k > kInt8TermsMax) {
    return fail(Code::kOutOfRange,
                fmt::format("the tensor {} has {} terms a sum; int32 holds {} of int8 at most",
                            weights.name, k, kInt8TermsMax),
                std::string(weights.name));
  }
  if (!backend.supports(GemmType::kInt8)) {
    return fail(Code::kUnimplemented,
                std::string(backend.name()) + " has no products of int8 on this processor");
  }
  rows = std::max<std::size_t>(rows, 1);
  if (const auto room = room_bytes(k, n, rows); !room) return fail(room.error());
  Int8Linear linear(backend, team, {k, n}, rows);
  const std::array<std::pair<Buffer*, std::size_t>, 4> buffers{
      {{&linear.scales_, n * sizeof(float)},
       {&linear.row_scales_, rows * sizeof(float)},
       {&linear.quantized_, rows * k},
       {&linear.sums_, rows * n * sizeof(std::int32_t)}}};
  for (const auto& [buffer, bytes] : buffers) {
    auto taken = Buffer::make(memory, bytes);
    if (!taken) return fail(taken.error());
    *buffer = *std::move(taken);
  }
  std::ranges::copy(scales, linear.scales_.as<float>());
  GemmWeights b;
  b.type = GemmType::kInt8;
  b.transpose = first;
  b.k = k;
  b.n = n;
  b.b = weights.values.data();
  b.ldb = first ? k : n;
  b.rows = rows;
  auto packed = backend.pack(b, memory);
  if (!packed) return fail(packed.error());
  linear.packed_ = *std::move(packed);
  return linear;
}

std::uint32_t Int8Linear::quantize_rows(const float* x, std::size_t rows) {
  const CompressKernels& kernels = compress_kernels(best_kernel_level());
  std::atomic<std::uint32_t> most{0};
  float* scales = row_scales_.as<float>();
  auto* q = quantized_.as<std::int8_t>();
  for_each_share(
      *team_, rows, 1,
      [&](std::uint32_t /*thread*/, std::size_t begin, std::size_t end) {
        std::uint32_t mine = 0;
        for (std::size_t row = begin; row < end; ++row) {
          const std::uint32_t largest = kernels.largest(x + row * k_, k_);
          mine = std::max(mine, largest);
          if (mine >= kInfinityBits) break;
          const Int8Scale scale = int8_scale(largest);
          scales[row] = scale.scale;
          kernels.quantize(x + row * k_, k_, scale.inverse, q + row * k_);
        }
        std::uint32_t before = most.load();
        while (before < mine && !most.compare_exchange_weak(before, mine)) {
        }
      },
      k_);
  return most.load();
}

void Int8Linear::scale_rows(std::size_t rows, std::span<const float> bias, float* y) {
  const CompressKernels& kernels = compress_kernels(best_kernel_level());
  for_each_share(
      *team_, rows, 1,
      [&](std::uint32_t /*thread*/, std::size_t begin, std::size_t end) {
        for (std::size_t row = begin; row < end; ++row) {
          kernels.scale_sums(sums_.as<std::int32_t>() + row * n_, n_, row_scales_.as<float>()[row],
                             scales_.as<float>(), bias.empty() ? nullptr : bias.data(),
                             y + row * n_);
        }
      },
      n_);
}

Status Int8Linear::multiply(const Tensor<const float>& x, std::span<const float> bias,
                            std::span<float> y) {
  if (Status good = check_shape(x.name, x.shape, x.values.size()); !good.ok()) return good;
  const auto size = matrix_size(x.name, x.shape, Channels::kLast);
  if (!size) return size.error();
  if (size->columns != k_) {
    return error(Code::kInvalidArgument,
                 fmt::format("the tensor {} has rows of {} values, and the weights have {}", x.name,
                             size->columns, k_),
                 std::string(x.name));
  }
  const auto bytes = bytes_of(size->rows, n_, sizeof(float));
  if (!bytes) return bytes.error();
  if (Status good = check_room(x.name, "results", y.size(), size->rows * n_); !good.ok())
    return good;
  if (!bias.empty()) {
    if (Status good = check_room(x.name, "values of bias", bias.size(), n_); !good.ok())
      return good;
  }
  for (std::size_t begin = 0; begin < size->rows; begin += rows_) {
    const std::size_t rows = std::min(rows_, size->rows - begin);
    if (quantize_rows(x.values.data() + begin * k_, rows) >= kInfinityBits)
      return refuse_from(x, kInfinityBits, "fp32");
    Gemm<std::int8_t> product;
    product.m = rows;
    product.n = n_;
    product.k = k_;
    product.a = quantized_.as<std::int8_t>();
    product.lda = k_;
    product.packed = packed_.get();
    product.c = sums_.as<std::int32_t>();
    product.ldc = n_;
    if (Status done = backend_->gemm(product); !done.ok()) return done;
    scale_rows(rows, bias, y.data() + begin * n_);
  }
  return Status::success();
}

}  // namespace overwinter::worker
