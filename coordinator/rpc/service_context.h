// What every service of this room works with. Built by servers.cpp; all of it outlives the servers.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <string>

#include "common/security/ca.h"
#include "coordinator/rpc/authorizer.h"
#include "coordinator/rpc/stream_registry.h"
#include "coordinator/runtime/blocking_pool.h"
#include "coordinator/runtime/cluster_status.h"
#include "coordinator/runtime/costs.h"
#include "coordinator/runtime/link_meter.h"
#include "coordinator/runtime/planner.h"
#include "coordinator/runtime/requests.h"
#include "coordinator/runtime/resources.h"
#include "coordinator/runtime/result_keeper.h"
#include "coordinator/runtime/views.h"
#include "coordinator/secrets/secret_store.h"
#include "coordinator/telemetry/audit_log.h"

namespace overwinter::rpc {

struct ServiceContext {
  std::shared_ptr<const Authorizer> authorizer;
  runtime::Views& views;
  runtime::Requests& requests;
  runtime::Planner& planner;
  runtime::BlockingPool& pool;
  runtime::ResultKeeper& results;
  runtime::LinkMeter& links;
  artifacts::BlobStore& blobs;
  StreamRegistry& streams;
  std::function<Time()> now;
  // Not OK while the disk is too full for new work: what submits and uploads are refused with.
  std::function<Status()> disk_room;
  const runtime::Costs& costs;
  const runtime::Serving& serving;
  store::Store& store;                  // its history: on the pool alone
  const secrets::SecretStore& secrets;  // on the pool alone
  telemetry::AuditLog& audit;           // its reads: on the pool alone
  bool allow_test_workloads = false;

  // What join files and login lines say, and who signs.
  const CertificateAuthority& authority;
  std::vector<std::string> worker_addresses;  // HOST:PORT of the workers' port, in the order to try
  std::string people_address;                 // HOST:PORT
};

// Ends a unary call with a status of ours. `resource`: the full name of what was asked for; a
// client reads it from the details when that is not there.
void finish(grpc::ServerUnaryReactor* reactor, const Status& status,
            std::string_view resource = {});
[[nodiscard]] grpc::Status to_grpc(const Status& status, std::string_view resource = {});

// The job of a resource name, if the caller may know of it. Another project's is NOT_FOUND like one
// that does not exist.
[[nodiscard]] Result<runtime::JobViewPtr> find_job(const ServiceContext& context,
                                                   const Principal& caller, std::string_view name);
// The project that a request means: the one it names, else the token's, else "default".
[[nodiscard]] std::string project_of(const Principal& caller, const std::string& asked);
// OK when the project exists and the caller sees it; else NOT_FOUND.
Status check_project(const ServiceContext& context, const Principal& caller,
                     std::string_view project);

}  // namespace overwinter::rpc
