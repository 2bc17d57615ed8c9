// What a model keeps of its activations: numbers of T, which its products multiply. Kernels work in
// fp32: where T is float they work in place, else in a thread's scratch, from which rows are
// rounded. And how rows are shared. Internal to this room.
#pragma once

#include <algorithm>
#include <type_traits>

#include "common/plan/train_batch.h"
#include "common/plan/train_memory.h"
#include "worker/kernels/convert.h"
#include "worker/train/model.h"

namespace overwinter::worker {

template <class T>
inline constexpr bool kIsNarrow = !std::is_same_v<T, float>;

// Where kernels work on what will be kept.
template <class T>
float* workplace(T* kept, float* scratch) {
  if constexpr (kIsNarrow<T>)
    return scratch;
  else
    return kept;
}
// Keeps what was made at the workplace.
template <class T>
void keep(const float* made, std::size_t count, T* kept) {
  if constexpr (kIsNarrow<T>) narrow(made, count, kept);
}
// What is kept, for a kernel to read.
template <class T>
const float* readable(const T* kept, std::size_t count, float* scratch) {
  if constexpr (kIsNarrow<T>) {
    widen(kept, count, scratch);
    return scratch;
  } else {
    return kept;
  }
}

// The weights that products take.
template <class T>
const T* factor(const Parameter& p) {
  if constexpr (kIsNarrow<T>)
    return static_cast<const T*>(p.copy);
  else
    return p.weights;
}

// Rounds the weights that products take, each thread a share; only those that train, or all.
template <class T>
void copy_weights(ComputeTeam& team, Parameters& parameters, bool all) {
  if constexpr (kIsNarrow<T>) {
    team.run([&](std::uint32_t thread) {
      for (Parameter& p : parameters.all()) {
        if (p.copy == nullptr || (!all && p.gradients == nullptr)) continue;
        const auto own = plan::share_of(p.count, team.size(), thread);
        narrow(p.weights + own.begin, own.size(), static_cast<T*>(p.copy) + own.begin);
      }
    });
  }
}

// A thread's rows: whole blocks of plan::kRowBlock but for the last. OpenBLAS gives a product's row
// the same bits whichever rows are multiplied with it, as long as they are cut there (found and
// tested; oneDNN's depend on all sizes of a product), so none depends on the number of threads.
inline plan::SampleRange rows_of(std::uint64_t rows, std::uint32_t threads, std::uint32_t thread) {
  const std::uint64_t blocks = (rows + plan::kRowBlock - 1) / plan::kRowBlock;
  const plan::SampleRange own = plan::share_of(blocks, threads, thread);
  return {std::min(rows, own.begin * plan::kRowBlock), std::min(rows, own.end * plan::kRowBlock)};
}

// Calls work(part) for parts of at most so many rows, one after the other. `rows` begin at a block.
template <class Work>
void for_parts(const plan::SampleRange& rows, std::uint64_t most, const Work& work) {
  for (std::uint64_t at = rows.begin; at < rows.end;) {
    const std::uint64_t end = std::min(rows.end, at + most);
    work(plan::SampleRange{at, end});
    at = end;
  }
}

// The most rows of one product: backends cut larger ones themselves (OpenBlasGemm at 4,096,
// WidenedGemm at 1,024), elsewhere than at blocks.
template <class T>
inline constexpr std::uint64_t kProductRows = (kIsNarrow<T> ? 42 : 170) * plan::kRowBlock;

// By no more rows at once than a thread's scratch has; in fp32 there is none.
template <class T, class Work>
void for_scratch_parts(const plan::SampleRange& rows, const Work& work) {
  for_parts(rows, kIsNarrow<T> ? plan::kScratchRows : kProductRows<T>, work);
}

// sums[j] += the sum of column j of d over all rows, for columns [begin, end). `scratch`: a row.
template <class T>
void add_column_sums(const TrainKernels& kernels, const T* d, std::size_t rows, std::size_t width,
                     const plan::SampleRange& columns, float* scratch, float* sums) {
  if constexpr (kIsNarrow<T>) {
    for (std::size_t r = 0; r < rows; ++r) {
      widen(d + r * width + columns.begin, columns.size(), scratch);
      kernels.add_bias(sums + columns.begin, scratch, 1, columns.size());
    }
  } else {
    kernels.column_sums(d, rows, width, columns.begin, columns.end, sums);
  }
}

}  // namespace overwinter::worker
