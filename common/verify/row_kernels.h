// Sums over rows, in fp64, by the widest vectors that the processor has. Internal to the room.
// T is float or double. No alignment is asked for. Values that are not finite carry through as IEEE
// 754 says.
#pragma once

#include <cstddef>

namespace overwinter::verify {

struct RowSums {
  double dot = 0;    // row . x
  double norm2 = 0;  // row . row
};

template <class T>
RowSums row_sums(const T* row, const double* x, std::size_t count);

// out[j] = row . y[j] for j < vectors; returns row . row. y[j] are `stride` apart.
template <class T>
double row_times_vectors(const T* row, std::size_t count, const double* y, std::size_t stride,
                         std::size_t vectors, double* out);

// The obvious twins that the fast ones are tested against.
template <class T>
RowSums row_sums_reference(const T* row, const double* x, std::size_t count);

}  // namespace overwinter::verify
