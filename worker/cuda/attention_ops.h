// Causal attention by tiles: 32 queries against 32 keys at a time, so that no matrix of T x T
// exists and keys behind a tile are never touched. Forward rescales what it has summed whenever a
// larger score appears; backward makes the probabilities again from the logarithms of their
// denominators, once for the gradients of queries and once for those of keys and values, so that
// each is written by one block (the method of FlashAttention, Dao and others 2022). Twins:
// reference::attention, and attention.h on the processor.
//
// A block of kBlockLanes lanes works on one tile of one head of one sequence. Its shared memory has
// tiles of kTile rows and kSize columns (the head's columns and zeros), a row apart from the next
// by one more, which spreads a column over the banks of a GPU's shared memory.
#pragma once

#include <cstddef>

#include "worker/cuda/team.h"

namespace overwinter::worker::cuda {

inline constexpr std::size_t kTile = 32;
inline constexpr std::size_t kHeadSizeMax = 128;
inline constexpr std::size_t kScoreStride = kTile + 1;
inline constexpr std::size_t kScoreFloats = kTile * kScoreStride;

// A head of a batch: qkv is sequences x tokens x 3 width (queries, keys, values, heads side by side
// in each), y is sequences x tokens x width, log_sums sequences x tokens x heads.
struct AttentionShape {
  std::size_t sequences = 0;
  std::size_t tokens = 0;
  std::size_t heads = 0;
  std::size_t width = 0;

  [[nodiscard]] OW_BOTH std::size_t tiles() const { return (tokens + kTile - 1) / kTile; }
  [[nodiscard]] OW_BOTH std::size_t blocks() const { return sequences * heads * tiles(); }
  [[nodiscard]] OW_BOTH std::size_t size() const { return width / heads; }
};

// Where block `b` works. The last tiles have the most keys and come first, so that no long one is
// left at the end.
struct TilePlace {
  std::size_t tile, head, row;  // row: the sequence's first, of all rows
  OW_BOTH TilePlace(const AttentionShape& shape, std::size_t b, bool last_first) {
    const std::size_t pairs = shape.sequences * shape.heads;
    tile = last_first ? shape.tiles() - 1 - b / pairs : b / pairs;
    head = b % pairs % shape.heads;
    row = b % pairs / shape.heads * shape.tokens;
  }
};

template <std::size_t kSize>
struct TileOps {
  static constexpr std::size_t kStride = kSize + 1;
  static constexpr std::size_t kFloats = kTile * kStride;

  // Rows [first, first + kTile) of a matrix whose rows are `stride` apart; zeros behind `rows` and
  // `size`.
  template <class Team>
  OW_BOTH static void load(const Team& team, const float* from, std::size_t stride,
                           std::size_t first, std::size_t rows, std::size_t size, float* tile) {
    team.each(kTile * kSize, [&](std::size_t i) {
      const std::size_t r = i / kSize;
      const std::size_t j = i % kSize;
      const bool there = first + r < rows && j < size;
      tile[r * kStride + j] = there ? from[(first + r) * stride + j] : 0.0F;
    });
  }
  template <class Team>
  OW_BOTH static void store(const Team& team, const float* tile, float* to, std::size_t stride,
                            std::size_t first, std::size_t rows, std::size_t size) {
    team.each(kTile * kSize, [&](std::size_t i) {
      const std::size_t r = i / kSize;
      const std::size_t j = i % kSize;
      if (first + r < rows && j < size) to[(first + r) * stride + j] = tile[r * kStride + j];
    });
  }
  template <class Team>
  OW_BOTH static void clear(const Team& team, float* tile) {
    team.each(kFloats, [&](std::size_t i) { tile[i] = 0; });
  }

  // take(i, j, row i of a times row j of b) for each pair; a lane has 2 x 4 of them, so that what
  // it reads is used more than once.
  template <class Team, class Take>
  OW_BOTH static void products(const Team& team, const float* a, const float* b, const Take& take) {
    constexpr std::size_t kDown = 2;
    constexpr std::size_t kAcross = 4;
    constexpr std::size_t kWide = kTile / kAcross;
    constexpr std::size_t kHigh = kTile / kDown;
    team.each(kHigh * kWide, [&](std::size_t task) {
      const std::size_t i = task / kWide;
      const std::size_t j = task % kWide;
      float sums[kDown][kAcross] = {};
      for (std::size_t l = 0; l < kSize; ++l) {
        for (std::size_t di = 0; di < kDown; ++di) {
          const float x = a[(i + di * kHigh) * kStride + l];
          for (std::size_t dj = 0; dj < kAcross; ++dj)
            sums[di][dj] += x * b[(j + dj * kWide) * kStride + l];
        }
      }
      for (std::size_t di = 0; di < kDown; ++di)
        for (std::size_t dj = 0; dj < kAcross; ++dj)
          take(i + di * kHigh, j + dj * kWide, sums[di][dj]);
    });
  }

  // sums = keep(row) * sums + w b, w being a tile of scores or, where kTransposed, its transpose.
  template <bool kTransposed, class Team, class Keep>
  OW_BOTH static void add_product(const Team& team, const float* w, const float* b, float* sums,
                                  const Keep& keep) {
    constexpr std::size_t kDown = 4;
    constexpr std::size_t kWide = 16;
    constexpr std::size_t kAcross = kSize / kWide;
    constexpr std::size_t kHigh = kTile / kDown;
    team.each(kHigh * kWide, [&](std::size_t task) {
      const std::size_t i = task / kWide;
      const std::size_t j = task % kWide;
      float more[kDown][kAcross] = {};
      for (std::size_t l = 0; l < kTile; ++l) {
        for (std::size_t di = 0; di < kDown; ++di) {
          const std::size_t row = i + di * kHigh;
          const float x = kTransposed ? w[l * kScoreStride + row] : w[row * kScoreStride + l];
          for (std::size_t dj = 0; dj < kAcross; ++dj)
            more[di][dj] += x * b[l * kStride + j + dj * kWide];
        }
      }
      for (std::size_t di = 0; di < kDown; ++di) {
        const std::size_t row = i + di * kHigh;
        for (std::size_t dj = 0; dj < kAcross; ++dj) {
          float& sum = sums[row * kStride + j + dj * kWide];
          sum = keep(row) * sum + more[di][dj];
        }
      }
    });
  }
};

struct KeepAll {
  OW_BOTH float operator()(std::size_t /*row*/) const { return 1; }
};

template <std::size_t kSize>
struct AttentionForward {
  AttentionShape shape;
  const float* qkv;
  float *y, *log_sums;
  float scale;  // 1 / sqrt(size)

  using Tiles = TileOps<kSize>;
  static constexpr std::size_t kSharedFloats = 4 * Tiles::kFloats + kScoreFloats + 3 * kTile;
  [[nodiscard]] std::size_t blocks() const { return shape.blocks(); }

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t block, float* shared) const {
    const TilePlace place(shape, block, true);
    const std::size_t stride = 3 * shape.width;
    const std::size_t size = shape.size();
    const std::size_t first = place.tile * kTile;
    const float* const from = qkv + place.row * stride + place.head * size;
    float* const q = shared;
    float* const k = q + Tiles::kFloats;
    float* const v = k + Tiles::kFloats;
    float* const sums = v + Tiles::kFloats;
    float* const p = sums + Tiles::kFloats;
    float* const most = p + kScoreFloats;
    float* const denominator = most + kTile;
    float* const keep = denominator + kTile;
    Tiles::load(team, from, stride, first, shape.tokens, size, q);
    Tiles::clear(team, sums);
    team.each(kTile, [&](std::size_t i) {
      most[i] = -INFINITY;
      denominator[i] = 0;
    });
    for (std::size_t keys = 0; keys <= first; keys += kTile) {
      Tiles::load(team, from + shape.width, stride, keys, shape.tokens, size, k);
      Tiles::load(team, from + 2 * shape.width, stride, keys, shape.tokens, size, v);
      Tiles::products(team, q, k, [&](std::size_t i, std::size_t j, float product) {
        const bool seen = keys + j <= first + i && keys + j < shape.tokens;
        p[i * kScoreStride + j] = seen ? product * scale : -INFINITY;
      });
      // Key 0 is seen by all, so after the first tile every row has a finite score.
      team.each(kTile, [&](std::size_t i) {
        float now = most[i];
        for (std::size_t j = 0; j < kTile; ++j) now = ::fmaxf(now, p[i * kScoreStride + j]);
        keep[i] = exp_of(most[i] - now);
        most[i] = now;
      });
      team.each(kTile * kTile, [&](std::size_t t) {
        float& score = p[t / kTile * kScoreStride + t % kTile];
        score = exp_of(score - most[t / kTile]);
      });
      team.each(kTile, [&](std::size_t i) {
        float sum = 0;
        for (std::size_t j = 0; j < kTile; ++j) sum += p[i * kScoreStride + j];
        denominator[i] = keep[i] * denominator[i] + sum;
      });
      Tiles::template add_product<false>(team, p, v, sums,
                                         [&](std::size_t row) { return keep[row]; });
    }
    team.each(Tiles::kFloats, [&](std::size_t i) { sums[i] /= denominator[i / Tiles::kStride]; });
    Tiles::store(team, sums, y + place.row * shape.width + place.head * size, shape.width, first,
                 shape.tokens, size);
    team.each(kTile, [&](std::size_t i) {
      if (first + i < shape.tokens)
        log_sums[(place.row + first + i) * shape.heads + place.head] =
            most[i] + log_of(denominator[i]);
    });
  }
};

}  // namespace overwinter::worker::cuda
