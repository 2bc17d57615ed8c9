// Who looks: browsers' pages on a job and scripts that read, as clients over TLS with connections
// that stay. What a page asks, how often, and what it follows are those of
// coordinator/dashboard/web/src (lib/live.ts, lib/events.ts, job/).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace overwinter::bench {

struct PageServer {
  std::string address;  // HOST:PORT
  std::string root_pem;
};

// As one browser has it: all of its tabs share it.
struct PageSession {
  std::string cookie;
  std::string secret;
};
// By the line of `tokens create`, which is used up. Blocks.
[[nodiscard]] Result<PageSession> log_in(const PageServer& server, const std::string& login);

struct PageAnswer {
  std::string body;
  std::uint64_t event = 0;  // the number that it is as of
};
// One question, on a connection of its own. Blocks.
[[nodiscard]] Result<PageAnswer> ask(const PageServer& server, const PageSession& session,
                                     const std::string& path);

// One thread of its own; ends everything with the object.
class Viewers {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Viewers>> start(const PageServer& server);
  ~Viewers();
  Viewers(const Viewers&) = delete;
  Viewers& operator=(const Viewers&) = delete;

  // A visible tab on the page of that job (projects/P/jobs/J), from `after` on.
  void open_page(const PageSession& session, const std::string& job, std::uint64_t after_ms);
  // Asks for these paths in turn, so many a second over `connections`.
  void read(const PageSession& session, const std::vector<std::string>& paths, double per_second,
            std::size_t connections);

  // Since the start.
  struct Counts {
    std::uint64_t questions = 0;  // of pages, answered with 200
    std::uint64_t reads = 0;      // of scripts, answered with 200
    std::uint64_t changes = 0;    // `job` events of pages' streams
    std::uint64_t resets = 0;
    std::uint64_t bytes = 0;   // of bodies and streams
    std::uint64_t failed = 0;  // refused, cut off or late
    std::string first_failure;
  };
  [[nodiscard]] Counts counts() const;

  struct Impl;

 private:
  explicit Viewers(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace overwinter::bench
