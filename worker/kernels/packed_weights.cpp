#include "worker/kernels/packed_weights.h"

#include <utility>

namespace overwinter::worker {
namespace {

template <class T>
void copy_op_b(const GemmWeights& w, T* to) {
  const T* from = static_cast<const T*>(w.b);
  for (std::size_t l = 0; l < w.k; ++l) {
    for (std::size_t j = 0; j < w.n; ++j) {
      to[l * w.n + j] = w.transpose ? from[j * w.ldb + l] : from[l * w.ldb + j];
    }
  }
}

template <class T>
Result<std::unique_ptr<PackedWeights>> make_plain(const GemmBackend& owner, const GemmWeights& w,
                                                  MemoryResource& memory) {
  auto buffer = Buffer::make(memory, w.k * w.n * sizeof(T));
  if (!buffer) return fail(buffer.error());
  copy_op_b<T>(w, buffer->as<T>());
  return std::make_unique<PlainWeights>(owner, w, *std::move(buffer));
}

}  // namespace

Result<std::unique_ptr<PackedWeights>> PlainWeights::make(const GemmBackend& owner,
                                                          const GemmWeights& weights,
                                                          MemoryResource& memory) {
  if (weights.ldb < (weights.transpose ? weights.k : weights.n)) {
    return fail(Code::kInvalidArgument, "the stride of a matrix is shorter than its row");
  }
  switch (weights.type) {
    case GemmType::kFp32:
      return make_plain<float>(owner, weights, memory);
    case GemmType::kFp64:
      return make_plain<double>(owner, weights, memory);
    case GemmType::kBf16:
    case GemmType::kFp16:  // bits are moved: one type stands for both
      return make_plain<std::uint16_t>(owner, weights, memory);
    case GemmType::kInt8:
      return make_plain<std::int8_t>(owner, weights, memory);
  }
  return fail(Code::kInvalidArgument, "no such type of numbers");
}

template <class T>
Status check_packed(const Gemm<T>& p, const GemmBackend& self) {
  const PackedWeights* w = p.packed;
  if (w == nullptr || (&w->owner() == &self && w->type() == GemmTraits<T>::kType && w->k() == p.k &&
                       w->n() == p.n)) {
    return Status::success();
  }
  return error(Code::kInvalidArgument, "the packed weights are not of this product");
}

template <class T>
Result<bool> begin_product(const Gemm<T>& p, const GemmBackend& self) {
  if (Status good = check_packed(p, self); !good.ok()) return fail(std::move(good));
  if (Status fit = check_strides(p); !fit.ok()) return fail(std::move(fit));
  if (p.m == 0 || p.n == 0) return false;
  if (p.k != 0 && p.alpha != typename Gemm<T>::Sum(0)) return true;
  scale_c(p);
  return false;
}

template <class T>
Status use_plain_weights(Gemm<T>& p, const GemmBackend& self) {
  if (p.packed == nullptr) return Status::success();
  if (Status good = check_packed(p, self); !good.ok()) return good;
  p.transpose_b = false;
  p.b = static_cast<const T*>(static_cast<const PlainWeights*>(p.packed)->data());
  p.ldb = p.n;
  p.packed = nullptr;
  return Status::success();
}

#define OW_FOR_TYPE(T)                                                     \
  template Status check_packed(const Gemm<T>&, const GemmBackend&);        \
  template Result<bool> begin_product(const Gemm<T>&, const GemmBackend&); \
  template Status use_plain_weights(Gemm<T>&, const GemmBackend&);
OW_FOR_TYPE(float)
OW_FOR_TYPE(double)
OW_FOR_TYPE(BFloat16)
OW_FOR_TYPE(Float16)
OW_FOR_TYPE(std::int8_t)
#undef OW_FOR_TYPE

}  // namespace overwinter::worker
