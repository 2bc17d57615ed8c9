#include "coordinator/rpc/probe_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "common/wire/convert.h"

namespace overwinter::rpc {
namespace {

constexpr std::size_t kProbeTextMax = 2000;
constexpr int kProbedPortsMax = 32;

std::string resource_of(const ProbedWorker& worker) {
  return "workers/" + worker.name;
}

// What a worker wrote, no longer than a sentence; never in the middle of a character.
void cut(std::string* text) {
  if (text->size() <= kProbeTextMax) return;
  std::size_t end = kProbeTextMax;
  while (end > 0 && (static_cast<unsigned char>((*text)[end]) & 0xC0) == 0x80) --end;
  text->resize(end);
}

// Whether JSON has a form for it.
bool is_time(const google::protobuf::Timestamp& time) {
  constexpr std::int64_t kSecondsMax = 253'402'300'799;  // the year 9999
  return time.seconds() >= 0 && time.seconds() <= kSecondsMax && time.nanos() >= 0 &&
         time.nanos() < 1'000'000'000;
}

std::string why_no_answer(const ProbedWorker& worker, Duration within) {
  return fmt::format("{} (version {}) gave no answer within {}", worker.name, worker.version,
                     format_duration(within));
}

google::protobuf::Duration signed_duration(std::chrono::microseconds time) {
  google::protobuf::Duration out;
  out.set_seconds(time.count() / 1'000'000);
  out.set_nanos(static_cast<std::int32_t>(time.count() % 1'000'000) * 1000);
  return out;
}

}  // namespace

ProbePlan::ProbePlan(std::vector<ProbedWorker> workers, bool pairs, Time wall)
    : workers_(std::move(workers)), wall_(wall) {
  for (const ProbedWorker& worker : workers_) {
    Host& host = hosts_.emplace_back();
    host.probe.set_worker(resource_of(worker));
    host.probe.set_host_id(worker.host_id);
    host.probe.set_host_name(worker.host_name);
  }
  if (pairs) make_pairs();
}

std::string ProbePlan::machine_of(std::size_t index) const {
  const ProbedWorker& worker = workers_[index];
  return worker.host_id.empty() ? "worker " + std::to_string(worker.id.value()) : worker.host_id;
}

void ProbePlan::make_pairs() {
  std::set<std::pair<std::string, std::string>> measured;
  for (std::size_t distance = 1; distance < workers_.size(); ++distance) {
    for (std::size_t from = 0; from < workers_.size(); ++from) {
      const std::size_t to = (from + distance) % workers_.size();
      if (machine_of(from) == machine_of(to)) continue;
      if (pairs_.size() == kPairsMax) {
        ++too_many_;
        continue;
      }
      add_pair(from, to);
      Pair& pair = pairs_.back();
      // One rate between two machines is enough: their workers share the cable.
      if (pair.stage == Stage::kWaits) {
        pair.measure_rate = measured.insert({machine_of(from), machine_of(to)}).second;
      }
    }
  }
}

void ProbePlan::add_pair(std::size_t from, std::size_t to) {
  const ProbedWorker& source = workers_[from];
  const ProbedWorker& target = workers_[to];
  Pair& pair = pairs_.emplace_back();
  pair.from = from;
  pair.to = to;
  pair.probe.set_from(resource_of(source));
  pair.probe.set_to(resource_of(target));
  pair.probe.set_peer_address(target.peer_address);
  pair.probe.set_same_network(!source.network.empty() && source.network == target.network);
  for (const ProbedWorker* worker : {&target, &source}) {
    if (!worker->peer_address.empty()) continue;
    pair.probe.set_message(worker->name +
                           " has no peer port: it is in gangs of its own machine alone");
    pair.stage = Stage::kDone;
  }
}

void ProbePlan::give_up(Duration now) {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (hosts_[i].stage != Stage::kAsked || now - hosts_[i].asked <= kHostWithin) continue;
    hosts_[i].probe.set_message(why_no_answer(workers_[i], kHostWithin));
    hosts_[i].stage = Stage::kDone;
    // Who does not even tell of itself is not asked about others one by one.
    for (Pair& pair : pairs_) {
      if (pair.from != i || pair.stage != Stage::kWaits) continue;
      pair.probe.set_message(hosts_[i].probe.message());
      pair.stage = Stage::kDone;
    }
  }
  for (Pair& pair : pairs_) {
    if (pair.stage != Stage::kAsked || now - pair.asked <= kPairWithin) continue;
    pair.probe.set_message(why_no_answer(workers_[pair.from], kPairWithin));
    pair.stage = Stage::kDone;
  }
}

std::vector<ProbeQuestion> ProbePlan::next(Duration now) {
  give_up(now);
  std::vector<ProbeQuestion> out;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (hosts_[i].stage != Stage::kWaits) continue;
    hosts_[i].stage = Stage::kAsked;
    hosts_[i].asked = now;
    out.push_back({i, std::nullopt, false});
  }
  std::set<std::string> sending;
  std::set<std::string> receiving;
  for (const Pair& pair : pairs_) {
    if (pair.stage != Stage::kAsked) continue;
    sending.insert(machine_of(pair.from));
    receiving.insert(machine_of(pair.to));
  }
  for (Pair& pair : pairs_) {
    if (pair.stage != Stage::kWaits || sending.contains(machine_of(pair.from)) ||
        receiving.contains(machine_of(pair.to))) {
      continue;
    }
    pair.stage = Stage::kAsked;
    pair.asked = now;
    sending.insert(machine_of(pair.from));
    receiving.insert(machine_of(pair.to));
    out.push_back({pair.from, pair.to, pair.measure_rate});
  }
  return out;
}

void ProbePlan::not_asked(const ProbeQuestion& question) {
  const std::string why = workers_[question.worker].name + " is not connected";
  if (!question.peer) {
    hosts_[question.worker].probe.set_message(why);
    hosts_[question.worker].stage = Stage::kDone;
    return;
  }
  for (Pair& pair : pairs_) {
    if (pair.from != question.worker || pair.to != *question.peer) continue;
    pair.probe.set_message(why);
    pair.stage = Stage::kDone;
  }
}

void ProbePlan::host_described(WorkerId worker, const v1::HostFacts& facts, Duration now) {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    Host& host = hosts_[i];
    if (workers_[i].id != worker || host.stage != Stage::kAsked) continue;
    host.stage = Stage::kDone;
    if (!is_time(facts.time()) || !is_time(facts.certificate_expire_time())) {
      host.probe.set_message(workers_[i].name + " tells a time that is none");
      return;
    }
    *host.probe.mutable_facts() = facts;
    cut(host.probe.mutable_facts()->mutable_no_open_mpi());
    // It looked at its clock somewhere between question and answer.
    const Duration half = (now - host.asked + Duration(1)) / 2;
    const Time middle = wall_ + host.asked + half;
    *host.probe.mutable_clock_offset() = signed_duration(wire::from_proto(facts.time()) - middle);
    *host.probe.mutable_clock_uncertainty() = signed_duration(half);
  }
}

void ProbePlan::peer_probed(WorkerId from, WorkerId to, const v1::LinkFacts& link) {
  for (Pair& pair : pairs_) {
    if (workers_[pair.from].id != from || workers_[pair.to].id != to) continue;
    if (pair.stage != Stage::kAsked) continue;
    pair.stage = Stage::kDone;
    v1::LinkFacts& kept = *pair.probe.mutable_link();
    kept = link;
    if (!wire::from_proto(link.round_trip())) kept.clear_round_trip();
    cut(kept.mutable_message());
    while (kept.ports_size() > kProbedPortsMax) kept.mutable_ports()->RemoveLast();
    for (v1::PortFacts& port : *kept.mutable_ports()) cut(port.mutable_stands_for());
  }
}

bool ProbePlan::complete() const {
  const auto done = [](const auto& one) { return one.stage == Stage::kDone; };
  return std::all_of(hosts_.begin(), hosts_.end(), done) &&
         std::all_of(pairs_.begin(), pairs_.end(), done);
}

v1::ProbeWorkersResponse ProbePlan::result() const {
  v1::ProbeWorkersResponse out;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    v1::HostProbe& probe = *out.add_hosts();
    probe = hosts_[i].probe;
    if (hosts_[i].stage != Stage::kDone) {
      probe.set_message(workers_[i].name + " gave no answer in the time there was");
    }
  }
  std::size_t left_out = too_many_;
  for (const Pair& pair : pairs_) {
    if (pair.stage == Stage::kDone) {
      *out.add_pairs() = pair.probe;
    } else {
      ++left_out;
    }
  }
  out.set_pairs_left_out(static_cast<std::uint32_t>(left_out));
  return out;
}

}  // namespace overwinter::rpc
