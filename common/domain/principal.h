// Who asks, and the table of who may do what (TRUST §1, §2; INTERFACE §4).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter {

enum class PrincipalKind : std::uint8_t { kPerson = 1, kWorker = 2, kJoin = 3, kSystem = 4 };
enum class Role : std::uint8_t {
  kNone = 0,
  kViewer = 1,
  kSubmitter = 2,
  kOperator = 3,
  kBilling = 4,
  kAuditor = 5,
  kAdmin = 6,
};

// Made from a credential alone, never from a request. Part of every event.
struct Principal {
  PrincipalKind kind = PrincipalKind::kSystem;
  std::uint64_t id = 0;  // TokenId, WorkerId or JoinFileId by kind; 0 for the system
  Role role = Role::kNone;
  std::string project;  // empty: all projects (operator, billing, auditor and admin tokens without
                        // --project)
  std::string name;     // for people: the token's --for
  friend bool operator==(const Principal&, const Principal&) = default;
};

// What a call needs. Each gRPC method and HTTP route names exactly one (coordinator/rpc,
// coordinator/dashboard).
enum class Permission : std::uint8_t {
  kReadJobs,      // get, list, watch, explain, plan, download within the principal's projects
  kSubmitJobs,    // submit, upload
  kActOnOwnJobs,  // pause, resume, cancel, update of jobs (submitter: those it submitted)
  kReadWorkers,
  kActOnWorkers,  // drain, resume, remove
  kReadMoney,     // cost of its own project's jobs
  kReadAllMoney,  // machines, every project, prices
  kSetPrices,
  kManageTokens,
  kManageProjects,
  kReadMetrics,
  kReadAudit,     // of its own project, or of all
  kKnowOneself,   // whatever one may: who the page is talking to
  kWorkerStream,  // a worker certificate
  kArtifactByCapability,
  kJoin,  // a join certificate
};

[[nodiscard]] bool role_may(Role role, Permission permission);
[[nodiscard]] bool may(const Principal& principal, Permission permission);
// True when the principal may know of things in `project`.
[[nodiscard]] bool sees_project(const Principal& principal, std::string_view project);

[[nodiscard]] std::string_view role_name(Role role);
[[nodiscard]] Result<Role> parse_role(std::string_view name);

}  // namespace overwinter
