#include "worker/cuda/host_kernels.h"

#include <limits>
#include <vector>

#include "worker/cuda/kernels_over.h"

namespace overwinter::worker::cuda {
namespace {

class HostLauncher {
 public:
  template <class Op>
  Status rows(std::size_t n, const Op& op) const {
    for (std::size_t r = 0; r < n; ++r) op(HostRowTeam(), r);
    return Status::success();
  }
  template <class Op>
  Status elements(std::size_t n, const Op& op) const {
    for (std::size_t i = 0; i < n; ++i) op(i);
    return Status::success();
  }
  // Shared memory begins as anything: what an operation did not write would show.
  template <class Op>
  Status blocks(const Op& op) const {
    for (std::size_t b = 0; b < op.blocks(); ++b) {
      std::vector<float> shared(Op::kSharedFloats, std::numeric_limits<float>::quiet_NaN());
      op(HostBlockTeam(), b, shared.data());
    }
    return Status::success();
  }
};

}  // namespace

std::unique_ptr<DeviceKernels> make_host_kernels() {
  return std::make_unique<KernelsOver<HostLauncher>>(HostLauncher());
}

Result<double> sum_of_partials(Accelerator& device, const double* partials) {
  std::vector<double> fetched(kPartialSums);
  if (Status got =
          device.download(bytes_copy(fetched.data(), partials, kPartialSums * sizeof(double)));
      !got.ok()) {
    return fail(got);
  }
  double sum = 0;
  for (const double partial : fetched) sum += partial;
  return sum;
}

}  // namespace overwinter::worker::cuda
