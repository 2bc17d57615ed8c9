#include "coordinator/dashboard/router.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/dashboard/action_routes.h"
#include "coordinator/dashboard/audit_routes.h"
#include "coordinator/dashboard/job_routes.h"
#include "coordinator/dashboard/metrics.h"
#include "coordinator/dashboard/page.h"
#include "coordinator/dashboard/session_routes.h"
#include "coordinator/dashboard/spend_route.h"
#include "coordinator/runtime/credentials.h"
#include "coordinator/runtime/resources.h"

namespace overwinter::dashboard {
namespace {

// ---- answers to whoever asks, at once
Response healthz(const Sources&, const Request&) {
  return as_text("ok\n");
}
Response readyz(const Sources& sources, const Request&) {
  const bool ready = sources.ready();
  Response response = as_text(ready ? "ready\n" : "unready\n");
  if (!ready) response.status = 503;
  return response;
}
Response document(const Sources& sources, const Request& request) {
  if (Status status = sources.sessions.check_host(request); !status.ok()) return refusal(status);
  return page_document(request);
}
Response asset(const Sources&, const Request& request) {
  const std::string_view target = request.target;
  const auto name = target.substr(std::string_view("/assets/").size());
  return page_asset(name.substr(0, name.find('?')), request);
}
Response log_in(const Sources& sources, const Request& request) {
  if (!sources.ready()) {
    return refusal(error(Code::kUnavailable, "the coordinator is starting or stopping"));
  }
  return open_session(sources, request, sources.loop.now());
}

// ---- answers to who may, on the pool
Response metrics(const Ask& ask) {
  Response response = as_text(metrics_text(ask.sources, ask.caller, ask.now));
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return response;
}
Response summary(const Ask& ask) {
  const Sources& sources = ask.sources;
  const auto status = runtime::cluster_status(sources.views, sources.costs, sources.store,
                                              sources.serving, ask.caller, ask.now);
  return status ? as_json(*status) : refusal(status.error());
}
Response session(const Ask& ask) {
  return session_json(ask.sources, ask.caller, ask.now);
}
Response list_workers(const Ask& ask) {
  v1::ListWorkersResponse list;
  for (const auto& worker : ask.sources.views.workers()) {
    if (!runtime::sees_worker(ask.caller, *worker)) continue;
    *list.add_workers() = runtime::worker_resource(ask.sources.views, ask.caller, *worker, ask.now);
  }
  return as_json(list);
}
Response get_worker(const Ask& ask) {
  const auto worker = runtime::find_worker(ask.sources.views, ask.caller, ask.parts[3]);
  if (!worker) return refusal(worker.error());
  return as_json(runtime::worker_resource(ask.sources.views, ask.caller, **worker, ask.now));
}

using OpenAnswer = Response (*)(const Sources&, const Request&);
using Answer = Response (*)(const Ask&);
using Action = void (*)(const Act&, const Done&);
using Following = decltype(&follow_events);
struct Batch {};  // several answers at once
struct Entry {
  Route route;
  std::variant<OpenAnswer, Answer, Action, Following, Batch> to;
};

constexpr Entry open_to_all(std::string_view pattern, OpenAnswer answer,
                            std::string_view method = "GET") {
  return {{pattern, true, {}, method}, answer};
}
constexpr Entry needs(Permission permission, std::string_view pattern, Answer answer) {
  return {{pattern, false, permission, "GET"}, answer};
}
constexpr Entry acts(std::string_view pattern, Action action,
                     Permission permission = Permission::kActOnOwnJobs) {
  return {{pattern, false, permission, "POST"}, action};
}

constexpr std::array kEntries{
    open_to_all("/healthz", healthz),
    open_to_all("/readyz", readyz),
    // The page's addresses.
    open_to_all("/", document),
    open_to_all("/jobs", document),
    open_to_all("/projects/{}/jobs/{}", document),
    open_to_all("/projects/{}/jobs/{}/logs", document),
    open_to_all("/workers", document),
    open_to_all("/workers/{}", document),
    open_to_all("/audit", document),
    open_to_all("/login", document),
    open_to_all("/assets/{}", asset),
    open_to_all("/api/v1/session:open", log_in, "POST"),
    open_to_all("/api/v1/session:close", close_session, "POST"),
    needs(Permission::kReadMetrics, "/metrics", metrics),
    needs(Permission::kKnowOneself, "/api/v1/session", session),
    needs(Permission::kReadWorkers, "/api/v1/summary", summary),
    needs(Permission::kReadWorkers, "/api/v1/spend", spend_by_hour),
    needs(Permission::kReadWorkers, "/api/v1/workers", list_workers),
    needs(Permission::kReadWorkers, "/api/v1/workers/{}", get_worker),
    needs(Permission::kReadAudit, "/api/v1/audit", list_audit),
    needs(Permission::kReadJobs, "/api/v1/projects/{}/jobs", list_jobs),
    needs(Permission::kReadJobs, "/api/v1/projects/{}/jobs/{}:explain", explain_job),
    needs(Permission::kReadJobs, "/api/v1/projects/{}/jobs/{}", get_job),
    needs(Permission::kReadJobs, "/api/v1/projects/{}/jobs/{}/timeline", job_timeline),
    needs(Permission::kReadJobs, "/api/v1/projects/{}/jobs/{}/series", job_series),
    needs(Permission::kReadJobs, "/api/v1/projects/{}/jobs/{}/checkpoints", job_checkpoints),
    needs(Permission::kReadJobs, "/api/v1/projects/{}/jobs/{}/logs", job_logs),
    needs(Permission::kReadJobs, "/api/v1/projects/{}/jobs/{}/logs:search", search_logs),
    Entry{{"/api/v1/events", false, Permission::kReadJobs, "GET"}, follow_events},
    Entry{{"/api/v1/batch", false, Permission::kKnowOneself, "GET"}, Batch()},
    acts("/api/v1/projects/{}/jobs/{}:pause", pause_job),
    acts("/api/v1/projects/{}/jobs/{}:resume", resume_job),
    acts("/api/v1/projects/{}/jobs/{}:cancel", cancel_job),
    acts("/api/v1/projects/{}/jobs/{}:update", update_job),
    acts("/api/v1/projects/{}/jobs/{}/checkpoints/{}:verify", verify_checkpoint,
         Permission::kReadJobs),
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

bool part_matches(std::string_view wanted, std::string_view given) {
  if (!wanted.starts_with("{}")) return wanted == given;
  const auto verb = wanted.substr(2);
  return given.size() > verb.size() && given.ends_with(verb) &&
         (!verb.empty() || given.find(':') == std::string_view::npos);
}

bool matches(std::string_view pattern, std::string_view path) {
  const auto wanted = parts_of(pattern);
  const auto given = parts_of(path);
  if (wanted.size() != given.size()) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!part_matches(wanted[i], given[i])) return false;
  }
  return true;
}

std::optional<std::size_t> find_route(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  for (std::size_t i = 0; i < kEntries.size(); ++i) {
    if (matches(kEntries[i].route.pattern, path)) return i;
  }
  return std::nullopt;
}

bool right_method(const Route& route, const Request& request) {
  return request.method == route.method || (route.method == "GET" && request.method == "HEAD");
}

Response wrong_method(const Route& route) {
  Response response = refusal(error(
      Code::kUnimplemented, "only " + std::string(route.method) + " is answered at that path"));
  response.allow = route.method == "GET" ? "GET, HEAD" : route.method;
  return response;
}

// An address that somebody typed: the page says that there is nothing.
bool is_typed(const Request& request, std::string_view path) {
  return request.method == "GET" && request.fetch_mode == "navigate" &&
         !path.starts_with("/api/") && !path.starts_with("/assets/");
}

constexpr std::size_t kBatchMax = 8;

// Enough of a request to tell who sent it.
Request without_body(const Request& request) {
  Request out;
  out.method = request.method;
  out.authorization = request.authorization;
  out.host = request.host;
  out.origin = request.origin;
  out.fetch_site = request.fetch_site;
  out.cookie = request.cookie;
  out.session = request.session;
  out.content_type = request.content_type;
  out.address = request.address;
  return out;
}

}  // namespace

std::span<const Route> routes() {
  static const auto all = [] {
    std::array<Route, kEntries.size()> out;
    for (std::size_t i = 0; i < kEntries.size(); ++i) out[i] = kEntries[i].route;
    return out;
  }();
  return all;
}

Router::Router(Sources sources)
    : sources_(std::move(sources)),
      streams_(std::make_shared<StreamCount>()),
      texts_(std::make_unique<JobTexts>(sources_.views)) {}

void Router::handle(const Request& request, const std::function<void(Response)>& answer) const {
  const std::string_view target = request.target;
  const auto mark = target.find('?');
  const std::string path(target.substr(0, mark));
  const auto route = find_route(path);
  // What is refused, here or by who answers, is told of before it leaves.
  serve(request, path, route,
        [this, who = without_body(request), path, route, answer](Response response) {
          if (response.code != Code::kOk) {
            const std::string_view pattern = route ? kEntries[*route].route.pattern : "";
            tell_refusal(sources_, who, pattern, path, response);
          }
          answer(std::move(response));
        });
}

void Router::serve(const Request& request, const std::string& path,
                   std::optional<std::size_t> route,
                   const std::function<void(Response)>& done) const {
  const std::string_view target = request.target;
  const auto mark = target.find('?');
  const std::string query(mark == std::string_view::npos ? std::string_view()
                                                         : target.substr(mark + 1));
  const Entry* const entry = route ? &kEntries[*route] : nullptr;
  if (const auto* open = entry ? std::get_if<OpenAnswer>(&entry->to) : nullptr) {
    return done(right_method(entry->route, request) ? (*open)(sources_, request)
                                                    : wrong_method(entry->route));
  }
  if (!route && is_typed(request, path)) {
    Response response = document(sources_, request);
    if (response.status == 200) response.status = 404;
    return done(response);
  }
  if (!sources_.ready()) {
    return done(refusal(error(Code::kUnavailable, "the coordinator is starting or stopping")));
  }
  // Who shows no credential learns nothing, not even which routes there are.
  const auto caller = caller_of(sources_, request, sources_.loop.now());
  if (!caller) return done(refusal(caller.error()));
  if (!entry) return done(refusal(error(Code::kNotFound, "there is nothing at that path")));
  const Route& wanted = entry->route;
  if (Status status = runtime::require(*caller, wanted.permission); !status.ok()) {
    return done(refusal(status));
  }
  if (!right_method(wanted, request)) return done(wrong_method(wanted));
  if (const auto* act = std::get_if<Action>(&entry->to)) {
    const auto parts = parts_of(path);
    return (*act)({sources_, parts, request.body, *caller}, done);
  }
  if (const auto* follow = std::get_if<Following>(&entry->to)) {
    return done((*follow)(sources_, *texts_, streams_, request, query, *caller));
  }
  // Bills and history are read from the disk: not on the thread that serves everybody.
  const Status taken =
      sources_.pool.run(runtime::Work::kRead, [this, read = std::get_if<Answer>(&entry->to), path,
                                               query, caller = *caller, who = without_body(request),
                                               packed = takes_gzip(request.accept_encoding), done] {
        Response response = read ? answer(*read, path, query, caller) : batch(who, query, caller);
        if (packed) pack(response);
        done(std::move(response));
      });
  if (!taken.ok()) done(refusal(taken));
}

Response Router::answer(Answer read, std::string_view path, std::string_view query,
                        const Principal& caller) const {
  const auto parts = parts_of(path);
  // Taken first: a change in between is told of twice rather than never.
  const std::uint64_t next = sources_.views.next_event(caller.project);
  Response response = read({sources_, *texts_, parts, query, caller, sources_.loop.now()});
  if (response.status == 200) response.event = next - 1;
  return response;
}

Response Router::read_one(const Request& who, const std::string& target,
                          const Principal& caller) const {
  const auto mark = target.find('?');
  const std::string path = target.substr(0, mark);
  const auto route = find_route(path);
  const Entry* const entry = route ? &kEntries[*route] : nullptr;
  const auto* const read = entry ? std::get_if<Answer>(&entry->to) : nullptr;
  Response response;
  if (entry == nullptr) {
    response = refusal(error(Code::kNotFound, "there is nothing at that path"));
  } else if (read == nullptr || !path.starts_with(kApiPath)) {
    response = refusal(error(Code::kInvalidArgument,
                             "get: only what is read in one piece, below " + std::string(kApiPath),
                             "get"));
  } else if (Status status = runtime::require(caller, entry->route.permission); !status.ok()) {
    response = refusal(status);
  } else {
    response = answer(*read, path,
                      mark == std::string::npos ? std::string() : target.substr(mark + 1), caller);
  }
  if (response.code != Code::kOk) {
    tell_refusal(sources_, who, entry == nullptr ? "" : entry->route.pattern, path, response);
  }
  return response;
}

Response Router::batch(const Request& who, std::string_view query, const Principal& caller) const {
  const auto targets = Query::values_of(query, "get");
  if (!targets) return refusal(targets.error());
  if (targets->empty() || targets->size() > kBatchMax) {
    return refusal(error(Code::kInvalidArgument,
                         fmt::format("get: give 1 to {} paths below {}", kBatchMax, kApiPath),
                         "get"));
  }
  Response all;
  all.body = R"({"answers":[)";
  for (std::size_t i = 0; i < targets->size(); ++i) {
    const Response one = read_one(who, std::string(kApiPath) + (*targets)[i], caller);
    if (i > 0) all.body += ',';
    all.body += fmt::format(R"({{"status":{},)", one.status);
    if (one.event) all.body += fmt::format(R"("event":"{}",)", *one.event);
    all.body += R"("body":)" + one.body + '}';
  }
  all.body += "]}";
  return all;
}

}  // namespace overwinter::dashboard
