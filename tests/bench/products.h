// What the suites of products share: the libraries on their own threads, and the clock.
#pragma once

#include <string>

#include "common/base/result.h"
#include "worker/kernels/gemm.h"

namespace overwinter::bench {

// One thread: of its CPU, so that what else runs on the machine counts less. More: by the wall.
[[nodiscard]] double seconds_now(unsigned threads);

// OpenBLAS with these kernels and both libraries with so many threads of their own, from now on.
void use_library_threads(const std::string& core, unsigned threads);
// OpenBLAS with these kernels on threads of ours.
void use_our_threads(const std::string& core);

// C = A B by the library: transposes, alpha and beta are not looked at.
Status by_openblas(const worker::Gemm<float>& p);
Status by_openblas(const worker::Gemm<double>& p);
Status by_onednn(const worker::Gemm<float>& p);

}  // namespace overwinter::bench
