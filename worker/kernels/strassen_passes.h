// The additions of Strassen's method in Winograd's form: each pass reads what several sums share
// once and writes them all, row by row, in the widest vectors of the processor. Internal to this
// room (strassen_gemm.h).
#pragma once

#include <cstddef>

#include "worker/kernels/train_kernels.h"

namespace overwinter::worker {

// A block of a row-major matrix that is read; element (i, j) lies at data[i * stride + j].
template <class T>
struct StrassenBlock {
  const T* data = nullptr;
  std::size_t stride = 0;
};
// One that is written.
template <class T>
struct StrassenTarget {
  T* data = nullptr;
  std::size_t stride = 0;
};

// y = the sums of a pass (beta is not read), or with `kept` y = the sums + beta y. A target may be
// one of the blocks; else they do not overlap. Sums are made from left to right as written.
template <class T>
struct StrassenPass {
  using Run = void (*)(std::size_t rows, std::size_t columns, const StrassenBlock<T>* in,
                       const StrassenTarget<T>* out, T beta);
  Run plain = nullptr;
  Run kept = nullptr;  // null: there is none
};

// Blocks x0, x1 … and targets y0, y1 …, in the order of the arrays. Not synchronised: each thread
// takes rows of its own.
template <class T>
struct StrassenPasses {
  StrassenPass<T> left;   // x0 + x1, x0 + x1 - x2, x2 - x0: S1, S2, S3 of A21, A22, A11
  StrassenPass<T> right;  // x0 - x1, x2 - (x0 - x1), x2 - x0: T1, T2, T3 of B12, B11, B22
  StrassenPass<T> minus;  // x0 - x1: S4, T4
  StrassenPass<T> copy;   // x0
  StrassenPass<T> plus;   // x0 + x1
  StrassenPass<T> both;   // x0, x0 + x1
  // The largest absolute value; infinity or NaN where there is one.
  T (*largest)(std::size_t rows, std::size_t columns, StrassenBlock<T> x);
};

// T: float or double. A level above best_kernel_level() may not be called.
template <class T>
[[nodiscard]] const StrassenPasses<T>& strassen_passes(KernelLevel level);

}  // namespace overwinter::worker
