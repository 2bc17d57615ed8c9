// Router: which path answers what to whom. Knows nothing of sockets.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/domain/principal.h"
#include "coordinator/runtime/blocking_pool.h"
#include "coordinator/runtime/cluster_status.h"
#include "coordinator/runtime/coordinator_loop.h"
#include "coordinator/runtime/costs.h"
#include "coordinator/runtime/event_queue.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/store.h"

namespace overwinter::dashboard {

struct Request {
  std::string method;
  std::string target;         // path and query
  std::string authorization;  // of the header; empty: none
};
struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
};

// What the routes read. All of it outlives the router.
struct Sources {
  const runtime::Views& views;
  const runtime::Costs& costs;
  runtime::BlockingPool& pool;
  const runtime::EventQueue& queue;
  const runtime::CoordinatorLoop& loop;
  store::Store& store;
  std::function<std::size_t()> workers_connected;
  const runtime::Serving& serving;
  // Whether this process takes work: its store is replayed, its ports are open, it is not stopping.
  // Until then nothing but the three open routes is answered. Any thread.
  std::function<bool()> ready;
};

// A route: `{}` stands for one part of the path. `open` routes need no credential.
struct Route {
  std::string_view pattern;
  bool open = false;
  Permission permission = Permission::kReadJobs;
};
// Every route there is; whatever matches none is NOT_FOUND.
[[nodiscard]] std::span<const Route> routes();

// Thread-safe.
class Router {
 public:
  explicit Router(Sources sources) : sources_(std::move(sources)) {}
  // `done` is called once, at once or from the pool.
  void handle(const Request& request, const std::function<void(Response)>& done) const;

 private:
  [[nodiscard]] Response answer(const Route& route, std::string_view path, std::string_view query,
                                const Principal& caller) const;
  const Sources sources_;
};

// The status as JSON: {"code": "NOT_FOUND", "message": …, "field": …, "hint": …}.
[[nodiscard]] Response refusal(const Status& status);

}  // namespace overwinter::dashboard
