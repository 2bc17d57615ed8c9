#include "worker/runtime/gang_launcher.h"

#include <fmt/core.h>

#include <chrono>
#include <utility>

#include "common/security/encoding.h"

namespace overwinter::worker {

GangLauncher::GangLauncher(GangPlaces places, GangPrograms programs, PeerLaunches& peers,
                           GangObserver& observer)
    : places_(std::move(places)),
      programs_(std::move(programs)),
      peers_(peers),
      observer_(observer) {
  sweep_gangs(places_);
}

GangLauncher::~GangLauncher() {
  std::map<GangKey, Gang> all;
  {
    const MutexLock lock(mutex_);
    all.swap(gangs_);
  }
  for (auto& [key, gang] : all) gang.part->end(Duration(0));  // all at once, then one by one
}

std::vector<std::unique_ptr<GangPart>> GangLauncher::take_finished() {
  std::vector<std::unique_ptr<GangPart>> out;
  for (auto it = gangs_.begin(); it != gangs_.end();) {
    if (!it->second.part->finished()) {
      ++it;
      continue;
    }
    out.push_back(std::move(it->second.part));
    it = gangs_.erase(it);
  }
  return out;
}

Status GangLauncher::start(GangOrder order) {
  if (Status good = check_order(order); !good.ok()) return good;
  std::vector<std::unique_ptr<GangPart>> finished;  // destroyed without the lock
  const MutexLock lock(mutex_);
  finished = take_finished();
  const GangKey key = order.key;
  if (gangs_.contains(key)) {
    return error(Code::kAlreadyExists,
                 fmt::format("attempt {} of job {} runs here", key.attempt, key.job.value()));
  }
  if (gangs_.size() >= kGangsMax) {
    return error(Code::kResourceExhausted,
                 fmt::format("a worker takes part in at most {} gangs", kGangsMax));
  }
  const SteadyTime until = std::chrono::steady_clock::now() + order.launch_within;
  auto part = GangPart::start(std::move(order), places_, programs_, peers_, observer_);
  if (!part) return part.error();
  gangs_[key] = {std::move(*part), false, until};
  return Status::success();
}

Status GangLauncher::begin_remote(const RemoteLaunchRequest& request, GangPart::RemoteEnded ended) {
  const auto refuse = [&](const char* why) {
    return error(
        Code::kPermissionDenied,
        fmt::format("worker {} may not start ranks of attempt {} of job {} here: {}",
                    request.from.value(), request.key.attempt, request.key.job.value(), why));
  };
  auto command = orted_command(request.words, programs_);
  if (!command) return command.error();
  const MutexLock lock(mutex_);
  const auto found = gangs_.find(request.key);
  if (found == gangs_.end()) return refuse("it was not announced");
  Gang& gang = found->second;
  const GangOrder& order = gang.part->order();
  if (order.leads()) return refuse("this host runs the first ranks itself");
  if (!order.starts()) return refuse("another worker of this host starts its ranks");
  if (order.hosts.front().worker != request.from) return refuse("another worker was announced");
  if (!equal_constant_time(sha256(request.token), order.token_hash)) return refuse("a wrong token");
  if (std::exchange(gang.token_used, true)) return refuse("its token was used");
  if (std::chrono::steady_clock::now() > gang.launch_until) return refuse("it comes too late");
  gang.part->begin_remote(std::move(*command), std::move(ended));
  return Status::success();
}

template <class Call>
void GangLauncher::with(const GangKey& key, const Call& call) {
  const MutexLock lock(mutex_);
  const auto found = gangs_.find(key);
  if (found != gangs_.end()) call(*found->second.part);
}

void GangLauncher::end_remote(const GangKey& key, const std::string& why) {
  with(key, [&](GangPart& part) { part.end_remote(why); });
}

void GangLauncher::ask_ranks(const GangKey& key, v1::RankStop::How how) {
  with(key, [&](GangPart& part) { part.ask_ranks(how); });
}

void GangLauncher::checkpoint_kept(const GangKey& key, std::uint32_t rank,
                                   const v1::CheckpointKept& answer) {
  with(key, [&](GangPart& part) { part.checkpoint_kept(rank, answer); });
}

void GangLauncher::end(const GangKey& key, Duration grace) {
  with(key, [&](GangPart& part) { part.end(grace); });
}

std::vector<GangKey> GangLauncher::running() const {
  std::vector<GangKey> out;
  const MutexLock lock(mutex_);
  for (const auto& [key, gang] : gangs_) {
    if (!gang.part->finished()) out.push_back(key);
  }
  return out;
}

}  // namespace overwinter::worker
