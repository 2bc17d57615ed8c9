// What the routes read.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/time.h"
#include "coordinator/artifacts/checkpoint_store.h"
#include "coordinator/dashboard/sessions.h"
#include "coordinator/runtime/blocking_pool.h"
#include "coordinator/runtime/cluster_status.h"
#include "coordinator/runtime/connection_counts.h"
#include "coordinator/runtime/coordinator_loop.h"
#include "coordinator/runtime/costs.h"
#include "coordinator/runtime/event_queue.h"
#include "coordinator/runtime/notices.h"
#include "coordinator/runtime/requests.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/store.h"
#include "coordinator/telemetry/audit_log.h"
#include "coordinator/telemetry/telemetry.h"

namespace overwinter::dashboard {

// All of it outlives the router.
struct Sources {
  runtime::Views& views;
  const runtime::Costs& costs;
  runtime::BlockingPool& pool;
  const runtime::EventQueue& queue;
  runtime::Requests& requests;
  const runtime::CoordinatorLoop& loop;
  store::Store& store;
  std::function<std::size_t()> workers_connected;
  std::function<runtime::ConnectionCounts(telemetry::Door)> connections;  // of each port
  const runtime::Serving& serving;
  // Whether this process takes work: its store is replayed, its ports are open, it is not stopping.
  // Until then nothing but the open routes is answered. Any thread.
  std::function<bool()> ready;
  telemetry::Telemetry& telemetry;
  artifacts::CheckpointStore& checkpoints;
  const Sessions& sessions;
  // The token behind a login code, which is used up. UNAUTHENTICATED when it is none. Any thread.
  std::function<Result<std::string>(std::string_view code)> exchange_code;
  const runtime::Notices& notices;
  telemetry::AuditLog& audit;
};

}  // namespace overwinter::dashboard
