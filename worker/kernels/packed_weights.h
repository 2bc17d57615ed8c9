// A B that many products share (weights), kept once as its backend wants it: GemmBackend::pack.
#pragma once

#include <cstddef>
#include <memory>

#include "common/base/result.h"
#include "worker/kernels/gemm.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// Which B to keep, by the rules of Gemm. It may go once pack() has returned.
struct GemmWeights {
  GemmType type = GemmType::kFp32;
  bool transpose = false;
  std::size_t k = 0;
  std::size_t n = 0;
  const void* b = nullptr;  // of the type
  std::size_t ldb = 0;
  std::size_t rows = 0;  // how many rows products will have: a hint; 0 when not known
};

template <class T>
GemmWeights weights_of(const Gemm<T>& p) {
  return {GemmTraits<T>::kType, p.transpose_b, p.k, p.n, p.b, p.ldb, p.m};
}

// Immutable. Must end before the backend that made it and the memory that it is in.
class PackedWeights {
 public:
  PackedWeights(const GemmBackend& owner, const GemmWeights& of)
      : owner_(owner), type_(of.type), k_(of.k), n_(of.n) {}
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;
  virtual ~PackedWeights() = default;
  // What it holds of the memory that it was given.
  [[nodiscard]] virtual std::size_t bytes() const = 0;
  [[nodiscard]] const GemmBackend& owner() const { return owner_; }
  [[nodiscard]] GemmType type() const { return type_; }
  [[nodiscard]] std::size_t k() const { return k_; }
  [[nodiscard]] std::size_t n() const { return n_; }

 private:
  const GemmBackend& owner_;
  const GemmType type_;
  const std::size_t k_;
  const std::size_t n_;
};

// INVALID_ARGUMENT when p.packed is of another backend, type or size. None is good.
template <class T>
Status check_packed(const Gemm<T>& p, const GemmBackend& self);

// What a product begins with: its weights and strides are checked, and one that has no term (a size
// of 0, an alpha of 0) is done at once. False: nothing is left to multiply.
template <class T>
Result<bool> begin_product(const Gemm<T>& p, const GemmBackend& self);

// op(B) row by row, for libraries that pack in each call.
class PlainWeights final : public PackedWeights {
 public:
  [[nodiscard]] static Result<std::unique_ptr<PackedWeights>> make(const GemmBackend& owner,
                                                                   const GemmWeights& weights,
                                                                   MemoryResource& memory);
  PlainWeights(const GemmBackend& owner, const GemmWeights& of, Buffer buffer)
      : PackedWeights(owner, of), buffer_(std::move(buffer)) {}
  [[nodiscard]] std::size_t bytes() const override { return buffer_.size(); }
  // n elements a row.
  [[nodiscard]] const void* data() const { return buffer_.data(); }

 private:
  Buffer buffer_;
};

// For backends with PlainWeights: p.packed, where there is one, becomes p.b.
template <class T>
Status use_plain_weights(Gemm<T>& p, const GemmBackend& self);

}  // namespace overwinter::worker
