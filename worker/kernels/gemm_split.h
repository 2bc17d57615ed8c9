// How the threads of a device divide one product: each takes a rectangle of C and calls a library
// that stays on its thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "worker/kernels/gemm.h"
#include "worker/kernels/thread_team.h"

namespace overwinter::worker {

struct GemmSplit {
  std::size_t rows = 1;
  std::size_t columns = 1;
  [[nodiscard]] std::size_t parts() const { return rows * columns; }
};

// The grid whose parts have the least to read. Parts of fewer than 32 rows or columns are not worth
// a thread: then fewer threads work.
[[nodiscard]] GemmSplit split_of(std::size_t m, std::size_t n, std::size_t threads);

// [begin, end) of part `index`, of sizes that are multiples of 16 but for the last, so that kernels
// meet whole blocks. May be empty.
struct GemmShare {
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] std::size_t size() const { return end - begin; }
};
[[nodiscard]] GemmShare share_of(std::size_t all, std::size_t parts, std::size_t index);

// The part of the product that is these rows and columns of C.
template <class T>
Gemm<T> part_of(const Gemm<T>& p, GemmShare rows, GemmShare columns) {
  Gemm<T> s = p;
  s.m = rows.size();
  s.n = columns.size();
  if (p.a != nullptr) s.a = p.transpose_a ? p.a + rows.begin : p.a + rows.begin * p.lda;
  if (p.b != nullptr) s.b = p.transpose_b ? p.b + columns.begin * p.ldb : p.b + columns.begin;
  s.c = p.c + rows.begin * p.ldc + columns.begin;
  return s;
}

// Calls work(thread, rows, columns) for each part that is not empty, each on a thread of its own.
template <class Work>
void for_each_part(ThreadTeam& team, std::size_t m, std::size_t n, GemmSplit split,
                   const Work& work) {
  const auto one = [&](std::uint32_t thread) {
    if (thread >= split.parts()) return;
    const GemmShare rows = share_of(m, split.rows, thread / split.columns);
    const GemmShare columns = share_of(n, split.columns, thread % split.columns);
    if (rows.size() != 0 && columns.size() != 0) work(thread, rows, columns);
  };
  if (split.parts() == 1) {
    one(0);
  } else {
    team.run(one);
  }
}

}  // namespace overwinter::worker
