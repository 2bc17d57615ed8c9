// OpenBLAS's kernels, which it calls by the processors that they were made for ("Haswell",
// "Cooperlake"). It picks some when it is loaded; others can be faster (FACTS §2: on a Zen 4 the
// Haswell ones, by 5 to 15 %).
#pragma once

#include <span>
#include <string>
#include <vector>

namespace overwinter::worker {

// Those in use.
[[nodiscard]] std::string openblas_core();

// Uses others, for the whole process. No other thread may be in OpenBLAS or read the environment:
// the variable OPENBLAS_CORETYPE is set for a moment. False, and nothing changed: this library or
// this processor has no such kernels. (By two functions that OpenBLAS 0.3 exports and does not
// document, found at run time: a library without them keeps its own choice.)
bool use_openblas_core(const std::string& core);

// Worth a comparison with those in use: Haswell's, where AVX-512 kernels were picked.
[[nodiscard]] std::vector<std::string> other_openblas_cores();

// Multiplies fp32 and fp64 with those in use and with each other, takes the fastest and says which.
// Some tens of milliseconds for each. As use_openblas_core.
std::string choose_openblas_core(std::span<const std::string> others);

}  // namespace overwinter::worker
