#include "coordinator/dashboard/audit_routes.h"

#include <algorithm>
#include <utility>

#include "common/wire/convert.h"
#include "coordinator/dashboard/session_routes.h"
#include "coordinator/runtime/audit.h"

namespace overwinter::dashboard {
namespace {

constexpr std::size_t kObjectBytesMax = 200;

}  // namespace

Response list_audit(const Ask& ask) {
  const auto query =
      Query::read(ask.query, {"actor", "object", "since", "refusals", "pageSize", "pageToken"});
  if (!query) return refusal(query.error());
  const auto size = query->number("pageSize");
  if (!size || size->value_or(0) > INT32_MAX) {
    return refusal(error(Code::kInvalidArgument, "pageSize is a number", "pageSize"));
  }
  const std::string refusals = query->text("refusals");
  if (!refusals.empty() && refusals != "true" && refusals != "false") {
    return refusal(error(Code::kInvalidArgument, "refusals is true or false", "refusals"));
  }
  v1::ListAuditEntriesRequest request;
  if (const std::string text = query->text("since"); !text.empty()) {
    const auto since = parse_time(text);
    if (!since) {
      return refusal(
          error(Code::kInvalidArgument, "since is a time: 2026-11-24T00:00:00Z", "since"));
    }
    *request.mutable_since() = wire::to_proto(*since);
  }
  request.set_actor(query->text("actor"));
  request.set_object(query->text("object"));
  request.set_refusals(refusals == "true");
  request.set_page_size(static_cast<std::int32_t>(size->value_or(0)));
  request.set_page_token(query->text("pageToken"));
  v1::ListAuditEntriesResponse list;
  const Status status =
      runtime::list_audit(ask.sources.store, ask.sources.audit, ask.caller, request, list);
  return status.ok() ? as_json(list) : refusal(status);
}

std::string object_of(std::string_view path) {
  if (!path.starts_with(kApiPath)) return {};
  path.remove_prefix(kApiPath.size());
  if (path.find('/') == std::string_view::npos) return {};
  // A verb is no part of the name.
  if (const auto verb = path.rfind(':'); verb != std::string_view::npos)
    path = path.substr(0, verb);
  const bool is_name =
      path.size() <= kObjectBytesMax && std::all_of(path.begin(), path.end(), [](unsigned char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.' || c == '/';
      });
  return is_name ? std::string(path) : std::string();
}

void tell_refusal(const Sources& sources, const Request& request, std::string_view pattern,
                  std::string_view path, const Response& response) {
  if (!runtime::is_refusal(response.code)) return;
  const Time now = sources.loop.now();
  const auto caller = caller_of(sources, request, now);
  telemetry::AuditEvent event = runtime::audit_event(caller ? &*caller : nullptr, now);
  event.door = telemetry::Door::kDashboard;
  event.code = response.code;
  event.action = pattern.empty() ? "an address that is not there" : std::string(pattern);
  event.object = pattern.empty() ? std::string() : object_of(path);
  event.reason = response.reason;
  event.address = request.address;
  sources.audit.refused(std::move(event));
}

}  // namespace overwinter::dashboard
