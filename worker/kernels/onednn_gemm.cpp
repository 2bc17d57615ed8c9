#include "worker/kernels/onednn_gemm.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "worker/kernels/gemm_split.h"
#include "worker/kernels/onednn_thread.h"

namespace overwinter::worker {
namespace {

Status status_of(const dnnl::error& failed) {
  return error(failed.status == dnnl_out_of_memory ? Code::kResourceExhausted : Code::kInternal,
               std::string("oneDNN: ") + failed.message);
}

// Columns of B as they lie in the buffer; one piece for each thread, or one for all.
class OneDnnWeights final : public PackedWeights {
 public:
  struct Piece {
    GemmShare columns;
    dnnl::memory::desc desc;
    std::size_t offset_bytes = 0;
  };
  OneDnnWeights(const GemmBackend& owner, const GemmWeights& of, std::vector<Piece> pieces,
                Buffer buffer)
      : PackedWeights(owner, of), pieces_(std::move(pieces)), buffer_(std::move(buffer)) {}
  [[nodiscard]] std::size_t bytes() const override { return buffer_.size(); }
  [[nodiscard]] const std::vector<Piece>& pieces() const { return pieces_; }
  [[nodiscard]] const void* data(const Piece& piece) const {
    return buffer_.data() + piece.offset_bytes;
  }

 private:
  const std::vector<Piece> pieces_;
  const Buffer buffer_;
};

// Whether oneDNN has a kernel of its own for it here: its plain loops are slower than the twin's.
bool has_kernel(const dnnl::engine& engine, dnnl::memory::data_type type,
                dnnl::memory::data_type sum) {
  try {
    constexpr std::size_t kSide = 64;
    const dnnl::matmul::desc product(matrix_desc(type, kSide, kSide, kSide, false),
                                     matrix_desc(type, kSide, kSide, kSide, false),
                                     matrix_desc(sum, kSide, kSide, kSide, false));
    const dnnl::matmul::primitive_desc how(product, engine);
    return !std::string_view(how.impl_info_str()).starts_with("ref");
  } catch (const dnnl::error&) {
    return false;
  }
}

bool sums_int8_in_32_bits() {
  constexpr auto kVnni = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_vnni);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & kVnni) == kVnni;
}

// fp32 that is not packed: oneDNN's BLAS call has all strides, alpha and beta, and keeps nothing.
Status call_sgemm(const Gemm<float>& p) {
  const auto i = [](std::size_t v) { return static_cast<dnnl_dim_t>(v); };
  const dnnl_status_t done =
      dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', i(p.m), i(p.n), i(p.k),
                 p.alpha, p.a, i(p.lda), p.b, i(p.ldb), p.beta, p.c, i(p.ldc));
  if (done == dnnl_success) return Status::success();
  return error(done == dnnl_out_of_memory ? Code::kResourceExhausted : Code::kInternal,
               "oneDNN's sgemm has failed");
}

// p.c is written in slices of columns that bound what oneDNN packs at once.
Status sgemm_by_slices(const Gemm<float>& p) {
  for (std::size_t column = 0; column < p.n; column += kOneDnnColumnsMax) {
    const std::size_t end = std::min(p.n, column + kOneDnnColumnsMax);
    if (Status done = call_sgemm(part_of(p, {0, p.m}, {column, end})); !done.ok()) return done;
  }
  return Status::success();
}

}  // namespace

struct OneDnnGemm::Impl {
  ThreadTeam& team;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::vector<OneDnnThread> threads;
  std::array<bool, kGemmTypes> has{};

  Impl(ThreadTeam& its_team, MemoryResource& memory) : team(its_team) {
    using Type = dnnl::memory::data_type;
    keep_openmp_to_this_thread();
    for (std::uint32_t i = 0; i < team.size(); ++i) threads.emplace_back(engine, memory);
    const auto note = [&](GemmType type, bool yes) { has[static_cast<std::size_t>(type)] = yes; };
    note(GemmType::kFp32, true);
    note(GemmType::kBf16, has_kernel(engine, Type::bf16, Type::f32));
    note(GemmType::kFp16, has_kernel(engine, Type::f16, Type::f32));
    note(GemmType::kInt8, has_kernel(engine, Type::s8, Type::s32) && sums_int8_in_32_bits());
  }

  // Each part by work(thread, rows, columns), which may throw what oneDNN throws.
  template <class Work>
  Status split(std::size_t m, std::size_t n, GemmSplit how, const Work& work) {
    std::vector<Status> done(team.size());
    for_each_part(team, m, n, how, [&](std::uint32_t i, GemmShare rows, GemmShare columns) {
      keep_openmp_to_this_thread();
      try {
        done[i] = work(i, rows, columns);
      } catch (const dnnl::error& failed) {
        done[i] = status_of(failed);
      }
    });
    for (Status& one : done) {
      if (!one.ok()) return std::move(one);
    }
    return Status::success();
  }

  template <class T>
  Status multiply_packed(const Gemm<T>& p) {
    const auto& weights = *static_cast<const OneDnnWeights*>(p.packed);
    const auto& pieces = weights.pieces();
    if (pieces.size() == 1) {  // threads share the rows
      const std::size_t rows = std::clamp<std::size_t>(p.m / 32, 1, team.size());
      return split(p.m, p.n, {rows, 1}, [&](std::uint32_t i, GemmShare share, GemmShare columns) {
        return threads[i].multiply(part_of(p, share, columns), &pieces[0].desc,
                                   weights.data(pieces[0]));
      });
    }
    return split(p.m, p.n, {1, pieces.size()},
                 [&](std::uint32_t i, GemmShare rows, GemmShare columns) {
                   return threads[i].multiply(part_of(p, rows, columns), &pieces[i].desc,
                                              weights.data(pieces[i]));
                 });
  }

  template <class T>
  Status multiply(const Gemm<T>& p, const GemmBackend& self) {
    const Result<bool> begun = begin_product(p, self);
    if (!begun) return begun.error();
    if (!*begun) return Status::success();
    constexpr std::size_t kMax = std::numeric_limits<std::int32_t>::max();
    if (std::max({p.m, p.n, p.k, p.lda, p.ldb, p.ldc}) > kMax) {
      return error(Code::kOutOfRange, "a side or stride of the product is above 2,147,483,647");
    }
    if (p.packed != nullptr) return multiply_packed(p);
    return split(p.m, p.n, split_of(p.m, p.n, team.size()),
                 [&](std::uint32_t i, GemmShare rows, GemmShare columns) {
                   const Gemm<T> part = part_of(p, rows, columns);
                   if constexpr (std::is_same_v<T, float>) {
                     (void)i;
                     return sgemm_by_slices(part);
                   } else {
                     return threads[i].multiply(part, nullptr, nullptr);
                   }
                 });
  }

  // The layout that oneDNN likes best for so many rows and columns.
  template <class T>
  dnnl::memory::desc layout(std::size_t rows, std::size_t columns, std::size_t k) const {
    using Tag = dnnl::memory::format_tag;
    using Dim = dnnl::memory::dim;
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::memory::desc any({static_cast<Dim>(k), static_cast<Dim>(columns)}, kDnnlType<T>,
                                 Tag::any);
    const dnnl::matmul::desc product(
        matrix_desc(kDnnlType<T>, rows, k, k, false), any,
        matrix_desc(kDnnlType<typename Gemm<T>::Sum>, rows, columns, columns, false));
    return dnnl::matmul::primitive_desc(product, attributes, engine).weights_desc();
  }

  template <class T>
  Result<std::unique_ptr<PackedWeights>> pack(const GemmBackend& self, const GemmWeights& w,
                                              MemoryResource& memory) {
    const std::size_t parts = w.n / team.size() >= 32 ? team.size() : 1;
    std::vector<OneDnnWeights::Piece> pieces;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < parts && w.k != 0; ++i) {
      OneDnnWeights::Piece piece;
      piece.columns = share_of(w.n, parts, i);
      piece.offset_bytes = bytes;
      if (piece.columns.size() != 0) {
        piece.desc = layout<T>(w.rows != 0 ? w.rows : 512, piece.columns.size(), w.k);
        bytes +=
            (piece.desc.get_size() + kDefaultAlignment - 1) / kDefaultAlignment * kDefaultAlignment;
      }
      pieces.push_back(std::move(piece));
    }
    auto buffer = Buffer::make(memory, bytes);
    if (!buffer) return fail(buffer.error());
    const T* b = static_cast<const T*>(w.b);
    Status done = split(1, w.n, {1, parts}, [&](std::uint32_t i, GemmShare, GemmShare columns) {
      if (w.k == 0) return Status::success();
      const T* from = w.transpose ? b + columns.begin * w.ldb : b + columns.begin;
      dnnl::memory in(matrix_desc(kDnnlType<T>, w.k, columns.size(), w.ldb, w.transpose), engine,
                      const_cast<T*>(from));  // oneDNN's memory objects know no const
      dnnl::memory out(pieces[i].desc, engine, buffer->data() + pieces[i].offset_bytes);
      dnnl::stream stream(engine);
      dnnl::reorder(in, out).execute(stream, in, out);
      stream.wait();
      return Status::success();
    });
    if (!done.ok()) return fail(std::move(done));
    return std::make_unique<OneDnnWeights>(self, w, std::move(pieces), *std::move(buffer));
  }
};

OneDnnGemm::OneDnnGemm(ThreadTeam& team, MemoryResource& memory)
    : impl_(std::make_unique<Impl>(team, memory)) {}

OneDnnGemm::~OneDnnGemm() = default;

bool OneDnnGemm::supports(GemmType type) const {
  return impl_->has[static_cast<std::size_t>(type)];
}

Status OneDnnGemm::gemm(const Gemm<float>& problem) {
  return impl_->multiply(problem, *this);
}

Status OneDnnGemm::gemm(const Gemm<double>& /*problem*/) {
  return has_no(GemmType::kFp64);
}

Status OneDnnGemm::gemm(const Gemm<BFloat16>& problem) {
  return supports(GemmType::kBf16) ? impl_->multiply(problem, *this) : has_no(GemmType::kBf16);
}

Status OneDnnGemm::gemm(const Gemm<Float16>& problem) {
  return supports(GemmType::kFp16) ? impl_->multiply(problem, *this) : has_no(GemmType::kFp16);
}

Status OneDnnGemm::gemm(const Gemm<std::int8_t>& problem) {
  return impl_->multiply(problem, *this);
}

Result<std::unique_ptr<PackedWeights>> OneDnnGemm::pack(const GemmWeights& weights,
                                                        MemoryResource& memory) {
  if (weights.ldb < (weights.transpose ? weights.k : weights.n)) {
    return fail(Code::kInvalidArgument, "the stride of a matrix is shorter than its row");
  }
  if (weights.type != GemmType::kInt8 && !supports(weights.type)) {
    return fail(has_no(weights.type));
  }
  keep_openmp_to_this_thread();
  try {
    switch (weights.type) {
      case GemmType::kFp32:
        return impl_->pack<float>(*this, weights, memory);
      case GemmType::kBf16:
        return impl_->pack<BFloat16>(*this, weights, memory);
      case GemmType::kFp16:
        return impl_->pack<Float16>(*this, weights, memory);
      case GemmType::kInt8:
        return impl_->pack<std::int8_t>(*this, weights, memory);
      case GemmType::kFp64:
        break;
    }
  } catch (const dnnl::error& failed) {
    return fail(status_of(failed));
  }
  return fail(has_no(weights.type));
}

std::string OneDnnGemm::description() {
  const dnnl_version_t* version = dnnl_version();
  return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch) + " isa " +
         std::to_string(static_cast<unsigned>(dnnl::get_effective_cpu_isa()));
}

}  // namespace overwinter::worker
