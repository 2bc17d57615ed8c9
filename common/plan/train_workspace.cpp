#include "common/plan/train_workspace.h"

#include <algorithm>

#include "common/plan/matmul_geometry.h"

namespace overwinter::plan {
namespace {

constexpr std::uint64_t kElement = 4;
// OpenBLAS's blocks, as measured with its AVX2 kernels (320 x 320); those for AVX-512 have longer
// ones.
constexpr std::uint64_t kBlockSide = 640;
constexpr std::uint64_t kBlockDepth = 320;
constexpr std::uint64_t kOneBlockMax = 320;
// Of a factor that is not kept: some lines of a kernel's width.
constexpr std::uint64_t kLines = 72;
constexpr std::uint64_t kWidenedSide = 1024;
// Blocks of widened numbers lie in one mapping of huge pages, of which they fill the last in part.
constexpr std::uint64_t kHugePage = 2ULL << 20U;
// Stacks of threads, libraries' tables, the heap: measured.
constexpr std::uint64_t kThreadRestBytes = 128ULL << 10U;
constexpr std::uint64_t kRestBytes = 256ULL << 10U;

bool narrow(const TrainRank& rank) {
  return rank.precision != TrainPrecision::kFp32;
}

// The largest share of rows that a thread has: whole blocks.
std::uint64_t share(const TrainRank& rank, std::uint64_t rows) {
  const std::uint64_t blocks = rows / kRowBlock + (rows % kRowBlock == 0 ? 0 : 1);
  const std::uint64_t own = blocks / rank.threads + (blocks % rank.threads == 0 ? 0 : 1);
  return std::min(rows, saturating_product(own, kRowBlock));
}

// Of a product over rows of activations, which goes by a thread's scratch in 16 bits.
std::uint64_t part_of_rows(const TrainRank& rank, std::uint64_t rows) {
  return std::min(share(rank, rows), narrow(rank) ? kScratchRows : kWideProductRows);
}
std::uint64_t part_of_product(const TrainRank& rank, std::uint64_t rows) {
  return std::min(share(rank, rows), narrow(rank) ? kNarrowProductRows : kWideProductRows);
}

// y = x w over r rows, and its dx.
void of_rows(const TrainRank& rank, std::uint64_t r, std::uint64_t inputs, std::uint64_t outputs,
             bool backward, std::vector<TrainProduct>& all) {
  const std::uint64_t rows = part_of_rows(rank, r);
  all.push_back({rows, outputs, inputs});
  if (backward) all.push_back({rows, inputs, outputs});
}

void gpt_products(const TrainRank& rank, std::vector<TrainProduct>& all) {
  const TrainShape& s = rank.shape;
  const std::uint64_t r = saturating_product(rank.micro_batch, s.context);
  const std::uint64_t c = s.width;
  for (const auto& [inputs, outputs] :
       {std::pair{c, 3 * c}, std::pair{c, c}, std::pair{c, 4 * c}, std::pair{4 * c, c}}) {
    of_rows(rank, r, inputs, outputs, true, all);
    all.push_back({part_of_product(rank, inputs), outputs, r});
  }
  const std::uint64_t rows = part_of_product(rank, head_rows(rank));
  all.push_back({rows, s.vocabulary, c});
  all.push_back({rows, c, s.vocabulary});
  all.push_back({part_of_product(rank, s.vocabulary), c, head_rows(rank)});
}

// What OpenBLAS's buffer holds over all of a thread's products.
struct Blas {
  std::uint64_t block = 0;  // of the factor that is cut into blocks
  std::uint64_t kept = 0;   // of the other

  void add(const TrainProduct& p) {
    const std::uint64_t depth = std::min(p.k, kBlockDepth);
    block = std::max(block, std::min(p.n, kBlockSide) * depth * kElement);
    kept = std::max(kept, (p.n > kOneBlockMax ? p.m : std::min(p.m, kLines)) * depth * kElement);
  }
  [[nodiscard]] std::uint64_t bytes() const { return block + kept; }
};

std::uint64_t of_thread(const TrainRank& rank) {
  Blas blas;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  for (TrainProduct p : train_products(rank)) {
    if (narrow(rank)) {
      p = {std::min(p.m, kWidenedSide), std::min(p.n, kWidenedSide), std::min(p.k, kWidenedSide)};
      a = std::max(a, p.m * p.k * kElement);
      b = std::max(b, p.n * p.k * kElement);
    }
    blas.add(p);
  }
  const std::uint64_t widened = narrow(rank) ? a + b + kHugePage / 2 : 0;
  return blas.bytes() + widened + kThreadRestBytes;
}

}  // namespace

std::vector<TrainProduct> train_products(const TrainRank& rank) {
  std::vector<TrainProduct> all;
  if (rank.shape.kind == TrainKind::kGpt) {
    gpt_products(rank, all);
    return all;
  }
  const std::vector<std::uint64_t>& widths = rank.shape.widths;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    of_rows(rank, rank.micro_batch, widths[i], widths[i + 1], i > 0, all);
    all.push_back({part_of_product(rank, widths[i + 1]), widths[i], rank.micro_batch});
  }
  return all;
}

std::uint64_t train_workspace_bytes(const TrainRank& rank) {
  return saturating_sum(saturating_product(rank.threads, of_thread(rank)), kRestBytes);
}

}  // namespace overwinter::plan
