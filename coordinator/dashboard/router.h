// Router: which path answers what to whom. Knows nothing of sockets.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/domain/principal.h"
#include "coordinator/dashboard/event_stream.h"
#include "coordinator/dashboard/http.h"
#include "coordinator/dashboard/sources.h"

namespace overwinter::dashboard {

// A route: `{}` stands for one part of the path, `{}:verb` for one that ends so. `open` routes need
// no credential.
struct Route {
  std::string_view pattern;
  bool open = false;
  Permission permission = Permission::kReadJobs;
  std::string_view method = "GET";
};
// Every route there is; whatever matches none is NOT_FOUND.
[[nodiscard]] std::span<const Route> routes();

struct Ask;

// Thread-safe.
class Router {
 public:
  explicit Router(Sources sources);
  // `done` is called once, at once or from the pool.
  void handle(const Request& request, const std::function<void(Response)>& done) const;

 private:
  void serve(const Request& request, const std::string& path, std::optional<std::size_t> route,
             const std::function<void(Response)>& done) const;
  [[nodiscard]] Response answer(Response (*read)(const Ask&), std::string_view path,
                                std::string_view query, const Principal& caller) const;
  // Several reads, each answered and refused as it would be alone.
  [[nodiscard]] Response batch(const Request& who, std::string_view query,
                               const Principal& caller) const;
  [[nodiscard]] Response read_one(const Request& who, const std::string& target,
                                  const Principal& caller) const;
  const Sources sources_;
  const std::shared_ptr<StreamCount> streams_;
  const std::unique_ptr<JobTexts> texts_;
};

}  // namespace overwinter::dashboard
