#include "worker/kernels/measure_strassen.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <span>

#include "worker/kernels/strassen_gemm.h"
#include "worker/memory/host_resource.h"

namespace overwinter::worker {
namespace {

using StrassenClock = std::chrono::steady_clock;

constexpr std::array<std::uint64_t, 4> kSides{768, 1024, 1536, 2048};
constexpr int kTurns = 3;
constexpr double kWorth = 0.98;  // less is noise, and not worth the digits

template <class T>
class CrossOver {
 public:
  CrossOver(GemmBackend& base, ThreadTeam& team, double seconds)
      : strassen_(base, team, memory_),
        end_(StrassenClock::now() + std::chrono::duration_cast<StrassenClock::duration>(
                                        std::chrono::duration<double>(seconds))) {}

  std::uint64_t find() {
    const std::span sides = std::span(kSides).first(sizeof(T) == sizeof(float) ? 4 : 3);
    const std::size_t elements = sides.back() * sides.back();
    for (Buffer* buffer : {&a_, &b_, &c_}) {
      auto taken = Buffer::make(memory_, elements * sizeof(T));
      if (!taken) return 0;
      *buffer = *std::move(taken);
      std::fill_n(buffer->template as<T>(), elements, T(0.5));
    }
    seconds_of(256, 0);  // code, threads
    std::uint64_t least = 0;
    for (const std::uint64_t side : sides) {
      double plain = std::numeric_limits<double>::infinity();
      double halved = plain;
      for (int turn = 0; turn < kTurns && StrassenClock::now() < end_; ++turn) {
        plain = std::min(plain, seconds_of(side, 0));
        halved = std::min(halved, seconds_of(side, 1));
      }
      if (plain == std::numeric_limits<double>::infinity()) break;
      if (halved > kWorth * plain) {
        least = 0;
      } else if (least == 0) {
        least = side;
      } else {
        break;  // at two in a row: larger ones are surer
      }
    }
    return least;
  }

 private:
  double seconds_of(std::uint64_t side, std::uint32_t levels) {
    strassen_.use(GemmTraits<T>::kType, {.side = side, .levels_max = levels});
    Gemm<T> p;
    p.m = p.n = p.k = p.lda = p.ldb = p.ldc = side;
    p.a = a_.template as<T>();
    p.b = b_.template as<T>();
    p.c = c_.template as<T>();
    const auto begin = StrassenClock::now();
    if (!strassen_.gemm(p).ok()) return std::numeric_limits<double>::infinity();
    return std::chrono::duration<double>(StrassenClock::now() - begin).count();
  }

  HostResource memory_;  // given back to the system at once
  Buffer a_;
  Buffer b_;
  Buffer c_;
  StrassenGemm strassen_;
  const StrassenClock::time_point end_;
};

}  // namespace

std::uint64_t measure_strassen_side(GemmBackend& base, ThreadTeam& team, GemmType type,
                                    double seconds) {
  return type == GemmType::kFp64 ? CrossOver<double>(base, team, seconds).find()
                                 : CrossOver<float>(base, team, seconds).find();
}

}  // namespace overwinter::worker
