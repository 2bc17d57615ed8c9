#include "tests/bench/matrices.h"

#include <cblas.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <immintrin.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <latch>
#include <thread>

#include "common/formats/npy.h"
#include "tests/bench/child.h"

namespace overwinter::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPlacesChecked = 64;

// SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t next(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

float value(std::uint64_t& state) {
  return static_cast<float>(next(state) >> 40) * 0x1p-23F - 1.0F;
}

class File {
 public:
  File(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] bool write(const void* data, std::size_t bytes, off_t at) const {
    const char* from = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t n = ::pwrite(fd_, from, bytes, at);
      if (n <= 0) return false;
      from += n;
      at += n;
      bytes -= static_cast<std::size_t>(n);
    }
    return true;
  }
  [[nodiscard]] bool read(void* data, std::size_t bytes, off_t at) const {
    return ::pread(fd_, data, bytes, at) == static_cast<ssize_t>(bytes);
  }
  [[nodiscard]] Result<formats::NpyHeader> header() const {
    struct stat info {};
    if (fd_ < 0 || ::fstat(fd_, &info) != 0) return fail(Code::kNotFound, "no such file");
    return formats::read_npy_header(static_cast<std::uint64_t>(info.st_size),
                                    [this](std::uint64_t at, std::span<std::byte> out) {
                                      return read(out.data(), out.size(), static_cast<off_t>(at))
                                                 ? Status::success()
                                                 : error(Code::kDataLoss, "cannot be read");
                                    });
  }

 private:
  int fd_;
};

Status cannot(const char* what, const std::string& path) {
  return error(Code::kInternal, fmt::format("cannot {} {}", what, path));
}

// 12 independent sums hide the latency of the multiply-add on every core of the last ten years.
constexpr int kSums = 12;
constexpr std::int64_t kRounds = 20'000'000;

__attribute__((target("avx512f"))) float spin_512() {
  __m512 sums[kSums];
  for (auto& sum : sums) sum = _mm512_set1_ps(1.0F);
  const __m512 x = _mm512_set1_ps(0.999999F);
  const __m512 y = _mm512_set1_ps(1e-7F);
  for (std::int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) sums[j] = _mm512_fmadd_ps(sums[j], x, y);
  }
  __m512 all = sums[0];
  for (int j = 1; j < kSums; ++j) all = _mm512_add_ps(all, sums[j]);
  float out[16];
  _mm512_storeu_ps(out, all);
  return out[0];
}

__attribute__((target("avx2,fma"))) float spin_256() {
  __m256 sums[kSums];
  for (auto& sum : sums) sum = _mm256_set1_ps(1.0F);
  const __m256 x = _mm256_set1_ps(0.999999F);
  const __m256 y = _mm256_set1_ps(1e-7F);
  for (std::int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) sums[j] = _mm256_fmadd_ps(sums[j], x, y);
  }
  __m256 all = sums[0];
  for (int j = 1; j < kSums; ++j) all = _mm256_add_ps(all, sums[j]);
  float out[8];
  _mm256_storeu_ps(out, all);
  return out[0];
}

}  // namespace

std::vector<float> random_values(std::size_t count, std::uint64_t seed) {
  std::vector<float> out(count);
  for (float& x : out) x = value(seed);
  return out;
}

Status write_matrix(const std::string& path, std::uint64_t side, std::uint64_t seed) {
  const File file(path, O_CREAT | O_TRUNC | O_WRONLY);
  const std::string header = formats::write_npy_header(formats::Dtype::kFloat32, side, side, false);
  if (!file.write(header.data(), header.size(), 0)) return cannot("write", path);
  auto at = static_cast<off_t>(header.size());
  std::vector<float> row(side);
  for (std::uint64_t i = 0; i < side; ++i) {
    for (float& x : row) x = value(seed);
    if (!file.write(row.data(), side * sizeof(float), at)) return cannot("write", path);
    at += static_cast<off_t>(side * sizeof(float));
  }
  return Status::success();
}

Status change_matrix(const std::string& path, std::uint64_t seed) {
  const File file(path, O_RDWR);
  const auto header = file.header();
  if (!header) return header.error();
  const float x = value(seed);
  return file.write(&x, sizeof x, static_cast<off_t>(header->data_offset)) ? Status::success()
                                                                           : cannot("change", path);
}

Status check_product(const std::string& a, const std::string& b, const std::string& c,
                     std::uint64_t side, std::uint64_t seed) {
  const File files[3] = {{a, O_RDONLY}, {b, O_RDONLY}, {c, O_RDONLY}};
  off_t begin[3];
  for (int i = 0; i < 3; ++i) {
    const auto header = files[i].header();
    if (!header) return header.error();
    if (header->rows != side || header->columns != side || header->fortran_order ||
        header->dtype != formats::Dtype::kFloat32) {
      return error(Code::kDataLoss, "a matrix has not the shape that was asked for");
    }
    begin[i] = static_cast<off_t>(header->data_offset);
  }
  const auto read = [&](int file, std::uint64_t row, std::uint64_t column, float* out,
                        std::uint64_t count) {
    return files[file].read(
        out, count * sizeof(float),
        begin[file] + static_cast<off_t>((row * side + column) * sizeof(float)));
  };
  std::vector<float> row(side);
  for (std::size_t place = 0; place < kPlacesChecked; ++place) {
    const std::uint64_t i = next(seed) % side;
    const std::uint64_t j = next(seed) % side;
    float found = 0;
    float factor = 0;
    double sum = 0;
    bool whole = read(0, i, 0, row.data(), side) && read(2, i, j, &found, 1);
    for (std::uint64_t l = 0; l < side && whole; ++l) {
      whole = read(1, l, j, &factor, 1);
      sum += static_cast<double>(row[l]) * static_cast<double>(factor);
    }
    if (!whole) return cannot("read", c);
    const double allowed = 1e-5 * std::sqrt(static_cast<double>(side)) + 1e-5 * std::abs(sum);
    if (!(std::abs(static_cast<double>(found) - sum) <= allowed)) {
      return error(Code::kDataLoss,
                   fmt::format("C[{},{}] is {}, the sum in double {}", i, j, found, sum));
    }
  }
  return Status::success();
}

int run_peer(std::uint64_t side, int threads) {
  openblas_set_num_threads(threads);
  const auto multiply = [](std::uint64_t n, const std::vector<float>& a,
                           const std::vector<float>& b, std::vector<float>& c) {
    const auto s = static_cast<blasint>(n);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, s, s, s, 1.0F, a.data(), s, b.data(), s,
                0.0F, c.data(), s);
  };
  const std::size_t count = side * side;
  const std::vector<float> a = random_values(count, 1);
  const std::vector<float> b = random_values(count, 2);
  std::vector<float> c(count);
  multiply(std::min<std::uint64_t>(side, 1024), a, b, c);
  const auto begin = Clock::now();
  multiply(side, a, b, c);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  double sum = 0;
  for (std::uint64_t l = 0; l < side; ++l) {
    sum += static_cast<double>(a[l]) * static_cast<double>(b[l * side]);
  }
  if (std::abs(sum - static_cast<double>(c[0])) > 1e-2) return 1;
  std::printf("%.9f\n", seconds);
  return 0;
}

Result<double> peer_seconds(std::uint64_t side, int threads) {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  const auto done = run_program(
      {self.string(), "--peer-sgemm", std::to_string(side), std::to_string(threads)}, {}, "");
  if (!done) return fail(done.error());
  if (done->exit_code != 0) return fail(Code::kInternal, "the peer's product failed");
  return std::stod(done->output);
}

double peak_gflops(unsigned threads) {
  const bool wide = __builtin_cpu_supports("avx512f") != 0;
  if (!wide && (__builtin_cpu_supports("avx2") == 0 || __builtin_cpu_supports("fma") == 0))
    return 0;
  double best = 0;
  for (int repeat = 0; repeat < 3; ++repeat) {
    std::latch ready(threads + 1);
    std::vector<std::thread> all;
    volatile float sink = 0;
    for (unsigned i = 0; i < threads; ++i) {
      all.emplace_back([&] {
        ready.arrive_and_wait();
        const float out = wide ? spin_512() : spin_256();
        if (out == 0.5F) sink = out;
      });
    }
    ready.arrive_and_wait();
    const auto begin = Clock::now();
    for (std::thread& thread : all) thread.join();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    const double flops = 2.0 * (wide ? 16 : 8) * kSums * static_cast<double>(kRounds) * threads;
    best = std::max(best, flops / seconds * 1e-9);
  }
  return best;
}

}  // namespace overwinter::bench
