// The worker's inputs and outputs ↔ protobuf. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/domain/device.h"
#include "overwinter/v1/worker.pb.h"
#include "worker/core/input.h"
#include "worker/core/output.h"

namespace overwinter::worker {

// A SendHello, SendHeartbeat or SendReport.
[[nodiscard]] v1::WorkerMessage to_proto(const Output& message, const MachineInfo& machine);

struct Orders {
  std::vector<Input> inputs;
  std::string descriptor_socket;  // of a Welcome
  bool welcome = false;
  // DescribeHost and ProbePeer: no business of the core's.
  std::vector<v1::CoordinatorMessage> questions;
};
// INVALID_ARGUMENT when a message makes no sense. A kind that is not known (a newer coordinator's)
// is left out.
[[nodiscard]] Result<Orders> from_proto(const v1::ConnectResponse& response);

}  // namespace overwinter::worker
