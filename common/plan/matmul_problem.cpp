#include "common/plan/matmul_problem.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace overwinter::plan {
namespace {

std::optional<Precision> precision_of(std::string_view dtype) {
  if (!dtype.empty() && (dtype.front() == '<' || dtype.front() == '=' || dtype.front() == '|'))
    dtype.remove_prefix(1);
  if (dtype == "f4" || dtype == "float32" || dtype == "fp32") return Precision::kFp32;
  if (dtype == "f8" || dtype == "float64" || dtype == "fp64") return Precision::kFp64;
  if (dtype == "i1" || dtype == "int8") return Precision::kInt8;
  return std::nullopt;
}

Status unusable(const Factor& factor, std::string_view letter, std::string field) {
  return error(Code::kInvalidArgument,
               "Matrix " + std::string(letter) + " holds " + factor.dtype +
                   "; this release multiplies fp32 (f4), fp64 (f8) and int8 (i1).",
               std::move(field), "Convert it with numpy.asarray(x, dtype=numpy.float32).");
}

// stored: what both factors hold. Empty: that.
Result<Precision> chosen_precision(Precision stored, std::string_view stated) {
  if (stated.empty()) return stored;
  const auto asked = parse_precision(stated);
  if (!asked)
    return fail(Code::kInvalidArgument, asked.error().message, "workload.matmul.precision");
  if (*asked == stored || (stored == Precision::kFp32 && rounds_factors(*asked))) return *asked;
  const std::string_view wanted = *asked == Precision::kInt8   ? "int8"
                                  : *asked == Precision::kFp64 ? "float64"
                                                               : "float32";
  return fail(Code::kInvalidArgument,
              "Precision " + std::string(stated) + " is asked for, but A and B are " +
                  std::string(precision_name(stored)) + "; it multiplies matrices of " +
                  std::string(wanted) + ".",
              "workload.matmul.precision", "Leave precision out, or convert both inputs.");
}

std::string shape(const Factor& f) {
  return std::to_string(f.rows) + " x " + std::to_string(f.columns);
}

bool too_large(std::uint64_t rows, std::uint64_t columns, Precision precision) {
  return saturating_product(saturating_product(rows, columns),
                            std::max(factor_bytes(precision), result_bytes(precision))) >
         static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

}  // namespace

Result<MatmulProblem> matmul_problem(const Factor& a, const Factor& b, std::string_view precision) {
  const auto kind_a = precision_of(a.dtype);
  const auto kind_b = precision_of(b.dtype);
  if (!kind_a) return fail(unusable(a, "A", "workload.matmul.a"));
  if (!kind_b) return fail(unusable(b, "B", "workload.matmul.b"));
  if (*kind_a != *kind_b)
    return fail(Code::kInvalidArgument,
                "A is " + std::string(precision_name(*kind_a)) + " and B is " +
                    std::string(precision_name(*kind_b)) + "; both factors must be of one kind.",
                "workload.matmul.b", "Convert one of them to the other's kind.");
  const auto chosen = chosen_precision(*kind_a, precision);
  if (!chosen) return fail(chosen.error());
  if (a.columns != b.rows)
    return fail(Code::kInvalidArgument,
                "A is " + shape(a) + " and B is " + shape(b) + ": the " +
                    std::to_string(a.columns) + " columns of A must equal the " +
                    std::to_string(b.rows) + " rows of B.",
                "workload.matmul.b");
  if (too_large(a.rows, a.columns, *kind_a) || too_large(b.rows, b.columns, *kind_a) ||
      too_large(a.rows, b.columns, *kind_a))
    return fail(Code::kInvalidArgument,
                "A is " + shape(a) + " and B is " + shape(b) +
                    ": one of A, B and C has more bytes than 63 bits can count.",
                "workload.matmul.a");
  if (*chosen == Precision::kInt8 && a.columns > kInt8DepthMax)
    return fail(Code::kInvalidArgument,
                "A has " + std::to_string(a.columns) + " columns; sums of int8 over more than " +
                    std::to_string(kInt8DepthMax) + " may pass what int32 holds.",
                "workload.matmul.a", "Convert both to float32.");
  return MatmulProblem{.m = a.rows,
                       .k = a.columns,
                       .n = b.columns,
                       .precision = *chosen,
                       .a_fortran_order = a.fortran_order,
                       .b_fortran_order = b.fortran_order,
                       .a_digest = a.digest,
                       .b_digest = b.digest};
}

}  // namespace overwinter::plan
