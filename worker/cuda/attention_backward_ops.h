// Gradients of attention by tiles: attention_ops.h says how. `delta` is AttentionDelta's
// (row_ops.h).
#pragma once

#include <cstddef>

#include "worker/cuda/attention_ops.h"

namespace overwinter::worker::cuda {

// What both passes read.
struct AttentionGradient {
  AttentionShape shape;
  const float *dy, *qkv, *log_sums, *delta;
  float scale;
  float* dqkv;

  // The probability of a pair whose queries' and keys' rows have this product; 0 where the key is
  // behind the query or not there.
  [[nodiscard]] OW_BOTH float probability(const TilePlace& place, std::size_t query,
                                          std::size_t key, float product) const {
    if (key > query || query >= shape.tokens) return 0;
    return exp_of(product * scale - log_sums[(place.row + query) * shape.heads + place.head]);
  }
  // The gradient of its score, from the product of dy's and the value's rows.
  [[nodiscard]] OW_BOTH float score_gradient(const TilePlace& place, std::size_t query, float p,
                                             float product) const {
    if (p == 0) return 0;
    return p * (product - delta[(place.row + query) * shape.heads + place.head]) * scale;
  }
};

// dq of a tile of queries: over the tiles of keys that they see.
template <std::size_t kSize>
struct AttentionQueryBackward {
  AttentionGradient of;

  using Tiles = TileOps<kSize>;
  static constexpr std::size_t kSharedFloats = 5 * Tiles::kFloats + kScoreFloats;
  [[nodiscard]] std::size_t blocks() const { return of.shape.blocks(); }

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t block, float* shared) const {
    const AttentionShape& shape = of.shape;
    const TilePlace place(shape, block, true);
    const std::size_t stride = 3 * shape.width;
    const std::size_t size = shape.size();
    const std::size_t first = place.tile * kTile;
    const float* const from = of.qkv + place.row * stride + place.head * size;
    float* const q = shared;
    float* const g = q + Tiles::kFloats;
    float* const k = g + Tiles::kFloats;
    float* const v = k + Tiles::kFloats;
    float* const dq = v + Tiles::kFloats;
    float* const d = dq + Tiles::kFloats;
    Tiles::load(team, from, stride, first, shape.tokens, size, q);
    Tiles::load(team, of.dy + place.row * shape.width + place.head * size, shape.width, first,
                shape.tokens, size, g);
    Tiles::clear(team, dq);
    for (std::size_t keys = 0; keys <= first; keys += kTile) {
      Tiles::load(team, from + shape.width, stride, keys, shape.tokens, size, k);
      Tiles::load(team, from + 2 * shape.width, stride, keys, shape.tokens, size, v);
      Tiles::products(team, q, k, [&](std::size_t i, std::size_t j, float product) {
        d[i * kScoreStride + j] = of.probability(place, first + i, keys + j, product);
      });
      // Each lane meets the pairs that it has just written.
      Tiles::products(team, g, v, [&](std::size_t i, std::size_t j, float product) {
        float& score = d[i * kScoreStride + j];
        score = of.score_gradient(place, first + i, score, product);
      });
      Tiles::template add_product<false>(team, d, k, dq, KeepAll());
    }
    Tiles::store(team, dq, of.dqkv + place.row * stride + place.head * size, stride, first,
                 shape.tokens, size);
  }
};

// dk and dv of a tile of keys: over the tiles of queries that see them.
template <std::size_t kSize>
struct AttentionKeyBackward {
  AttentionGradient of;

  using Tiles = TileOps<kSize>;
  static constexpr std::size_t kSharedFloats = 6 * Tiles::kFloats + 2 * kScoreFloats;
  [[nodiscard]] std::size_t blocks() const { return of.shape.blocks(); }

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t block, float* shared) const {
    const AttentionShape& shape = of.shape;
    const TilePlace place(shape, block, false);
    const std::size_t stride = 3 * shape.width;
    const std::size_t size = shape.size();
    const std::size_t first = place.tile * kTile;
    const float* const from = of.qkv + place.row * stride + place.head * size;
    float* const k = shared;
    float* const v = k + Tiles::kFloats;
    float* const q = v + Tiles::kFloats;
    float* const g = q + Tiles::kFloats;
    float* const dk = g + Tiles::kFloats;
    float* const dv = dk + Tiles::kFloats;
    float* const p = dv + Tiles::kFloats;
    float* const d = p + kScoreFloats;
    Tiles::load(team, from + shape.width, stride, first, shape.tokens, size, k);
    Tiles::load(team, from + 2 * shape.width, stride, first, shape.tokens, size, v);
    Tiles::clear(team, dk);
    Tiles::clear(team, dv);
    for (std::size_t queries = first; queries < shape.tokens; queries += kTile) {
      Tiles::load(team, from, stride, queries, shape.tokens, size, q);
      Tiles::load(team, of.dy + place.row * shape.width + place.head * size, shape.width, queries,
                  shape.tokens, size, g);
      Tiles::products(team, q, k, [&](std::size_t i, std::size_t j, float product) {
        p[i * kScoreStride + j] = of.probability(place, queries + i, first + j, product);
      });
      Tiles::products(team, g, v, [&](std::size_t i, std::size_t j, float product) {
        d[i * kScoreStride + j] =
            of.score_gradient(place, queries + i, p[i * kScoreStride + j], product);
      });
      Tiles::template add_product<true>(team, p, g, dv, KeepAll());
      Tiles::template add_product<true>(team, d, q, dk, KeepAll());
    }
    float* const to = of.dqkv + place.row * stride + place.head * size;
    Tiles::store(team, dk, to + shape.width, stride, first, shape.tokens, size);
    Tiles::store(team, dv, to + 2 * shape.width, stride, first, shape.tokens, size);
  }
};

}  // namespace overwinter::worker::cuda
