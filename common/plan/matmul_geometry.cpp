#include "common/plan/matmul_geometry.h"

#include <algorithm>
#include <limits>
#include <string>

#include "common/plan/strassen_plan.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::plan {
namespace {

constexpr std::uint64_t kBytesMax = std::numeric_limits<std::int64_t>::max();

Status check_sizes(const MatmulGeometry& g) {
  if (g.tile_rows == 0 || g.tile_columns == 0 || g.panel_depth == 0 || g.group_rows == 0)
    return error(Code::kInvalidArgument, "A tile, a panel or a group has a side of zero.", "plan");
  const std::uint64_t size = std::max(factor_bytes(g.precision), result_bytes(g.precision));
  const auto bytes = [&](std::uint64_t a, std::uint64_t b) {
    return saturating_product(saturating_product(a, b), size);
  };
  if (bytes(g.m, g.k) > kBytesMax || bytes(g.k, g.n) > kBytesMax || bytes(g.m, g.n) > kBytesMax)
    return error(Code::kInvalidArgument, "A matrix has more bytes than 63 bits can count.", "plan");
  if (saturating_product(saturating_product(g.rows(), g.columns()), result_bytes(g.precision)) >
      tile_bytes_max(g.precision))
    return error(Code::kInvalidArgument, "A tile is larger than 64 MiB (int8: 32 MiB).", "plan");
  if (g.precision == Precision::kInt8 && g.k > kInt8DepthMax)
    return error(Code::kInvalidArgument, "A sum of int8 may pass what int32 holds.", "plan");
  if (g.strassen_levels > kStrassenLevelsMax)
    return error(Code::kInvalidArgument, "A product is halved at most 3 times.", "plan");
  if (g.strassen_levels > 0 && !can_halve(g.precision))
    return error(Code::kInvalidArgument, "Only products of fp32 and fp64 are halved.", "plan");
  return Status::success();
}

}  // namespace

std::uint64_t saturating_product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t out = 0;
  if (__builtin_mul_overflow(a, b, &out)) return std::numeric_limits<std::uint64_t>::max();
  return out;
}

std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b) {
  std::uint64_t out = 0;
  if (__builtin_add_overflow(a, b, &out)) return std::numeric_limits<std::uint64_t>::max();
  return out;
}

std::string_view precision_name(Precision p) {
  switch (p) {
    case Precision::kFp32:
      return "fp32";
    case Precision::kFp64:
      return "fp64";
    case Precision::kBf16:
      return "bf16";
    case Precision::kFp16:
      return "fp16";
    case Precision::kInt8:
      return "int8";
  }
  return "";
}

Result<Precision> parse_precision(std::string_view name) {
  for (const Precision p :
       {Precision::kFp32, Precision::kFp64, Precision::kBf16, Precision::kFp16, Precision::kInt8}) {
    if (name == precision_name(p)) return p;
  }
  return fail(Code::kInvalidArgument,
              "Precision \"" + std::string(name) + "\" is not fp32, fp64, bf16, fp16 or int8.",
              "precision");
}

Result<MatmulGeometry> geometry_of(const v1::MatmulPlan& plan) {
  auto precision = parse_precision(plan.precision());
  if (!precision) return fail(precision.error());
  MatmulGeometry g{.m = plan.m(),
                   .k = plan.k(),
                   .n = plan.n(),
                   .precision = *precision,
                   .tile_rows = plan.tile_rows(),
                   .tile_columns = plan.tile_columns(),
                   .panel_depth = plan.panel_depth(),
                   .group_rows = plan.group_rows(),
                   .strassen_levels = plan.strassen_levels()};
  if (Status sizes = check_sizes(g); !sizes.ok()) return fail(sizes);
  return g;
}

void set_geometry(const MatmulGeometry& geometry, v1::MatmulPlan& plan) {
  const TileGrid grid = geometry.grid();
  plan.set_m(geometry.m);
  plan.set_k(geometry.k);
  plan.set_n(geometry.n);
  plan.set_precision(std::string(precision_name(geometry.precision)));
  plan.set_tile_rows(geometry.tile_rows);
  plan.set_tile_columns(geometry.tile_columns);
  plan.set_panel_depth(geometry.panel_depth);
  plan.set_grid_rows(grid.grid_rows());
  plan.set_grid_columns(grid.grid_columns());
  plan.set_group_rows(geometry.group_rows);
  plan.set_strassen_levels(geometry.strassen_levels);
}

}  // namespace overwinter::plan
