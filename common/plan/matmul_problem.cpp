#include "common/plan/matmul_problem.h"

#include <limits>
#include <optional>

namespace overwinter::plan {
namespace {

std::optional<Precision> precision_of(std::string_view dtype) {
  if (!dtype.empty() && (dtype.front() == '<' || dtype.front() == '=')) dtype.remove_prefix(1);
  if (dtype == "f4" || dtype == "float32" || dtype == "fp32") return Precision::kFp32;
  if (dtype == "f8" || dtype == "float64" || dtype == "fp64") return Precision::kFp64;
  return std::nullopt;
}

Status unusable(const Factor& factor, std::string_view letter, std::string field) {
  return error(Code::kInvalidArgument,
               "Matrix " + std::string(letter) + " holds " + factor.dtype +
                   "; this release multiplies fp32 (f4) and fp64 (f8).",
               std::move(field), "Convert it with numpy.asarray(x, dtype=numpy.float32).");
}

std::string shape(const Factor& f) {
  return std::to_string(f.rows) + " x " + std::to_string(f.columns);
}

bool too_large(std::uint64_t rows, std::uint64_t columns, Precision precision) {
  return saturating_product(saturating_product(rows, columns), element_bytes(precision)) >
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
  if (!precision.empty()) {
    const auto stated = parse_precision(precision);
    if (!stated)
      return fail(Code::kInvalidArgument, stated.error().message, "workload.matmul.precision");
    if (*stated != *kind_a)
      return fail(Code::kInvalidArgument,
                  "Precision " + std::string(precision) + " is asked for, but A and B are " +
                      std::string(precision_name(*kind_a)) +
                      "; this release multiplies in the inputs' own precision.",
                  "workload.matmul.precision", "Leave precision out, or convert both inputs.");
  }
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
  return MatmulProblem{.m = a.rows,
                       .k = a.columns,
                       .n = b.columns,
                       .precision = *kind_a,
                       .a_fortran_order = a.fortran_order,
                       .b_fortran_order = b.fortran_order,
                       .a_digest = a.digest,
                       .b_digest = b.digest};
}

}  // namespace overwinter::plan
