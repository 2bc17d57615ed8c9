// DIR/products.txt: which library multiplies what on this machine, measured at a worker's first
// start with a number of threads (gemm_choice.h has the format). Once a start, before work.
#pragma once

#include <filesystem>
#include <string>

#include "worker/kernels/gemm_choice.h"
#include "worker/runtime/device.h"

namespace overwinter::worker {

class ProductsFile {
 public:
  // Reads it, and has OpenBLAS use the kernels that it names, or measures which are faster. A file
  // of another processor, library or version, or a damaged one, is measured again; one that cannot
  // be read or written is a warning. When the environment names OpenBLAS's kernels
  // (OPENBLAS_CORETYPE) a person has chosen: it multiplies with them and nothing is measured.
  explicit ProductsFile(std::filesystem::path folder);
  // What the file of `folder` says, for programs that multiply on this machine beside the daemon (a
  // training's ranks); empty: nothing, or the environment names the kernels.
  [[nodiscard]] static std::string text_in(const std::filesystem::path& folder);
  // Tells the device, measures what is not known for its number of threads and for one, which is
  // what a training multiplies by (two seconds or less each), and keeps that. Does nothing for a
  // GPU. Says in the log how products are multiplied.
  void choose(Device& device);

 private:
  const std::filesystem::path path_;
  bool named_ = false;
  GemmChoices known_;
};

}  // namespace overwinter::worker
