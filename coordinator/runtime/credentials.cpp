#include "coordinator/runtime/credentials.h"

#include <string>

#include "common/security/token.h"

namespace overwinter::runtime {
namespace {

constexpr std::string_view kBearer = "Bearer ";

std::string_view what(Permission permission) {
  switch (permission) {
    case Permission::kReadJobs:
      return "read jobs";
    case Permission::kSubmitJobs:
      return "submit jobs";
    case Permission::kActOnOwnJobs:
      return "act on jobs";
    case Permission::kReadWorkers:
      return "see workers";
    case Permission::kActOnWorkers:
      return "act on workers";
    case Permission::kReadMoney:
      return "see what jobs cost";
    case Permission::kReadAllMoney:
      return "see what machines cost, and prices";
    case Permission::kSetPrices:
      return "set prices";
    case Permission::kManageTokens:
      return "manage tokens";
    case Permission::kManageProjects:
      return "manage projects";
    case Permission::kReadMetrics:
      return "read metrics";
    case Permission::kReadAudit:
      return "read the audit";
    case Permission::kKnowOneself:
      return "log in to the page";
    case Permission::kWorkerStream:
    case Permission::kArtifactByCapability:
      return "act as a worker";
    case Permission::kJoin:
      return "join";
  }
  return "do this";
}

}  // namespace

Status require(const Principal& principal, Permission permission) {
  if (may(principal, permission)) return Status::success();
  if (principal.kind == PrincipalKind::kPerson) {
    return error(Code::kPermissionDenied,
                 "a token with the role " + std::string(role_name(principal.role)) + " may not " +
                     std::string(what(permission)),
                 {}, "ask an administrator for a token whose role may");
  }
  return error(Code::kPermissionDenied,
               "this certificate may not " + std::string(what(permission)));
}

Result<Principal> person_of(const Views& views, std::string_view authorization, Time now) {
  if (authorization.empty()) {
    return fail(Code::kUnauthenticated, "no token was sent", {},
                "send it as `authorization: Bearer ow_…`");
  }
  if (!authorization.starts_with(kBearer) ||
      !looks_like_token(authorization.substr(kBearer.size()))) {
    return fail(Code::kUnauthenticated, "the authorization header holds no token of this cluster");
  }
  return person_of(views, token_hash(authorization.substr(kBearer.size())), now);
}

Result<Principal> person_of(const Views& views, const Digest& token_hash, Time now) {
  const auto token = views.token(token_hash);
  if (!token) return fail(Code::kUnauthenticated, "this cluster does not know that token");
  if (token->revoked) return fail(Code::kUnauthenticated, "that token was revoked");
  if (token->expires && now >= *token->expires) {
    return fail(Code::kUnauthenticated, "that token ended at " + format_time(*token->expires), {},
                "ask an administrator for a new one");
  }
  return Principal{PrincipalKind::kPerson, token->id.value(), token->role, token->project,
                   token->name};
}

}  // namespace overwinter::runtime
