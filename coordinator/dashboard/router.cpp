#include "coordinator/dashboard/router.h"

#include <google/protobuf/util/json_util.h>

#include <array>
#include <boost/url/params_encoded_view.hpp>
#include <boost/url/parse_query.hpp>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "coordinator/dashboard/metrics.h"
#include "coordinator/runtime/credentials.h"
#include "coordinator/runtime/job_queries.h"
#include "coordinator/runtime/resources.h"

namespace overwinter::dashboard {
namespace {

constexpr std::string_view kText = "text/plain; charset=utf-8";

constexpr std::array kRoutes{
    Route{"/", true, {}},
    Route{"/healthz", true, {}},
    Route{"/readyz", true, {}},
    Route{"/metrics", false, Permission::kReadMetrics},
    Route{"/api/v1/summary", false, Permission::kReadWorkers},
    Route{"/api/v1/workers", false, Permission::kReadWorkers},
    Route{"/api/v1/projects/{}/jobs", false, Permission::kReadJobs},
    Route{"/api/v1/projects/{}/jobs/{}", false, Permission::kReadJobs},
};

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const auto slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash);
  }
  return parts;
}

bool matches(std::string_view pattern, std::string_view path) {
  const auto wanted = parts_of(pattern);
  const auto given = parts_of(path);
  if (wanted.size() != given.size()) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "{}" ? given[i].empty() : wanted[i] != given[i]) return false;
  }
  return true;
}

const Route* find_route(std::string_view path) {
  for (const Route& route : kRoutes) {
    if (matches(route.pattern, path)) return &route;
  }
  return nullptr;
}

unsigned http_status(Code code) {
  switch (code) {
    case Code::kOk:
      return 200;
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
    case Code::kFailedPrecondition:
      return 400;
    case Code::kUnauthenticated:
      return 401;
    case Code::kPermissionDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kUnimplemented:
      return 405;
    case Code::kAlreadyExists:
    case Code::kAborted:
      return 409;
    case Code::kResourceExhausted:
      return 429;
    case Code::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

Response as_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  Response response;
  const auto done = google::protobuf::util::MessageToJsonString(message, &response.body, options);
  if (!done.ok()) return refusal(error(Code::kInternal, "the answer could not be written as JSON"));
  response.body += '\n';
  return response;
}

Response text(std::string body) {
  return {200, std::string(kText), std::move(body)};
}

// Fills a list's page and filter from the query. INVALID_ARGUMENT for a key that is not known.
Status read_query(std::string_view query, v1::ListJobsRequest& request) {
  const auto parsed = boost::urls::parse_query(query);
  if (!parsed) return error(Code::kInvalidArgument, "the query of the address is not understood");
  for (const auto& pair : *parsed) {
    const std::string key(pair.key);
    std::string value;
    pair.value.decode({}, boost::urls::string_token::assign_to(value));
    if (key == "filter") {
      request.set_filter(value);
    } else if (key == "orderBy") {
      request.set_order_by(value);
    } else if (key == "pageToken") {
      request.set_page_token(value);
    } else if (key == "pageSize") {
      std::int32_t size = -1;
      const char* const end = value.data() + value.size();
      if (std::from_chars(value.data(), end, size).ptr != end || value.empty()) {
        return error(Code::kInvalidArgument, "pageSize is a number", "pageSize");
      }
      request.set_page_size(size);
    } else {
      return error(Code::kInvalidArgument,
                   "the query has no key like that; keys are filter, orderBy, pageSize, pageToken",
                   "query");
    }
  }
  return Status::success();
}

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

Response refusal(const Status& status) {
  const auto quoted = [](std::string_view plain) {
    std::string out = "\"";
    for (const char c : plain) {
      if (c == '"' || c == '\\') out += '\\';
      if (static_cast<unsigned char>(c) >= 0x20) out += c;
    }
    return out + '"';
  };
  Response response;
  response.status = http_status(status.code);
  response.body =
      "{\"code\": " + quoted(code_name(status.code)) + ", \"message\": " + quoted(status.message) +
      ", \"field\": " + quoted(status.field) + ", \"hint\": " + quoted(status.hint) + "}\n";
  return response;
}

void Router::handle(const Request& request, const std::function<void(Response)>& done) const {
  const std::string_view target = request.target;
  const auto mark = target.find('?');
  const std::string path(target.substr(0, mark));
  const std::string query(mark == std::string_view::npos ? std::string_view()
                                                         : target.substr(mark + 1));
  const Route* route = path.starts_with('/') ? find_route(path) : nullptr;
  if (route != nullptr && route->open) return done(answer(*route, path, query, Principal{}));
  if (!sources_.ready()) {
    return done(refusal(error(Code::kUnavailable, "the coordinator is starting or stopping")));
  }
  // Who shows no credential learns nothing, not even which routes there are.
  const auto caller =
      runtime::person_of(sources_.views, request.authorization, sources_.loop.now());
  if (!caller) return done(refusal(caller.error()));
  if (route == nullptr)
    return done(refusal(error(Code::kNotFound, "there is nothing at that path")));
  if (Status status = runtime::require(*caller, route->permission); !status.ok()) {
    return done(refusal(status));
  }
  if (request.method != "GET" && request.method != "HEAD") {
    return done(refusal(error(Code::kUnimplemented, "only GET is answered here")));
  }
  // Bills and history are read from the disk: not on the thread that serves everybody.
  const Status taken =
      sources_.pool.run(runtime::Work::kRead, [this, route, path, query, caller = *caller, done] {
        done(answer(*route, path, query, caller));
      });
  if (!taken.ok()) done(refusal(taken));
}

Response Router::answer(const Route& route, std::string_view path, std::string_view query,
                        const Principal& caller) const {
  const Time now = sources_.loop.now();
  const auto parts = parts_of(path);
  if (route.pattern == "/") {
    return text(
        "Overwinter coordinator.\n"
        "/healthz and /readyz answer one word. With a token (Authorization: Bearer ow_...):\n"
        "/metrics, /api/v1/summary, /api/v1/workers, /api/v1/projects/PROJECT/jobs[/JOB].\n");
  }
  if (route.pattern == "/healthz") return text("ok\n");
  if (route.pattern == "/readyz") {
    Response response = text(sources_.ready() ? "ready\n" : "unready\n");
    if (!sources_.ready()) response.status = 503;
    return response;
  }
  if (route.pattern == "/metrics") {
    return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(sources_, caller, now)};
  }
  if (route.pattern == "/api/v1/summary") {
    const auto status = runtime::cluster_status(sources_.views, sources_.costs, sources_.store,
                                                sources_.serving, caller, now);
    return status ? as_json(*status) : refusal(status.error());
  }
  if (route.pattern == "/api/v1/workers") {
    v1::ListWorkersResponse list;
    for (const auto& worker : sources_.views.workers()) {
      if (!runtime::sees_worker(caller, *worker)) continue;
      *list.add_workers() = runtime::worker_resource(sources_.views, caller, *worker, now);
    }
    return as_json(list);
  }
  if (parts.size() == 6) {
    const auto name = path.substr(std::string_view("/api/v1/").size());
    const auto job = runtime::find_any_job(sources_.views, sources_.store.history(), caller, name);
    if (!job) return refusal(job.error());
    return as_json(runtime::job_resource(sources_.views, **job));
  }
  v1::ListJobsRequest request;
  request.set_parent("projects/" + std::string(parts[3]));
  v1::ListJobsResponse list;
  Status status = read_query(query, request);
  if (status.ok())
    status = runtime::list_jobs(sources_.views, sources_.store, caller, request, list);
  return status.ok() ? as_json(list) : refusal(status);
}

}  // namespace overwinter::dashboard
