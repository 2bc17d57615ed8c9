// Tiles of each precision are checked as they are multiplied: right ones pass, wrong ones do not.
#include "coordinator/runtime/sketch_maker.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/narrow.h"
#include "common/formats/digest.h"
#include "common/formats/npy.h"
#include "coordinator/artifacts/file_port.h"

namespace overwinter::runtime {
namespace {

using plan::Precision;

constexpr std::uint64_t kRows = 60;
constexpr std::uint64_t kDepth = 300;
constexpr std::uint64_t kColumns = 70;

class SketchMaker : public testing::Test {
 protected:
  void SetUp() override {
    std::string form = (std::filesystem::temp_directory_path() / "sketch-XXXXXX").string();
    ASSERT_NE(::mkdtemp(form.data()), nullptr);
    folder_ = form;
    auto opened = artifacts::BlobStore::open(artifacts::posix_files(), form, {.free_bytes_min = 0});
    ASSERT_TRUE(opened.has_value());
    blobs_ = std::move(*opened);
  }
  void TearDown() override {
    blobs_.reset();
    std::filesystem::remove_all(folder_);
  }

  template <class T>
  artifacts::MatrixBlob store(formats::Dtype dtype, std::uint64_t rows, std::uint64_t columns,
                              const std::vector<T>& values) {
    std::string matrix = formats::write_npy_header(dtype, rows, columns, false);
    matrix.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    const auto bytes = std::as_bytes(std::span(matrix));
    formats::BlobDigester digester;
    digester.update(bytes);
    const artifacts::BlobKey key{"default", digester.finish()};
    auto upload = blobs_->begin_upload(key, bytes.size(), Time{});
    EXPECT_TRUE((*upload)->write(bytes, Time{}).ok());
    EXPECT_TRUE((*upload)->finish().ok());
    return blobs_->open_matrix(key).value();
  }

  std::filesystem::path folder_;
  std::unique_ptr<artifacts::BlobStore> blobs_;
};

plan::MatmulGeometry geometry_of(Precision precision) {
  return {.m = kRows,
          .k = kDepth,
          .n = kColumns,
          .precision = precision,
          .tile_rows = kRows,
          .tile_columns = kColumns,
          .panel_depth = kDepth};
}

float rounded(float x, Precision p) {
  return p == Precision::kBf16   ? to_float(without_subnormal(to_bfloat16(x)))
         : p == Precision::kFp16 ? to_float(to_float16(x))
                                 : x;
}

// C in sums of fp32, of factors rounded to `p`.
std::vector<float> product(const std::vector<float>& a, const std::vector<float>& b, Precision p) {
  std::vector<float> c(kRows * kColumns);
  for (std::uint64_t i = 0; i < kRows; ++i) {
    for (std::uint64_t l = 0; l < kDepth; ++l) {
      const float x = rounded(a[i * kDepth + l], p);
      for (std::uint64_t j = 0; j < kColumns; ++j) {
        c[i * kColumns + j] += x * rounded(b[l * kColumns + j], p);
      }
    }
  }
  return c;
}

template <class T>
bool accepted(const verify::FreivaldsSketch& sketch, const Factors& factors,
              const std::vector<T>& c) {
  const auto verdict =
      check_tile(sketch, factors, sketch.geometry().grid().tile(0), std::as_bytes(std::span(c)));
  EXPECT_TRUE(verdict.has_value());
  return verdict && verdict->accepted;
}

TEST_F(SketchMaker, RoundedFactorsAreCheckedAsSharplyAsFp32) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> a(kRows * kDepth);
  std::vector<float> b(kDepth * kColumns);
  for (float& x : a) x = normal(random);
  for (float& x : b) x = normal(random);
  const Factors factors{store(formats::Dtype::kFloat32, kRows, kDepth, a),
                        store(formats::Dtype::kFloat32, kDepth, kColumns, b)};
  for (const Precision p : {Precision::kFp32, Precision::kBf16, Precision::kFp16}) {
    const auto sketch = make_sketch(geometry_of(p), factors);
    ASSERT_TRUE(sketch.has_value());
    for (const Precision by : {Precision::kFp32, Precision::kBf16, Precision::kFp16}) {
      // Who rounds otherwise than was asked is caught, who rounds less too.
      EXPECT_EQ(accepted(**sketch, factors, product(a, b, by)), by == p)
          << plan::precision_name(p) << " by " << plan::precision_name(by);
    }
    std::vector<float> wrong = product(a, b, p);
    wrong[77] += 0.01F;
    EXPECT_FALSE(accepted(**sketch, factors, wrong));
  }
}

TEST_F(SketchMaker, AFactorThatFp16CannotHoldIsInfinity) {
  std::vector<float> a(kRows * kDepth, 1.0F);
  std::vector<float> b(kDepth * kColumns, 0.5F);
  a[5 * kDepth + 3] = 70'000;
  b[3 * kColumns + 9] = -1e6F;
  const Factors factors{store(formats::Dtype::kFloat32, kRows, kDepth, a),
                        store(formats::Dtype::kFloat32, kDepth, kColumns, b)};
  const auto sketch = make_sketch(geometry_of(Precision::kFp16), factors);
  ASSERT_TRUE(sketch.has_value());
  const std::vector<float> c = product(a, b, Precision::kFp16);
  EXPECT_EQ(c[5 * kColumns], std::numeric_limits<float>::infinity());
  EXPECT_TRUE(accepted(**sketch, factors, c));
  EXPECT_FALSE(accepted(**sketch, factors, product(a, b, Precision::kFp32)));
}

// A processor with instructions for bf16 takes subnormal factors, products and sums for 0.
TEST_F(SketchMaker, Bf16ThatKnowsNoSubnormalNumbersIsNoLie) {
  for (const auto& [a, b, expected] :
       {std::tuple(1e-39F, 1e30F, 0.0F), std::tuple(1e-20F, 1e-19F, 0.0F)}) {
    const Factors factors{
        store(formats::Dtype::kFloat32, kRows, kDepth, std::vector<float>(kRows * kDepth, a)),
        store(formats::Dtype::kFloat32, kDepth, kColumns,
              std::vector<float>(kDepth * kColumns, b))};
    const auto bf16 = make_sketch(geometry_of(Precision::kBf16), factors);
    const auto fp32 = make_sketch(geometry_of(Precision::kFp32), factors);
    ASSERT_TRUE(bf16.has_value() && fp32.has_value());
    const std::vector<float> flushed(kRows * kColumns, expected);
    EXPECT_TRUE(accepted(**bf16, factors, flushed)) << a;
    EXPECT_FALSE(accepted(**fp32, factors, flushed)) << a;
    EXPECT_FALSE(accepted(**bf16, factors, std::vector<float>(kRows * kColumns, 1e-30F))) << a;
  }
}

TEST_F(SketchMaker, AnInt8TileThatIsOffByOneIsRefused) {
  std::mt19937 random(2);
  std::uniform_int_distribution<int> bytes(-128, 127);
  std::vector<std::int8_t> a(kRows * kDepth);
  std::vector<std::int8_t> b(kDepth * kColumns);
  for (auto& x : a) x = static_cast<std::int8_t>(bytes(random));
  for (auto& x : b) x = static_cast<std::int8_t>(bytes(random));
  const Factors factors{store(formats::Dtype::kInt8, kRows, kDepth, a),
                        store(formats::Dtype::kInt8, kDepth, kColumns, b)};
  const auto sketch = make_sketch(geometry_of(Precision::kInt8), factors);
  ASSERT_TRUE(sketch.has_value());
  std::vector<std::int32_t> c(kRows * kColumns);
  for (std::uint64_t i = 0; i < kRows; ++i) {
    for (std::uint64_t j = 0; j < kColumns; ++j) {
      for (std::uint64_t l = 0; l < kDepth; ++l) {
        c[i * kColumns + j] += a[i * kDepth + l] * b[l * kColumns + j];
      }
    }
  }
  EXPECT_TRUE(accepted(**sketch, factors, c));
  for (const std::size_t at : {std::size_t{0}, std::size_t{777}, c.size() - 1}) {
    std::vector<std::int32_t> wrong = c;
    wrong[at] += at % 2 == 0 ? 1 : -1;
    EXPECT_FALSE(accepted(**sketch, factors, wrong)) << at;
  }
}

}  // namespace
}  // namespace overwinter::runtime
