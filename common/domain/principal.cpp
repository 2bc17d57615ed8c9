#include "common/domain/principal.h"

#include <array>
#include <utility>

namespace overwinter {
namespace {

constexpr std::array<std::pair<Role, std::string_view>, 6> kRoleNames{{
    {Role::kViewer, "viewer"},
    {Role::kSubmitter, "submitter"},
    {Role::kOperator, "operator"},
    {Role::kBilling, "billing"},
    {Role::kAuditor, "auditor"},
    {Role::kAdmin, "admin"},
}};

}  // namespace

bool role_may(Role role, Permission permission) {
  const bool viewer = role == Role::kViewer || role == Role::kSubmitter ||
                      role == Role::kOperator || role == Role::kAdmin;
  switch (permission) {
    case Permission::kReadJobs:
    case Permission::kReadWorkers:
    case Permission::kReadMoney:
      return viewer || role == Role::kBilling;
    case Permission::kSubmitJobs:
    case Permission::kActOnOwnJobs:
      return role == Role::kSubmitter || role == Role::kOperator || role == Role::kAdmin;
    case Permission::kActOnWorkers:
      return role == Role::kOperator || role == Role::kAdmin;
    case Permission::kReadAllMoney:
      return role == Role::kOperator || role == Role::kBilling || role == Role::kAdmin;
    case Permission::kReadMetrics:
      return role == Role::kOperator || role == Role::kAdmin || role == Role::kViewer;
    case Permission::kReadAudit:
      return role == Role::kAuditor || role == Role::kAdmin;
    case Permission::kKnowOneself:
      return role != Role::kNone;
    case Permission::kSetPrices:
    case Permission::kManageTokens:
    case Permission::kManageProjects:
      return role == Role::kAdmin;
    case Permission::kWorkerStream:
    case Permission::kArtifactByCapability:
    case Permission::kJoin:
      return false;  // by certificate, not by role
  }
  return false;
}

bool may(const Principal& principal, Permission permission) {
  switch (principal.kind) {
    case PrincipalKind::kPerson:
      return role_may(principal.role, permission);
    case PrincipalKind::kWorker:
      return permission == Permission::kWorkerStream ||
             permission == Permission::kArtifactByCapability;
    case PrincipalKind::kJoin:
      return permission == Permission::kJoin;
    case PrincipalKind::kSystem:
      return true;
  }
  return false;
}

bool sees_project(const Principal& principal, std::string_view project) {
  if (principal.kind == PrincipalKind::kSystem) return true;
  if (principal.kind != PrincipalKind::kPerson) return false;
  return principal.project.empty() || principal.project == project;
}

std::string_view role_name(Role role) {
  for (const auto& [value, name] : kRoleNames) {
    if (value == role) return name;
  }
  return "none";
}

Result<Role> parse_role(std::string_view text) {
  for (const auto& [value, name] : kRoleNames) {
    if (name == text) return value;
  }
  return fail(Code::kInvalidArgument,
              "there is no role \"" + std::string(text) +
                  "\"; roles are viewer, submitter, operator, billing, auditor and admin",
              "role");
}

}  // namespace overwinter
