// Why a job waits, and the smallest change that lets it start. The same checks that place seats.
#include <algorithm>
#include <optional>

#include "common/base/bytes.h"
#include "coordinator/policy/gang_placement.h"
#include "coordinator/policy/placement.h"

namespace overwinter::policy {
namespace {

std::string sentence(const Want& want, const Candidate& candidate, const Verdict& verdict) {
  const std::string has = std::to_string(verdict.has);
  const std::string needs = std::to_string(verdict.needs);
  switch (verdict.why) {
    case Why::kFits:
      return "it fits";
    case Why::kNotReady:
      return std::string(candidate.not_ready);
    case Why::kProject:
      return "is not for project \"" + std::string(want.project) + "\"";
    case Why::kSpot:
      return candidate.spot ? "is spot, and the job never uses spot"
                            : "is not spot, and the job uses only spot";
    case Why::kKind:
      return "is a " + candidate.device->kind + ", and the job asks for " +
             want.demand->device_kind;
    case Why::kMemoryTotal:
      return "has " + format_bytes(verdict.has) + " of memory; a seat needs " +
             format_bytes(verdict.needs);
    case Why::kThreadsTotal:
      return "has " + has + " threads; a seat needs " + needs;
    case Why::kMemoryFree:
      return "has " + format_bytes(verdict.has) + " of memory free; a seat needs " +
             format_bytes(verdict.needs);
    case Why::kThreadsFree:
      return "has " + has + " threads free; a seat needs " + needs;
    case Why::kShareFree:
      return "has " + std::to_string(verdict.has / 10'000) + " % of itself free; a seat needs " +
             std::to_string(verdict.needs / 10'000) + " %";
    case Why::kAvoided:
      return "the job's work failed there";
    case Why::kHeld:
      return "is kept free for a job that has waited longer";
    case Why::kNoExec:
      return "runs no program of users: " + std::string(candidate.no_exec);
    case Why::kHostMemory:
      return "is on a machine with " + format_bytes(verdict.has) + " of memory; host.memory is " +
             format_bytes(verdict.needs);
    case Why::kHostCpus:
      return "is on a machine with " + has + " processors; host.cpus is " + needs;
    case Why::kOtherProject:
      return "is taken by a gang of another project";
    case Why::kNetworkTaken:
      return "is on network " + std::string(candidate.network) +
             ", which a gang of another project uses";
  }
  return {};
}

// How far from fitting, smaller is nearer: what waiting mends, then what a person can mend, then
// size.
int distance(Why why) {
  switch (why) {
    case Why::kFits:
      return 0;
    case Why::kMemoryFree:
    case Why::kThreadsFree:
    case Why::kShareFree:
    case Why::kHeld:
    case Why::kOtherProject:
    case Why::kNetworkTaken:
      return 1;
    case Why::kNotReady:
      return 2;
    case Why::kAvoided:
      return 3;
    case Why::kMemoryTotal:
      return 4;
    case Why::kThreadsTotal:
    case Why::kHostMemory:
    case Why::kHostCpus:
      return 5;
    case Why::kSpot:
      return 6;
    case Why::kProject:
      return 7;
    case Why::kKind:
      return 8;
    case Why::kNoExec:
      return 9;
  }
  return 10;
}

std::string help(const Want& want, const Candidate& nearest, const Verdict& verdict) {
  const std::string name(nearest.worker_name);
  switch (verdict.why) {
    case Why::kFits:
      return {};
    case Why::kMemoryFree:
    case Why::kThreadsFree:
    case Why::kShareFree:
      return "it starts on " + name + " when seats there end";
    case Why::kHeld:
      return "it starts when the job that has waited longer has started";
    case Why::kNotReady:
      return nearest.not_ready.find("drain") != std::string_view::npos
                 ? "overwinter workers resume " + name
                 : "start or reconnect the daemon of " + name;
    case Why::kAvoided:
      return "another worker, or the cause of the failure on " + name + " mended";
    case Why::kMemoryTotal:
      return "a device with " + format_bytes(verdict.needs) + " of memory (" +
             format_bytes(verdict.needs - verdict.has) + " more than " + name +
             " has), or a memory_per_device of at most " + format_bytes(verdict.has);
    case Why::kThreadsTotal:
      return "a device with " + std::to_string(verdict.needs) + " threads; " + name + " has " +
             std::to_string(verdict.has);
    case Why::kSpot:
      return "spot: allowed in the job, or another worker";
    case Why::kProject:
      return "a worker for project \"" + std::string(want.project) + "\"";
    case Why::kHostMemory:
      return "a larger machine, or a host.memory of at most " + format_bytes(verdict.has);
    case Why::kHostCpus:
      return "a larger machine, or host.cpus of at most " + std::to_string(verdict.has);
    case Why::kNoExec:
      return "a worker that runs programs of users";
    case Why::kOtherProject:
      return "it starts on " + name + " when the other project's gang there ends";
    case Why::kNetworkTaken:
      return "it starts when the other project's gang ends, or with --shared-network on the "
             "workers "
             "of " +
             std::string(nearest.network);
    case Why::kKind:
      return "a worker with a " + want.demand->device_kind + ", or device: any";
  }
  return {};
}

// Some devices can hold a seat; a gang needs them at once, on as many workers, on one network.
void explain_gang(const Want& want, const std::vector<Candidate>& candidates, Explanation& out) {
  const std::size_t per_worker = std::max(1U, want.demand->seats_per_worker);
  const std::size_t least = std::max<std::size_t>(1, want.demand->seats_min / per_worker);
  const GangChoice choice = choose_gang(want, candidates);
  out.could_start = !choice.seats.empty();
  const std::string wanted = std::to_string(least) + (least == 1 ? " worker" : " workers");
  if (out.could_start) {
    out.summary = "it can start now";
  } else if (choice.workers_fit >= least) {
    out.summary = "it needs " + wanted + " on one private network, and at most " +
                  std::to_string(choice.workers) + " of the " + std::to_string(choice.workers_fit) +
                  " that fit are on the same one, at addresses of their own";
    out.would_help = "workers on one network (--peer-address), or workers.min of at most " +
                     std::to_string(choice.workers);
  } else {
    out.summary = "it needs " + wanted + " at once, and " + std::to_string(choice.workers_fit) +
                  " can take part now";
    out.would_help =
        choice.workers_fit == 0
            ? "workers with " + std::to_string(per_worker) + " free devices each"
            : "workers.min of at most " + std::to_string(choice.workers_fit) + ", or more workers";
  }
}

}  // namespace

Explanation explain(const Want& want, const std::vector<Candidate>& candidates) {
  Explanation out;
  const Candidate* nearest = nullptr;
  std::optional<Verdict> best;
  std::uint64_t free_now = 0;
  for (const Candidate& candidate : candidates) {
    const Verdict verdict = can_hold(want, candidate);
    out.lines.push_back({std::string(candidate.worker_name), candidate.index, verdict,
                         sentence(want, candidate, verdict)});
    if (verdict.fits()) ++free_now;
    const auto key = [](const Verdict& v) {
      return std::pair(distance(v.why), v.needs - std::min(v.needs, v.has));
    };
    if (!best || key(verdict) < key(*best)) {
      best = verdict;
      nearest = &candidate;
    }
  }
  const std::uint64_t least = std::max(1U, want.demand->seats_min);
  out.could_start = free_now >= least;
  if (want.demand->transport == Transport::kGang && free_now > 0) {
    explain_gang(want, candidates, out);
    return out;
  }
  if (candidates.empty()) {
    out.summary = "no worker is known";
    out.would_help =
        "overwinter tokens create --role worker -o join.file, and start a worker with it";
  } else if (out.could_start) {
    out.summary = "it can start now";
  } else if (free_now > 0) {
    out.summary = "it needs " + std::to_string(least) + " seats at once, and " +
                  std::to_string(free_now) + " devices can hold one now";
    out.would_help = "workers.min of at most " + std::to_string(free_now) + ", or more workers";
  } else {
    out.summary = "none of " + std::to_string(candidates.size()) +
                  " devices can hold a seat; nearest is " + std::string(nearest->worker_name) +
                  ": " + sentence(want, *nearest, *best);
    out.would_help = help(want, *nearest, *best);
  }
  return out;
}

}  // namespace overwinter::policy
