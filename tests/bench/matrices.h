// Matrix files, the one-process product beside which ours is measured, and what the machine can do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace overwinter::bench {

// Values in (-1, 1), the same for the same seed.
[[nodiscard]] std::vector<float> random_values(std::size_t count, std::uint64_t seed);

Status write_matrix(const std::string& path, std::uint64_t side, std::uint64_t seed);
// Changes one element, so that the content is new and has to be sent again.
Status change_matrix(const std::string& path, std::uint64_t seed);
// Elements of C at places drawn from `seed`, against sums in double of the two files. `factors`:
// sides are equal, fp32, C order.
Status check_product(const std::string& a, const std::string& b, const std::string& c,
                     std::uint64_t side, std::uint64_t seed);

// The body of the child process: sgemm of two random matrices by OpenBLAS with so many threads;
// prints its seconds. Memory is touched and the library warm before the time is taken.
int run_peer(std::uint64_t side, int threads);
// Seconds of that child.
[[nodiscard]] Result<double> peer_seconds(std::uint64_t side, int threads);

// fp32 multiply-adds from registers alone, on so many threads at once; GFLOP/s. 0: no AVX2.
[[nodiscard]] double peak_gflops(unsigned threads);

}  // namespace overwinter::bench
