// What a program does to itself before it holds a secret. Called at the start of main, before any
// thread.
#pragma once

#include "common/base/result.h"

namespace overwinter {

// TLS 1.3 alone, for every TLS connection of this process, gRPC's too: gRPC has no call for it
// (FACTS §8). Call before the first TLS object is made.
Status require_tls13();

// No core dumps and no reading by other processes of the same user (/proc/PID/mem, ptrace). Refuses
// (FAILED_PRECONDITION) when GRPC_TRACE is set: its lines hold metadata, and so tokens.
Status harden_process();

}  // namespace overwinter
