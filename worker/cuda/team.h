// Who does one piece of an operation: a team of lanes, which on a GPU are threads and on the host
// one thread that plays them one after another. An operation is written once, for any team, and
// the host's sums are made in the GPU's order; so its arithmetic is tested where there is no GPU.
//
// What differs between the two: the GPU's exponentials and logarithms (some units in the last
// place) and its products that are added without rounding in between.
#pragma once

#include <cmath>
#include <cstddef>

// For functions that run on both.
#ifdef __CUDACC__
#define OW_BOTH __host__ __device__
#else
#define OW_BOTH
#endif

namespace overwinter::worker::cuda {

OW_BOTH inline float exp_of(float x) {
  return ::expf(x);
}
OW_BOTH inline float log_of(float x) {
  return ::logf(x);
}
OW_BOTH inline float root_of(float x) {
  return ::sqrtf(x);
}

// Works on one row: lane l has elements l, l + 32, l + 64 …, so that each lane reads what it has
// itself written and nobody waits. A sum is each lane's own, then halves are added onto halves:
// 16, 8, 4, 2, 1 apart. Every lane has the result.
inline constexpr std::size_t kRowLanes = 32;

class HostRowTeam {
 public:
  template <class Work>
  void each(std::size_t n, const Work& work) const {
    for (std::size_t j = 0; j < n; ++j) work(j);
  }
  // T is double where the sum is to be.
  template <class T, class Term>
  [[nodiscard]] T sum(std::size_t n, const Term& term) const {
    T lanes[kRowLanes] = {};
    for (std::size_t j = 0; j < n; ++j) lanes[j % kRowLanes] += term(j);
    for (std::size_t apart = kRowLanes / 2; apart > 0; apart /= 2)
      for (std::size_t l = 0; l < apart; ++l) lanes[l] += lanes[l + apart];
    return lanes[0];
  }
  // Of at least one. A NaN is not taken.
  template <class Term>
  [[nodiscard]] float largest(std::size_t n, const Term& term) const {
    float most = -INFINITY;
    for (std::size_t j = 0; j < n; ++j) most = ::fmaxf(most, term(j));
    return most;
  }
  // Once for the team.
  template <class Work>
  void once(const Work& work) const {
    work();
  }
};

// Works on one block with memory that its lanes share: lane l has tasks l, l + 128 …, and all wait
// for each other behind every each(). A task reads only what an each() before has written.
inline constexpr std::size_t kBlockLanes = 128;

class HostBlockTeam {
 public:
  template <class Task>
  void each(std::size_t n, const Task& task) const {
    for (std::size_t i = 0; i < n; ++i) task(i);
  }
};

}  // namespace overwinter::worker::cuda
