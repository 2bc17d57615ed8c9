#include "coordinator/dashboard/session_routes.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/version.h"
#include "common/security/token.h"
#include "coordinator/runtime/credentials.h"

namespace overwinter::dashboard {
namespace {

// {"key": "text"}; empty when there is no such key or the body is none of ours.
std::string text_of(const std::string& body, const char* key) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains(key) || !json[key].is_string()) return {};
  return json[key].get<std::string>();
}

Result<std::string> token_of(const Sources& sources, const std::string& body) {
  if (std::string token = text_of(body, "token"); !token.empty()) return token;
  std::string code = text_of(body, "code");
  if (code.empty()) {
    return fail(Code::kInvalidArgument, "a login has a token or a code", "token");
  }
  if (code.starts_with("ow1_")) {
    const auto line = decode_login_line(code);
    if (!line) return fail(line.error());
    code = line->code;
  }
  return sources.exchange_code(code);
}

}  // namespace

Response session_json(const Sources& sources, const Principal& caller, Time now) {
  return as_json(nlohmann::json{
      {"name", caller.name},
      {"role", role_name(caller.role)},
      {"project", caller.project},
      {"now", format_time(now)},
      {"cluster", sources.views.cluster()->cluster},
      {"version", kVersion},
      {"may",
       {{"readJobs", may(caller, Permission::kReadJobs)},
        {"readWorkers", may(caller, Permission::kReadWorkers)},
        {"actOnOwnJobs", may(caller, Permission::kActOnOwnJobs)},
        {"actOnWorkers", may(caller, Permission::kActOnWorkers)},
        {"readAllMoney", may(caller, Permission::kReadAllMoney)},
        {"readAudit", may(caller, Permission::kReadAudit)}}},
  });
}

Response open_session(const Sources& sources, const Request& request, Time now) {
  if (Status status = sources.sessions.check_host(request); !status.ok()) return refusal(status);
  if (Status status = sources.sessions.check_origin(request); !status.ok()) return refusal(status);
  const auto token = token_of(sources, request.body);
  if (!token) return refusal(token.error());
  const auto person = runtime::person_of(sources.views, "Bearer " + *token, now);
  if (!person) return refusal(person.error());
  const auto opened = sources.sessions.open(token_hash(*token), now);
  if (!opened) return refusal(opened.error());
  Response response =
      as_json(nlohmann::json{{"secret", opened->secret}, {"endTime", format_time(opened->ends)}});
  response.set_cookie = opened->set_cookie;
  return response;
}

Response close_session(const Sources& sources, const Request& request) {
  if (Status status = sources.sessions.check_host(request); !status.ok()) return refusal(status);
  if (Status status = sources.sessions.check_origin(request); !status.ok()) return refusal(status);
  Response response = as_json(nlohmann::json::object());
  response.set_cookie = Sessions::closing_cookie();
  return response;
}

Result<Principal> caller_of(const Sources& sources, const Request& request, Time now) {
  if (!request.authorization.empty() || request.session.empty()) {
    return runtime::person_of(sources.views, request.authorization, now);
  }
  if (Status status = sources.sessions.check_host(request); !status.ok()) return fail(status);
  const auto token = sources.sessions.token_of(request, now);
  if (!token) return fail(token.error());
  if (request.method != "GET" && request.method != "HEAD") {
    if (Status status = sources.sessions.check_origin(request); !status.ok()) return fail(status);
  }
  return runtime::person_of(sources.views, *token, now);
}

}  // namespace overwinter::dashboard
