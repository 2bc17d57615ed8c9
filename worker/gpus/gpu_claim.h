// One GPU, one worker: daemons of a machine keep from offering the same.
#pragma once

#include <string>

#include "common/base/result.h"

namespace overwinter::worker::gpus {

// Held as long as it lives, and let go by the end of its process, however that comes.
class GpuClaim {
 public:
  // ALREADY_EXISTS: another process of this machine (of its network namespace) holds it.
  [[nodiscard]] static Result<GpuClaim> take(const std::string& uuid);
  GpuClaim(GpuClaim&& other) noexcept;
  GpuClaim& operator=(GpuClaim&&) = delete;
  ~GpuClaim();

 private:
  explicit GpuClaim(int socket) : socket_(socket) {}
  int socket_;
};

}  // namespace overwinter::worker::gpus
