#include "worker/kernels/openblas_core.h"

#include <cblas.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string_view>

namespace overwinter::worker {
namespace {

constexpr const char* kCoreVariable = "OPENBLAS_CORETYPE";

// Puts the variable back as it was.
class CoreVariable {
 public:
  explicit CoreVariable(const std::string& core) {
    if (const char* was = std::getenv(kCoreVariable)) was_ = was;
    ::setenv(kCoreVariable, core.c_str(), 1);
  }
  ~CoreVariable() {
    if (was_) {
      ::setenv(kCoreVariable, was_->c_str(), 1);
    } else {
      ::unsetenv(kCoreVariable);
    }
  }
  CoreVariable(const CoreVariable&) = delete;
  CoreVariable& operator=(const CoreVariable&) = delete;

 private:
  std::optional<std::string> was_;
};

bool switch_core(const std::string& core) {
  const auto find = [](const char* name) {
    return reinterpret_cast<void (*)()>(::dlsym(RTLD_DEFAULT, name));
  };
  const auto quit = find("gotoblas_dynamic_quit");
  const auto init = find("gotoblas_dynamic_init");
  if (quit == nullptr || init == nullptr) return false;
  const CoreVariable set(core);
  quit();
  init();
  return true;
}

// Seconds of one product of each precision, the least of some.
double core_seconds() {
  constexpr int kSide = 384;
  constexpr int kRuns = 5;
  const std::vector<float> a(std::size_t{kSide} * kSide, 0.5F);
  std::vector<float> c(a.size());
  const std::vector<double> wide_a(a.size(), 0.5);
  std::vector<double> wide_c(a.size());
  using Clock = std::chrono::steady_clock;
  std::array<double, 2> least{};
  least.fill(std::numeric_limits<double>::infinity());
  for (int i = 0; i <= kRuns; ++i) {  // the first is to warm up
    const auto begin = Clock::now();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kSide, kSide, kSide, 1, a.data(), kSide,
                a.data(), kSide, 0, c.data(), kSide);
    const auto middle = Clock::now();
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kSide, kSide, kSide, 1, wide_a.data(),
                kSide, wide_a.data(), kSide, 0, wide_c.data(), kSide);
    if (i == 0) continue;
    least[0] = std::min(least[0], std::chrono::duration<double>(middle - begin).count());
    least[1] = std::min(least[1], std::chrono::duration<double>(Clock::now() - middle).count());
  }
  return least[0] + least[1];
}

}  // namespace

std::string openblas_core() {
  return openblas_get_corename();
}

bool use_openblas_core(const std::string& core) {
  const std::string before = openblas_core();
  if (before == core) return true;
  if (!switch_core(core)) return false;
  if (openblas_core() == core) return true;
  switch_core(before);  // what it does not know it replaces by some that it does
  return false;
}

std::vector<std::string> other_openblas_cores() {
  const std::string own = openblas_core();
  for (const std::string_view wide : {"SkylakeX", "Cooperlake", "Sapphirerapids"}) {
    if (own == wide) return {"Haswell"};
  }
  return {};
}

std::string choose_openblas_core(std::span<const std::string> others) {
  std::string best = openblas_core();
  if (others.empty()) return best;
  openblas_set_num_threads(1);
  double least = core_seconds();
  for (const std::string& other : others) {
    if (!use_openblas_core(other)) continue;
    const double seconds = core_seconds();
    if (seconds < least) {
      least = seconds;
      best = other;
    }
  }
  use_openblas_core(best);
  return best;
}

}  // namespace overwinter::worker
