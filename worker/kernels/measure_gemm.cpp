#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <vector>

#include "worker/kernels/chosen_gemm.h"
#include "worker/memory/host_resource.h"

namespace overwinter::worker {
namespace {

using MeasureClock = std::chrono::steady_clock;

constexpr std::size_t kRoundsMax = 5;

// One product for each class, in its order: small enough for a worker's start.
struct MeasuredShape {
  std::size_t m, n, k;
};
constexpr std::array<MeasuredShape, kGemmClasses> kMeasured{
    {{64, 1024, 2048}, {1024, 64, 2048}, {512, 512, 512}, {1024, 1024, 1024}, {1024, 1024, 2048}}};

float half(float /*of*/) {
  return 0.5F;
}
double half(double /*of*/) {
  return 0.5;
}
BFloat16 half(BFloat16 /*of*/) {
  return to_bfloat16(0.5F);
}
Float16 half(Float16 /*of*/) {
  return to_float16(0.5F);
}
std::int8_t half(std::int8_t /*of*/) {
  return 1;
}

double seconds_since(MeasureClock::time_point begin) {
  return std::chrono::duration<double>(MeasureClock::now() - begin).count();
}

template <class T>
class TypeMeasurement {
 public:
  TypeMeasurement(ChosenGemm& gemm, double seconds)
      : gemm_(gemm),
        candidates_(gemm.candidates(GemmTraits<T>::kType)),
        end_(MeasureClock::now() + std::chrono::duration_cast<MeasureClock::duration>(
                                       std::chrono::duration<double>(seconds))) {
    for (auto& of_class : least_) {
      of_class.assign(candidates_.size(), std::numeric_limits<double>::infinity());
    }
  }

  void run(GemmChoice& choice) {
    std::size_t a = 0;
    std::size_t b = 0;
    std::size_t c = 0;
    for (const MeasuredShape& s : kMeasured) {
      a = std::max(a, s.m * s.k);
      b = std::max(b, s.k * s.n);
      c = std::max(c, s.m * s.n);
    }
    if (!take(a_, a * sizeof(T)) || !take(b_, b * sizeof(T)) || !take(c_, c * sizeof(Sum))) return;
    std::fill_n(a_.as<T>(), a, half(T()));
    std::fill_n(b_.as<T>(), b, half(T()));
    for (const GemmLibrary library : candidates_) time(library, {64, 64, 64});  // code, buffers
    for (std::size_t round = 0; round < kRoundsMax && one_round(); ++round) {
    }
    for (std::size_t shape = 0; shape < kGemmClasses; ++shape) conclude(shape, choice);
  }

 private:
  using Sum = typename Gemm<T>::Sum;

  bool take(Buffer& to, std::size_t bytes) {
    auto taken = Buffer::make(memory_, bytes);
    if (taken) to = *std::move(taken);
    return taken.has_value();
  }

  // False: the time is over.
  bool one_round() {
    for (std::size_t shape = 0; shape < kGemmClasses; ++shape) {
      for (std::size_t i = 0; i < candidates_.size(); ++i) {
        if (MeasureClock::now() >= end_) return false;
        double& least = least_[shape][i];
        least = std::min(least, time(candidates_[i], kMeasured[shape]));
      }
    }
    return true;
  }

  double time(GemmLibrary library, MeasuredShape s) {
    Gemm<T> p;
    p.m = s.m;
    p.n = s.n;
    p.k = s.k;
    p.a = a_.as<T>();
    p.lda = s.k;
    p.b = b_.as<T>();
    p.ldb = s.n;
    p.c = c_.as<Sum>();
    p.ldc = s.n;
    const auto begin = MeasureClock::now();
    if (!gemm_.backend(library).gemm(p).ok()) return std::numeric_limits<double>::infinity();
    return seconds_since(begin);
  }

  // Only where each candidate had its turn.
  void conclude(std::size_t shape, GemmChoice& choice) const {
    const std::vector<double>& least = least_[shape];
    if (*std::ranges::max_element(least) == std::numeric_limits<double>::infinity()) return;
    const auto best = static_cast<std::size_t>(std::ranges::min_element(least) - least.begin());
    const MeasuredShape& s = kMeasured[shape];
    choice.of(GemmTraits<T>::kType, static_cast<GemmClass>(shape)) = {
        candidates_[best], 2e-9 * static_cast<double>(s.m * s.n * s.k) / least[best]};
  }

  ChosenGemm& gemm_;
  const std::vector<GemmLibrary> candidates_;
  const MeasureClock::time_point end_;
  std::array<std::vector<double>, kGemmClasses> least_;
  HostResource memory_;  // given back to the system at once: nothing is left of it in the daemon
  Buffer a_;
  Buffer b_;
  Buffer c_;
};

template <class T>
void measure_type(ChosenGemm& gemm, double seconds, GemmChoice& choice) {
  if (gemm.candidates(GemmTraits<T>::kType).size() > 1) {
    TypeMeasurement<T>(gemm, seconds).run(choice);
  }
}

template <class T>
double measure_square(GemmBackend& backend, double seconds) {
  constexpr std::size_t kSide = 512;
  const std::vector<T> a(kSide * kSide, half(T()));
  std::vector<typename Gemm<T>::Sum> c(kSide * kSide);
  Gemm<T> p;
  p.m = p.n = p.k = p.lda = p.ldb = p.ldc = kSide;
  p.a = p.b = a.data();
  p.c = c.data();
  if (!backend.gemm(p).ok()) return 0;  // and warm
  const auto begin = MeasureClock::now();
  double best = 0;
  double spent = 0;
  double last = 0;
  do {
    if (!backend.gemm(p).ok()) return 0;
    spent = seconds_since(begin);
    best = std::max(best, 2e-9 * kSide * kSide * kSide / (spent - last));
    last = spent;
  } while (spent < seconds);
  return best;
}

}  // namespace

double measure_gflops(GemmBackend& backend, GemmType type, double seconds) {
  switch (type) {
    case GemmType::kFp32:
      return measure_square<float>(backend, seconds);
    case GemmType::kFp64:
      return measure_square<double>(backend, seconds);
    case GemmType::kBf16:
      return measure_square<BFloat16>(backend, seconds);
    case GemmType::kFp16:
      return measure_square<Float16>(backend, seconds);
    case GemmType::kInt8:
      return measure_square<std::int8_t>(backend, seconds);
  }
  return 0;
}

GemmChoice measure_gemm_choice(ChosenGemm& gemm, double seconds_each) {
  GemmChoice choice = gemm.plain_choice();
  measure_type<float>(gemm, seconds_each, choice);
  measure_type<BFloat16>(gemm, seconds_each, choice);
  measure_type<Float16>(gemm, seconds_each, choice);
  measure_type<std::int8_t>(gemm, seconds_each, choice);
  return choice;
}

std::string gemm_key(const std::string& cpu) {
  std::string key = fmt::format("{}; {}; {}; int16 1", cpu, OpenBlasGemm::description(),
                                OneDnnGemm::description());
  std::ranges::replace_if(
      key, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');  // it is one line
  return key;
}

std::string describe(const ChosenGemm& gemm) {
  std::string text;
  std::string widened;
  for (std::size_t type = 0; type < kGemmTypes; ++type) {
    const std::string_view name = gemm_type_name(static_cast<GemmType>(type));
    const auto candidates = gemm.candidates(static_cast<GemmType>(type));
    if (candidates.front() == GemmLibrary::kWidened) {
      widened += fmt::format("{}{}", widened.empty() ? "" : ", ", name);
      continue;
    }
    text += fmt::format("{}{} by", text.empty() ? "" : "; ", name);
    for (const GemmLibrary library : candidates) {
      std::string classes;
      std::size_t count = 0;
      for (std::size_t shape = 0; shape < kGemmClasses; ++shape) {
        if (gemm.choice().best[type][shape].library != library) continue;
        ++count;
        classes += fmt::format("{}{}", classes.empty() ? "" : ", ",
                               gemm_class_name(static_cast<GemmClass>(shape)));
      }
      if (count == 0) continue;
      text += fmt::format(" {}", gemm_library_name(library));
      if (count < kGemmClasses) text += fmt::format(" ({})", classes);
    }
  }
  if (!widened.empty()) {
    text += fmt::format("; {} in fp32: this processor has no instructions for exact sums of them",
                        widened);
  }
  const auto side = [](std::uint64_t from) {
    return from == 0 ? std::string("never") : fmt::format("from a side of {} on", from);
  };
  return text + fmt::format("; by Strassen {} in fp32, {} in fp64",
                            side(gemm.choice().strassen_fp32_side),
                            side(gemm.choice().strassen_fp64_side));
}

}  // namespace overwinter::worker
