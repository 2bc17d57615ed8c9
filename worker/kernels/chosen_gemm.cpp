#include "worker/kernels/chosen_gemm.h"

#include <algorithm>
#include <utility>

namespace overwinter::worker {
namespace {

constexpr std::size_t kRowsWhenUnknown = 512;

}  // namespace

ChosenGemm::ChosenGemm(ThreadTeam& team, MemoryResource& memory)
    : openblas_(team),
      onednn_(team, memory),
      int16_(team, memory),
      widened_(*this, team, memory),
      choice_(plain_choice()) {}

std::vector<GemmLibrary> ChosenGemm::candidates(GemmType type) const {
  std::vector<GemmLibrary> all;
  if (openblas_.supports(type)) all.push_back(GemmLibrary::kOpenBlas);
  if (onednn_.supports(type)) all.push_back(GemmLibrary::kOneDnn);
  if (int16_.supports(type)) all.push_back(GemmLibrary::kInt16);
  if (widened_.supports(type)) all.push_back(GemmLibrary::kWidened);
  return all;
}

bool ChosenGemm::widens(GemmType type) const {
  return candidates(type).front() == GemmLibrary::kWidened;
}

GemmChoice ChosenGemm::plain_choice() const {
  GemmChoice choice;
  for (std::size_t type = 0; type < kGemmTypes; ++type) {
    const GemmLibrary first = candidates(static_cast<GemmType>(type)).front();
    for (GemmChoice::Best& best : choice.best[type]) best = {first, 0};
  }
  return choice;
}

void ChosenGemm::use(const GemmChoice& choice) {
  choice_ = plain_choice();
  choice_.strassen_fp32_side = choice.strassen_fp32_side;
  choice_.strassen_fp64_side = choice.strassen_fp64_side;
  for (std::size_t type = 0; type < kGemmTypes; ++type) {
    const std::vector<GemmLibrary> here = candidates(static_cast<GemmType>(type));
    for (std::size_t shape = 0; shape < kGemmClasses; ++shape) {
      const GemmChoice::Best& best = choice.best[type][shape];
      if (std::ranges::find(here, best.library) != here.end()) choice_.best[type][shape] = best;
    }
  }
}

GemmBackend& ChosenGemm::backend(GemmLibrary library) {
  switch (library) {
    case GemmLibrary::kOneDnn:
      return onednn_;
    case GemmLibrary::kInt16:
      return int16_;
    case GemmLibrary::kWidened:
      return widened_;
    case GemmLibrary::kOpenBlas:
      break;
  }
  return openblas_;
}

template <class T>
Status ChosenGemm::dispatch(const Gemm<T>& p) {
  if (p.packed != nullptr) {  // by the one that has packed
    for (const GemmLibrary library : {GemmLibrary::kOpenBlas, GemmLibrary::kOneDnn,
                                      GemmLibrary::kInt16, GemmLibrary::kWidened}) {
      GemmBackend& one = backend(library);
      if (&p.packed->owner() == &one) return one.gemm(p);
    }
    return check_packed(p, *this);
  }
  return backend(choice_.of(GemmTraits<T>::kType, gemm_class(p.m, p.n, p.k)).library).gemm(p);
}

Status ChosenGemm::gemm(const Gemm<float>& problem) {
  return dispatch(problem);
}

Status ChosenGemm::gemm(const Gemm<double>& problem) {
  return dispatch(problem);
}

Status ChosenGemm::gemm(const Gemm<BFloat16>& problem) {
  return dispatch(problem);
}

Status ChosenGemm::gemm(const Gemm<Float16>& problem) {
  return dispatch(problem);
}

Status ChosenGemm::gemm(const Gemm<std::int8_t>& problem) {
  return dispatch(problem);
}

Result<std::unique_ptr<PackedWeights>> ChosenGemm::pack(const GemmWeights& weights,
                                                        MemoryResource& memory) {
  const std::size_t rows = weights.rows != 0 ? weights.rows : kRowsWhenUnknown;
  const GemmLibrary library =
      choice_.of(weights.type, gemm_class(rows, weights.n, weights.k)).library;
  return backend(library).pack(weights, memory);
}

}  // namespace overwinter::worker
