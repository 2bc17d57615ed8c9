// Compiled once for this room: gRPC's and the services' headers are most of what its files would
// read.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "overwinter/v1/admin.grpc.pb.h"
#include "overwinter/v1/artifact.grpc.pb.h"
#include "overwinter/v1/billing.grpc.pb.h"
#include "overwinter/v1/job.grpc.pb.h"
#include "overwinter/v1/worker.grpc.pb.h"
