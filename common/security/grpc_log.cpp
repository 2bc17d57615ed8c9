#include "common/security/grpc_log.h"

#include <grpc/support/log.h>

#include <utility>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/security/redact.h"

namespace overwinter {
namespace {

void drop(gpr_log_func_args*) {}

void to_our_log(gpr_log_func_args* args) {
  static LineLimit& limit = *new LineLimit;  // gRPC's threads may outlive static objects
  std::uint64_t dropped = 0;
  if (!limit.take(system_clock().monotonic(), dropped)) return;
  if (dropped != 0) log_warning("gRPC: {} lines more were left out", dropped);
  log_warning("gRPC: {}", redact(args->message));
}

}  // namespace

bool LineLimit::take(std::chrono::nanoseconds now, std::uint64_t& dropped) {
  const MutexLock lock(mutex_);
  if (!started_ || now - minute_ >= std::chrono::minutes(1)) {
    started_ = true;
    minute_ = now;
    written_ = 0;
  }
  if (written_ >= kGrpcLinesPerMinute) {
    ++dropped_;
    return false;
  }
  ++written_;
  dropped = std::exchange(dropped_, 0);
  return true;
}

void route_grpc_log(GrpcLog mode) {
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  gpr_set_log_function(mode == GrpcLog::kQuiet ? drop : to_our_log);
}

}  // namespace overwinter
