#include "worker/kernels/onednn_thread.h"

#include <algorithm>
#include <type_traits>
#include <utility>

// OpenMP's own header is the compiler's, and differs between compilers; this is its one call that
// is needed, of the runtime that oneDNN brings.
extern "C" void omp_set_num_threads(int);

namespace overwinter::worker {
namespace {

// A model has some dozens of shapes; what is made ready costs tens of kilobytes.
constexpr std::size_t kReadyMax = 64;
// Elements of the workspace: a megabyte stays in a processor's second cache.
constexpr std::size_t kWorkspaceElements = std::size_t{1} << 18U;

template <class T>
void combine(const Gemm<T>& p, std::size_t row, std::size_t rows,
             const typename Gemm<T>::Sum* product) {
  using Sum = typename Gemm<T>::Sum;
  for (std::size_t i = 0; i < rows; ++i) {
    Sum* c = p.c + (row + i) * p.ldc;
    const Sum* from = product + i * p.n;
    for (std::size_t j = 0; j < p.n; ++j) {
      if constexpr (std::is_same_v<Sum, std::int32_t>) {  // modulo 2^32
        const auto low = [](Sum x) { return static_cast<std::uint32_t>(x); };
        c[j] = static_cast<Sum>(low(p.alpha) * low(from[j]) + low(p.beta) * low(c[j]));
      } else {
        c[j] = p.alpha * from[j] + (p.beta == Sum(0) ? Sum(0) : p.beta * c[j]);
      }
    }
  }
}

}  // namespace

dnnl::memory::desc matrix_desc(dnnl::memory::data_type type, std::size_t rows, std::size_t columns,
                               std::size_t stride, bool transposed) {
  using Dim = dnnl::memory::dim;
  const auto s = static_cast<Dim>(stride);
  return {{static_cast<Dim>(rows), static_cast<Dim>(columns)},
          type,
          transposed ? dnnl::memory::dims{1, s} : dnnl::memory::dims{s, 1}};
}

void keep_openmp_to_this_thread() {
  omp_set_num_threads(1);
}

Status OneDnnThread::need(Buffer& buffer, std::size_t bytes) {
  if (buffer.size() >= bytes) return Status::success();
  buffer = Buffer();  // the old one first: both at once are not needed
  auto more = Buffer::make(*memory_, bytes);
  if (!more) return more.error();
  buffer = *std::move(more);
  return Status::success();
}

template <class T>
Result<const OneDnnThread::Ready*> OneDnnThread::ready(const Gemm<T>& p,
                                                       const dnnl::memory::desc* weights,
                                                       bool add) {
  using Sum = typename Gemm<T>::Sum;
  const Key key{GemmTraits<T>::kType,
                p.transpose_a,
                weights == nullptr && p.transpose_b,
                weights != nullptr,
                add,
                p.m,
                p.n,
                p.k,
                p.lda,
                weights == nullptr ? p.ldb : 0,
                p.ldc};
  if (const auto found = ready_.find(key); found != ready_.end()) {
    if (weights == nullptr || found->second.b == *weights) return &found->second;
    ready_.erase(found);  // other weights of this size, kept in another layout
  }
  if (ready_.size() >= kReadyMax) ready_.clear();
  Ready one;
  one.a = matrix_desc(kDnnlType<T>, p.m, p.k, p.lda, p.transpose_a);
  one.b = weights != nullptr ? *weights : matrix_desc(kDnnlType<T>, p.k, p.n, p.ldb, p.transpose_b);
  one.c = matrix_desc(kDnnlType<Sum>, p.m, p.n, p.ldc, false);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (add) {
    dnnl::post_ops after;
    after.append_sum(1.0F);
    attributes.set_post_ops(after);
  }
  const dnnl::matmul::primitive_desc how(dnnl::matmul::desc(one.a, one.b, one.c), attributes,
                                         engine_);
  one.scratch = how.scratchpad_desc();
  one.product = dnnl::matmul(how);
  return &ready_.emplace(key, std::move(one)).first->second;
}

template <class T>
Status OneDnnThread::plain(const Gemm<T>& p, const dnnl::memory::desc* weights, const void* b,
                           bool add) {
  const auto found = ready(p, weights, add);
  if (!found) return found.error();
  const Ready& one = **found;
  if (Status good = need(scratch_, one.scratch.get_size()); !good.ok()) return good;
  // oneDNN's memory objects take what they only read as writable too.
  const auto memory = [this](const dnnl::memory::desc& desc, const void* data) {
    return dnnl::memory(desc, engine_, const_cast<void*>(data));
  };
  one.product.execute(stream_, {{DNNL_ARG_SRC, memory(one.a, p.a)},
                                {DNNL_ARG_WEIGHTS, memory(one.b, weights != nullptr ? b : p.b)},
                                {DNNL_ARG_DST, memory(one.c, p.c)},
                                {DNNL_ARG_SCRATCHPAD, memory(one.scratch, scratch_.data())}});
  stream_.wait();
  return Status::success();
}

template <class T>
Status OneDnnThread::multiply(const Gemm<T>& p, const dnnl::memory::desc* weights, const void* b) {
  using Sum = typename Gemm<T>::Sum;
  constexpr bool kWhole = std::is_same_v<Sum, std::int32_t>;  // oneDNN adds to int32 in fp32
  if (p.alpha == Sum(1) && p.beta == Sum(0)) return plain(p, weights, b, false);
  if (p.alpha == Sum(1) && p.beta == Sum(1) && !kWhole) return plain(p, weights, b, true);
  const std::size_t height = std::clamp<std::size_t>(kWorkspaceElements / p.n, 1, p.m);
  if (Status good = need(workspace_, height * p.n * sizeof(Sum)); !good.ok()) return good;
  for (std::size_t row = 0; row < p.m; row += height) {
    Gemm<T> block = p;
    block.m = std::min(height, p.m - row);
    block.a = p.transpose_a ? p.a + row : p.a + row * p.lda;
    block.c = workspace_.as<Sum>();
    block.ldc = p.n;
    if (Status good = plain(block, weights, b, false); !good.ok()) return good;
    combine(p, row, block.m, workspace_.as<Sum>());
  }
  return Status::success();
}

template Status OneDnnThread::multiply(const Gemm<float>&, const dnnl::memory::desc*, const void*);
template Status OneDnnThread::multiply(const Gemm<BFloat16>&, const dnnl::memory::desc*,
                                       const void*);
template Status OneDnnThread::multiply(const Gemm<Float16>&, const dnnl::memory::desc*,
                                       const void*);
template Status OneDnnThread::multiply(const Gemm<std::int8_t>&, const dnnl::memory::desc*,
                                       const void*);

}  // namespace overwinter::worker
