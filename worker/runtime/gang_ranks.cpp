#include "worker/runtime/gang_ranks.h"

#include <fmt/core.h>

#include <algorithm>

namespace overwinter::worker {
namespace {

Duration since(SteadyTime then, SteadyTime now) {
  return std::chrono::duration_cast<Duration>(now - then);
}

}  // namespace

GangRanks::GangRanks(const GangOrder& order, SteadyTime now) : order_(order), begin_(now) {
  for (const std::uint32_t number : order.own_ranks()) {
    GangRank& rank = ranks_[number];
    rank.life = now;
    rank.moved = now;
  }
}

Status GangRanks::hello(const v1::RankHello& hello, const LocalPeer& peer,
                        LocalServer::Connection connection, SteadyTime now) {
  const auto refuse = [&](const char* why) {
    return error(Code::kPermissionDenied,
                 fmt::format("a process (pid {}) says that it is rank {} of {}: {}", peer.pid,
                             hello.rank(), hello.world_size(), why));
  };
  if (hello.world_size() != order_.ranks()) return refuse("the gang has another size");
  const auto found = ranks_.find(hello.rank());
  if (found == ranks_.end()) return refuse("that is not of this worker");
  if (hello.pid() != peer.pid) return refuse("the kernel says another pid");
  if (found->second.pid != 0) return refuse("that rank is there already");
  found->second.pid = peer.pid;
  found->second.connection = connection;
  found->second.life = now;
  return Status::success();
}

GangRank* GangRanks::of(LocalServer::Connection connection) {
  for (auto& [number, rank] : ranks_) {
    if (rank.connection == connection) return &rank;
  }
  return nullptr;
}

std::optional<std::uint32_t> GangRanks::number_of(LocalServer::Connection connection) const {
  for (const auto& [number, rank] : ranks_) {
    if (rank.connection == connection) return number;
  }
  return std::nullopt;
}

bool GangRanks::note_progress(GangRank& rank, const v1::RankProgress& progress, SteadyTime now) {
  rank.life = now;
  const bool moved =
      rank.progress.step() != progress.step() || rank.progress.phase() != progress.phase();
  const bool news = moved || rank.progress.validation_loss() != progress.validation_loss() ||
                    rank.progress.loss() != progress.loss() ||
                    rank.progress.memory_used_bytes() != progress.memory_used_bytes() ||
                    rank.progress.memory_peak_bytes() < progress.memory_peak_bytes();
  if (moved) rank.moved = now;
  if (news) rank.progress = progress;
  return news;
}

bool GangRanks::all_ended() const {
  return std::all_of(ranks_.begin(), ranks_.end(), [](const auto& entry) {
    return entry.second.ended && !entry.second.connection;
  });
}

bool GangRanks::all_clean() const {
  return std::all_of(ranks_.begin(), ranks_.end(),
                     [](const auto& entry) { return entry.second.clean; });
}

void GangRanks::forgive(Duration gap) {
  begin_ += gap;
  for (auto& [number, rank] : ranks_) {
    rank.life += gap;
    rank.moved += gap;
  }
}

std::optional<GangFault> GangRanks::overdue(SteadyTime now) const {
  if (auto fault = frozen(now)) return fault;
  if (auto fault = not_ready(now)) return fault;
  return stalled(now);
}

std::optional<GangFault> GangRanks::not_ready(SteadyTime now) const {
  if (since(begin_, now) < order_.deadlines.start) return std::nullopt;
  for (const auto& [number, rank] : ranks_) {
    if (rank.ready || rank.ended) continue;
    const std::string& phase = rank.progress.phase();
    return make_fault(
        GangFaultKind::kNotReady, number, order_.self,
        fmt::format("rank {} on {} {} {} after the start{}", number,
                    order_.hosts[order_.self].mpi_address,
                    rank.pid == 0 ? "has not been started" : "does not hear the others",
                    format_duration(order_.deadlines.start), phase.empty() ? "" : "; it " + phase));
  }
  return std::nullopt;
}

std::optional<GangFault> GangRanks::frozen(SteadyTime now) const {
  for (const auto& [number, rank] : ranks_) {
    if (!rank.ready || rank.ended || since(rank.life, now) < order_.deadlines.life) continue;
    return make_fault(
        GangFaultKind::kRankFrozen, number, order_.self,
        fmt::format("rank {} (pid {}) on {} is frozen: no sign of life for {}, after step {}",
                    number, rank.pid, order_.hosts[order_.self].mpi_address,
                    format_duration(since(rank.life, now)), rank.progress.step()),
        rank.progress.step());
  }
  return std::nullopt;
}

std::optional<GangFault> GangRanks::stalled(SteadyTime now) const {
  const std::pair<const std::uint32_t, GangRank>* slowest = nullptr;
  for (const auto& entry : ranks_) {
    const GangRank& rank = entry.second;
    if (!rank.ready || rank.ended || since(rank.moved, now) < order_.deadlines.progress) continue;
    // Who is behind holds the others up.
    if (slowest == nullptr || rank.progress.step() < slowest->second.progress.step()) {
      slowest = &entry;
    }
  }
  if (slowest == nullptr) return std::nullopt;
  const auto& [number, rank] = *slowest;
  return make_fault(
      GangFaultKind::kStalled, number, order_.self,
      fmt::format("rank {} on {} lives but has done nothing new for {}, after step {} ({})", number,
                  order_.hosts[order_.self].mpi_address, format_duration(since(rank.moved, now)),
                  rank.progress.step(), rank.progress.phase()),
      rank.progress.step());
}

}  // namespace overwinter::worker
