// GangRanks: what is known of the ranks of one host, from what they say and when. Pure but for the
// time that it is handed: no socket, no thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "worker/local/local_server.h"
#include "worker/runtime/gang_order.h"

namespace overwinter::worker {

using SteadyTime = std::chrono::steady_clock::time_point;

struct GangRank {
  pid_t pid = 0;
  std::optional<LocalServer::Connection> connection;
  bool ready = false;
  bool ended = false;  // it said its last word, or is gone
  bool clean = false;  // its last word was that it is done
  SteadyTime life;     // its last sign of it
  SteadyTime moved;    // when it last did something new
  v1::RankProgress progress;
};

class GangRanks {
 public:
  // All ranks of the order's own seats; deadlines count from `now`.
  GangRanks(const GangOrder& order, SteadyTime now);

  // PERMISSION_DENIED for a rank that is not of this host, has another pid than the kernel says, or
  // is there already.
  Status hello(const v1::RankHello& hello, const LocalPeer& peer,
               LocalServer::Connection connection, SteadyTime now);
  [[nodiscard]] GangRank* of(LocalServer::Connection connection);
  [[nodiscard]] std::optional<std::uint32_t> number_of(LocalServer::Connection connection) const;
  [[nodiscard]] std::map<std::uint32_t, GangRank>& all() { return ranks_; }
  [[nodiscard]] const std::map<std::uint32_t, GangRank>& all() const { return ranks_; }
  // A sign of life; true when it says something new.
  static bool note_progress(GangRank& rank, const v1::RankProgress& progress, SteadyTime now);
  [[nodiscard]] bool all_clean() const;
  [[nodiscard]] bool all_ended() const;  // and their connections are closed

  // This process did not run for that long: what it did not hear meanwhile is nobody's fault.
  void forgive(Duration gap);

  // The first deadline that has passed, and whose it is.
  [[nodiscard]] std::optional<GangFault> overdue(SteadyTime now) const;

 private:
  [[nodiscard]] std::optional<GangFault> not_ready(SteadyTime now) const;
  [[nodiscard]] std::optional<GangFault> frozen(SteadyTime now) const;
  [[nodiscard]] std::optional<GangFault> stalled(SteadyTime now) const;

  const GangOrder& order_;
  SteadyTime begin_;
  std::map<std::uint32_t, GangRank> ranks_;
};

}  // namespace overwinter::worker
