#include "worker/compress/int8_linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "tests/unit/worker/compress/compress_cases.h"
#include "worker/compress/compress_reference.h"
#include "worker/kernels/chosen_gemm.h"
#include "worker/kernels/openblas_gemm.h"
#include "worker/kernels/reference_gemm.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kPlenty = std::size_t{1} << 32U;

// A weight of `k` terms and `n` columns, quantised.
struct Weights {
  Weights(ThreadTeam& team, std::size_t k, std::size_t n, Channels which, unsigned seed)
      : channels(which),
        shape(which == Channels::kFirst ? Shape{n, k} : Shape{k, n}),
        values(normal_values(k * n, seed)),
        q(k * n),
        scales(n) {
    EXPECT_TRUE(quantize_int8(team, tensor_of(values, shape), channels, q, scales).ok());
  }
  [[nodiscard]] Tensor<const std::int8_t> tensor() const { return {"w", shape, q}; }
  [[nodiscard]] MatrixSize size() const { return {shape[0], shape[1]}; }
  [[nodiscard]] double value(std::size_t l, std::size_t j) const {
    return static_cast<double>(
        values[channels == Channels::kFirst ? j * shape[1] + l : l * shape[1] + j]);
  }
  Channels channels;
  Shape shape;
  Floats values;
  std::vector<std::int8_t> q;
  Floats scales;
};

// The bound of int8_linear.h against the product of the fp32 numbers, in double.
void expect_within_the_bound(const Floats& x, std::size_t rows, const Weights& w,
                             const Floats& bias, const Floats& y, std::size_t k, std::size_t n) {
  for (std::size_t i = 0; i < rows; ++i) {
    double largest = 0;
    double x_sum = 0;
    for (std::size_t l = 0; l < k; ++l) {
      const double size = std::abs(static_cast<double>(x[i * k + l]));
      largest = std::max(largest, size);
      x_sum += size;
    }
    const double x_step = kInt8ErrorSteps * largest / 127;
    for (std::size_t j = 0; j < n; ++j) {
      double want = 0;
      double w_sum = 0;
      for (std::size_t l = 0; l < k; ++l) {
        want += static_cast<double>(x[i * k + l]) * w.value(l, j);
        w_sum += std::abs(w.value(l, j));
      }
      const double w_step = kInt8ErrorSteps * static_cast<double>(w.scales[j]);
      const double b = bias.empty() ? 0 : static_cast<double>(bias[j]);
      const auto got = static_cast<double>(y[i * n + j]);
      const double bound =
          (w_step * x_sum + x_step * w_sum + static_cast<double>(k) * x_step * w_step) *
              (1 + 1e-6) +
          4 * 0x1p-24 * (std::abs(got) + std::abs(b));
      ASSERT_LE(std::abs(got - want - b), bound) << i << " " << j;
    }
  }
}

TEST(Int8Linear, IsTheTwinsAndWithinTheBoundOfItsError) {
  ThreadTeam team(2);
  HostResource memory;
  ChosenGemm chosen(team, memory);
  ReferenceGemm reference;
  struct Case {
    std::size_t rows, k, n;
  };
  for (const Case& c : {Case{1, 1, 1}, Case{3, 17, 5}, Case{70, 64, 96}, Case{33, 300, 40},
                        Case{5, 0, 4}, Case{0, 8, 4}, Case{4, 8, 0}, Case{16, 3000, 8}}) {
    for (const Channels channels : {Channels::kFirst, Channels::kLast}) {
      const Weights w(team, c.k, c.n, channels, 1);
      const Floats x = normal_values(c.rows * c.k, 2, 3);
      for (const Floats& bias : {Floats{}, normal_values(c.n, 3)}) {
        Floats slow(c.rows * c.n);
        multiply_int8_slowly(x, c.rows, w.q, w.size(), channels, w.scales, bias, slow);
        for (GemmBackend* backend :
             {static_cast<GemmBackend*>(&chosen), static_cast<GemmBackend*>(&reference)}) {
          for (const std::size_t at_once : {std::size_t{1}, std::size_t{32}, kInt8Rows}) {
            auto linear =
                Int8Linear::make(*backend, team, memory, w.tensor(), channels, w.scales, at_once);
            ASSERT_TRUE(linear.has_value()) << linear.error().message;
            Floats y(c.rows * c.n, 77);
            const Shape shape{c.rows, c.k};
            const Status done = linear->multiply({"x", shape, x}, bias, y);
            ASSERT_TRUE(done.ok()) << done.message;
            ASSERT_EQ(y, slow);
          }
        }
        expect_within_the_bound(x, c.rows, w, bias, slow, c.k, c.n);
      }
    }
  }
}

TEST(Int8Linear, XMayHaveMoreDimensions) {
  ThreadTeam team(1);
  HostResource memory;
  ReferenceGemm reference;
  const Weights w(team, 6, 3, Channels::kLast, 1);
  auto linear = Int8Linear::make(reference, team, memory, w.tensor(), w.channels, w.scales);
  ASSERT_TRUE(linear.has_value());
  const Floats x = normal_values(2 * 5 * 6, 2);
  Floats flat(30);
  Floats deep(30);
  ASSERT_TRUE(linear->multiply({"x", Shape{10, 6}, x}, {}, flat).ok());
  ASSERT_TRUE(linear->multiply({"x", Shape{2, 5, 6}, x}, {}, deep).ok());
  EXPECT_EQ(flat, deep);
}

TEST(Int8Linear, TakesWhatItSaysAndGivesItBack) {
  ThreadTeam team(1);
  HostResource host;
  LimitingResource memory(host, kPlenty, "the test");
  ReferenceGemm reference;
  const Weights w(team, 100, 30, Channels::kFirst, 1);
  {
    const auto linear =
        Int8Linear::make(reference, team, memory, w.tensor(), w.channels, w.scales, 8);
    ASSERT_TRUE(linear.has_value());
    EXPECT_EQ(linear->weights_bytes(), 3000U) << "a quarter of fp32";
    EXPECT_EQ(memory.held_bytes(), Int8Linear::room_bytes(100, 30, 8).value() + 3000U);
    EXPECT_EQ(linear->terms(), 100U);
    EXPECT_EQ(linear->columns(), 30U);
  }
  EXPECT_EQ(memory.held_bytes(), 0U);
  LimitingResource little(host, 2000, "the test");
  const auto refused = Int8Linear::make(reference, team, little, w.tensor(), w.channels, w.scales);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(little.held_bytes(), 0U);
}

TEST(Int8Linear, SizesAreCheckedBeforeMemoryIsAskedFor) {
  ThreadTeam team(1);
  HostResource host;
  LimitingResource memory(host, kPlenty, "the test");
  ReferenceGemm reference;
  const Weights w(team, 4, 3, Channels::kFirst, 1);
  const auto code = [&](const Shape& shape, std::size_t values, std::size_t scales,
                        std::size_t rows) {
    const Tensor<const std::int8_t> tensor{"w", shape, std::span(w.q).first(values)};
    const auto made = Int8Linear::make(reference, team, memory, tensor, Channels::kFirst,
                                       std::span(w.scales).first(scales), rows);
    return made ? Code::kOk : made.error().code;
  };
  EXPECT_EQ(code({3, 4}, 12, 3, 8), Code::kOk);
  EXPECT_EQ(code({3, 4}, 11, 3, 8), Code::kInvalidArgument);
  EXPECT_EQ(code({3, 4}, 12, 2, 8), Code::kInvalidArgument);
  EXPECT_EQ(code({}, 1, 1, 8), Code::kInvalidArgument);
  EXPECT_EQ(code({3, 4}, 12, 3, std::size_t{1} << 62U), Code::kResourceExhausted);
  EXPECT_EQ(code({0, kInt8TermsMax + 1}, 0, 0, 8), Code::kOutOfRange);
  EXPECT_EQ(memory.peak_bytes(), Int8Linear::room_bytes(4, 3, 8).value() + 12);
  EXPECT_FALSE(Int8Linear::room_bytes(std::size_t{1} << 40U, 1, std::size_t{1} << 40U));

  OpenBlasGemm no_int8(team);
  const auto refused = Int8Linear::make(no_int8, team, memory, w.tensor(), w.channels, w.scales);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kUnimplemented);
}

TEST(Int8Linear, AnXThatDoesNotFitOrIsNotFiniteIsRefused) {
  ThreadTeam team(2);
  HostResource memory;
  ReferenceGemm reference;
  const Weights w(team, 200, 3, Channels::kFirst, 1);
  auto linear = Int8Linear::make(reference, team, memory, w.tensor(), w.channels, w.scales, 300);
  ASSERT_TRUE(linear.has_value());
  Floats x = normal_values(1000 * 200, 2);
  Floats y(3000);
  EXPECT_EQ(linear->multiply({"x", Shape{2000, 100}, x}, {}, y).field, "x");
  EXPECT_EQ(linear->multiply({"x", Shape{1000, 200}, x}, Floats(2), y).field, "x");
  EXPECT_EQ(linear->multiply({"x", Shape{1000, 200}, x}, {}, std::span(y).first(9)).field, "x");
  x[777 * 200 + 13] = std::numeric_limits<float>::quiet_NaN();
  x[999 * 200] = std::numeric_limits<float>::infinity();
  const Status refused = linear->multiply({"x", Shape{1000, 200}, x}, {}, y);
  EXPECT_EQ(refused.code, Code::kInvalidArgument);
  EXPECT_EQ(refused.field, "x");
  EXPECT_NE(refused.message.find("NaN at [777, 13]"), std::string::npos) << refused.message;
}

// int32 holds the largest sums there are.
TEST(Int8Linear, TheMostTermsDoNotOverflow) {
  ThreadTeam team(1);
  HostResource memory;
  ReferenceGemm reference;
  const std::vector<std::int8_t> q(kInt8TermsMax, 127);
  const Floats scales{1.0F};
  const Shape shape{1, kInt8TermsMax};
  auto linear =
      Int8Linear::make(reference, team, memory, {"w", shape, q}, Channels::kFirst, scales);
  ASSERT_TRUE(linear.has_value());
  const Floats x(kInt8TermsMax, -1.0F);
  float y = 0;
  ASSERT_TRUE(linear->multiply({"x", shape, x}, {}, std::span(&y, 1)).ok());
  const double want = -127.0 * static_cast<double>(kInt8TermsMax);
  EXPECT_NEAR(static_cast<double>(y), want, 4 * 0x1p-24 * -want);
}

}  // namespace
}  // namespace overwinter::worker
