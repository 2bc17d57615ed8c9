#include "worker/runtime/products_file.h"

#include <cstdlib>
#include <utility>

#include "common/base/log.h"
#include "common/security/file_io.h"
#include "worker/kernels/chosen_gemm.h"
#include "worker/kernels/openblas_core.h"

namespace overwinter::worker {
namespace {

// Up to three types have several libraries.
constexpr double kSecondsEach = 0.3;
constexpr const char* kFileName = "products.txt";

bool kernels_are_named() {
  const char* core = std::getenv("OPENBLAS_CORETYPE");
  return core != nullptr && *core != '\0';
}

Result<GemmChoices> read_choices_of(const std::filesystem::path& path) {
  const auto text = read_file(path, kGemmChoicesBytesMax);
  if (!text) return fail(text.error());
  return read_gemm_choices(*text);
}

}  // namespace

ProductsFile::ProductsFile(std::filesystem::path folder) : path_(std::move(folder) / kFileName) {
  if (kernels_are_named()) {
    log_info(
        "OPENBLAS_CORETYPE is set: OpenBLAS multiplies with its {} kernels, nothing is measured",
        openblas_core());
    named_ = true;
    return;
  }
  const std::string key = gemm_key(cpu_model());
  auto kept = read_choices_of(path_);
  if (kept && kept->key == key && (kept->core.empty() || use_openblas_core(kept->core))) {
    known_ = *std::move(kept);
    return;
  }
  if (!kept && kept.error().code != Code::kNotFound) {
    log_warning("{}: {}; products are measured again", path_.string(), kept.error().message);
  }
  known_.key = key;
  if (const auto others = other_openblas_cores(); !others.empty()) {
    known_.core = choose_openblas_core(others);
  }
}

std::string ProductsFile::text_in(const std::filesystem::path& folder) {
  if (kernels_are_named()) return {};
  return read_file(folder / kFileName, kGemmChoicesBytesMax).value_or(std::string());
}

void ProductsFile::choose(Device& device) {
  if (named_ || is_gpu(device.info())) return;
  const std::size_t before = known_.by_threads.size();
  log_info("products: {}", choose_gemm(device, known_, kSecondsEach));
  if (known_.by_threads.size() == before) return;
  if (Status kept = write_file_atomically(path_, write_gemm_choices(known_)); !kept.ok()) {
    log_warning("{}: {}; the next start measures again", path_.string(), kept.message);
  }
}

}  // namespace overwinter::worker
