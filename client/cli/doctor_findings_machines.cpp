#include "client/cli/doctor_findings_machines.h"

#include <fmt/format.h>

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <vector>

#include "client/cli/doctor_findings_service.h"
#include "client/cli/output.h"
#include "common/base/bytes.h"
#include "common/base/time.h"

namespace overwinter::cli {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::int64_t kWorkerCertificateDays = 15;  // of 30; renewed when 20 are left
constexpr std::uint64_t kSharedMemoryLow = 128 * kMiB;
constexpr std::uint64_t kJobDiskLow = kGiB;

bool is_there(const v1::Worker& worker) {
  return worker.state() == v1::Worker::READY || worker.state() == v1::Worker::DRAINING;
}

std::string machine_of(const v1::Worker& worker) {
  return worker.host_id().empty() ? worker.name() : worker.host_id();
}

std::string joined(const std::set<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

// A container has 64 MiB of it unless it was given more.
void check_shared_memory(const v1::HostProbe& host, const std::string& name, FindingList& out) {
  const char* next =
      "mount a tmpfs of some GiB there; in a container: --shm-size=2g, or --ipc=host";
  const v1::HostFacts& facts = host.facts();
  if (facts.shared_memory_total_bytes() == 0) {
    out.failure("machines", name + " has no /dev/shm: programs that share memory fail", next,
                host.worker());
  } else if (facts.shared_memory_free_bytes() < kSharedMemoryLow) {
    out.warning("machines",
                fmt::format("{} has {} of {} free in /dev/shm: data loaders of PyTorch need more",
                            name, format_bytes(facts.shared_memory_free_bytes()),
                            format_bytes(facts.shared_memory_total_bytes())),
                next, host.worker());
  }
}

void check_host(const v1::HostProbe& host, FindingList& out) {
  const std::string name = short_name(host.worker());
  if (!host.has_facts()) {
    out.warning(
        "machines", host.message(),
        "`overwinter workers get " + name + "`; a worker older than this release says nothing",
        host.worker());
    return;
  }
  const v1::HostFacts& facts = host.facts();
  out.ok("machines",
         fmt::format("{}: {} of {} free in /dev/shm, {} for jobs{}", name,
                     format_bytes(facts.shared_memory_free_bytes()),
                     format_bytes(facts.shared_memory_total_bytes()),
                     format_bytes(facts.job_disk_free_bytes()),
                     facts.no_open_mpi().empty() ? ", Open MPI" : ""),
         host.worker());
  check_shared_memory(host, name, out);
  if (facts.job_disk_free_bytes() < kJobDiskLow) {
    out.warning("machines",
                fmt::format("{} has {} free where jobs have their folders", name,
                            format_bytes(facts.job_disk_free_bytes())),
                "make room there, or start its worker with --job-dir", host.worker());
  }
  if (!facts.no_open_mpi().empty()) {
    out.warning("machines", fmt::format("{} trains in no gang: {}", name, facts.no_open_mpi()),
                "deploy/install-dependencies.sh installs it; then restart the worker",
                host.worker());
  }
  check_limit(out, host.worker(), name, facts.descriptors_open(), facts.descriptors_limit());
  check_clock(out, "clock", host.worker(), name + "'s clock", "the coordinator's",
              host.clock_offset(), host.clock_uncertainty());
  const std::int64_t left = facts.certificate_expire_time().seconds() - facts.time().seconds();
  if (facts.has_certificate_expire_time() && left < kWorkerCertificateDays * 86'400) {
    out.warning("certificates",
                fmt::format("the certificate of {} ends at {}", name,
                            time_text(facts.certificate_expire_time())),
                "it renews itself after ten days: the worker's log says why it could not",
                host.worker());
  }
}

const char* answer_text(v1::PortFacts::Answer answer) {
  return answer == v1::PortFacts::SILENT ? "no answer" : "refused by a firewall or router";
}

bool is_blocked(const v1::PortFacts& port) {
  return port.answer() == v1::PortFacts::SILENT || port.answer() == v1::PortFacts::REJECTED;
}

// What stands between two workers that should reach each other. True when nothing does.
bool check_way(const v1::PairProbe& pair, FindingList& out) {
  const std::string from = short_name(pair.from());
  const std::string to = short_name(pair.to());
  const v1::LinkFacts& link = pair.link();
  const bool all_blocked =
      link.ports_size() > 0 && std::all_of(link.ports().begin(), link.ports().end(), is_blocked);
  if (!link.reachable()) {
    std::string text = fmt::format("from {} to {}: {}", from, to, link.message());
    if (all_blocked) text += "; its other ports are silent too";
    if (pair.same_network()) {
      out.failure("pairs", text,
                  fmt::format("let {}'s machine reach TCP 7610 to 7619 of {}'s", from, to),
                  pair.to());
    } else {
      out.warning("pairs", text, "no gang has both: they are not on one private network",
                  pair.to());
    }
    return false;
  }
  bool free = true;
  for (const v1::PortFacts& port : link.ports()) {
    if (!is_blocked(port)) continue;
    free = false;
    const std::string text =
        fmt::format("from {} to {}: {}: {} on port {}", from, to, port.stands_for(),
                    answer_text(port.answer()), port.port());
    if (pair.same_network()) {
      out.failure("pairs", text,
                  fmt::format("let {}'s machine reach these ports of {}'s", from, to), pair.to());
    } else {
      out.warning("pairs", text, "no gang has both: they are not on one private network",
                  pair.to());
    }
  }
  return free;
}

// The best and the worst of what was measured.
std::string extremes(const std::vector<const v1::PairProbe*>& good) {
  const v1::PairProbe* slow = nullptr;
  const v1::PairProbe* far = nullptr;
  for (const v1::PairProbe* pair : good) {
    const std::uint64_t rate = pair->link().bytes_per_second();
    if (rate > 0 && (slow == nullptr || rate < slow->link().bytes_per_second())) slow = pair;
    if (far == nullptr || pair->link().round_trip() > far->link().round_trip()) far = pair;
  }
  std::string out;
  if (slow != nullptr) {
    out += fmt::format("; slowest {}/s ({} to {})", format_bytes(slow->link().bytes_per_second()),
                       short_name(slow->from()), short_name(slow->to()));
  }
  if (far != nullptr) {
    out += fmt::format(
        "; longest round trip {:.2f} ms ({} to {})",
        static_cast<double>(TimeUtil::DurationToMicroseconds(far->link().round_trip())) / 1e3,
        short_name(far->from()), short_name(far->to()));
  }
  return out;
}

}  // namespace

void check_clock(FindingList& out, const std::string& check, const std::string& subject,
                 const std::string& whose, const std::string& other,
                 const google::protobuf::Duration& offset,
                 const google::protobuf::Duration& uncertainty) {
  const std::int64_t ms = TimeUtil::DurationToMilliseconds(offset);
  const std::int64_t unsure = TimeUtil::DurationToMilliseconds(uncertainty) + 1;
  const std::int64_t sure = std::abs(ms) - unsure;
  if (sure <= kClockWarningMs) {
    if (subject.empty()) {
      out.ok(check, fmt::format("{} is within {} of {}", whose,
                                format_duration(Duration(std::abs(ms) + unsure)), other));
    }
    return;
  }
  const std::string text =
      fmt::format("{} is {} {} {}", whose, format_duration(Duration(std::abs(ms))),
                  ms > 0 ? "ahead of" : "behind", other);
  const char* next = "let NTP keep both: `timedatectl set-ntp true`";
  if (sure > kClockFailureMs) {
    out.failure(check, text, next, subject);
  } else {
    out.warning(check, text, next, subject);
  }
}

void check_programs(const v1::DoctorReport& report, FindingList& out) {
  std::map<std::string, std::set<std::string>> able;  // by how they limit memory
  std::set<std::string> wanted_so;                    // by whoever started them
  for (const v1::Worker& worker : report.workers()) {
    if (!is_there(worker)) continue;
    const std::string name = short_name(worker.name());
    if (worker.no_exec() == "--no-exec") {
      wanted_so.insert(name);
    } else if (!worker.no_exec().empty()) {
      out.warning("programs",
                  fmt::format("{} runs no program of users: {}", name, worker.no_exec()),
                  "exec jobs go to other workers; that sentence says what its machine would need",
                  worker.name());
    } else if (worker.memory_limit().empty()) {
      out.warning("programs", name + " does not say how it limits the memory of programs",
                  "restart it with this release", worker.name());
    } else {
      able[worker.memory_limit()].insert(name);
    }
  }
  std::string text;
  const auto add = [&text](const std::string& how, const std::set<std::string>& names) {
    text += (text.empty() ? "" : "; ") + how + ": " + joined(names);
  };
  for (const auto& [limit, names] : able) add("confined, memory by " + limit, names);
  if (!wanted_so.empty()) add("--no-exec", wanted_so);
  if (!text.empty()) out.ok("programs", text);
}

void check_networks(const v1::DoctorReport& report, FindingList& out) {
  std::set<std::string> machines;
  std::map<std::string, std::set<std::string>> networks;  // to machines
  std::map<std::string, std::set<std::string>> names;     // of workers, by network
  std::vector<const v1::Worker*> alone;
  for (const v1::Worker& worker : report.workers()) {
    if (!is_there(worker)) continue;
    machines.insert(machine_of(worker));
    if (worker.peer_address().empty() || worker.network().empty()) {
      alone.push_back(&worker);
      continue;
    }
    networks[worker.network()].insert(machine_of(worker));
    names[worker.network()].insert(short_name(worker.name()));
  }
  if (machines.empty()) return;
  if (machines.size() == 1) {
    out.ok("gangs", "one machine: gangs run on it");
    return;
  }
  for (const v1::Worker* worker : alone) {
    out.warning("gangs",
                short_name(worker->name()) +
                    " has no peer address: it is in gangs of its own machine alone",
                "start it with --peer-address, an address of the private network; its log says why "
                "a port could not be opened",
                worker->name());
  }
  std::string groups;
  for (const auto& [network, of] : networks) {
    if (of.size() < 2) continue;
    groups += fmt::format("{}{} machines on {} ({})", groups.empty() ? "" : "; ", of.size(),
                          network, joined(names[network]));
  }
  if (groups.empty()) {
    out.warning("gangs", "no two machines share a private network: no gang spans several of them",
                "put them on one (WireGuard will do) and start the workers with --peer-address");
  } else {
    out.ok("gangs", groups);
  }
}

void check_machines(const v1::DoctorReport& report, FindingList& out) {
  for (const v1::HostProbe& host : report.probes().hosts()) {
    check_host(host, out);
  }
}

void check_pairs(const v1::DoctorReport& report, FindingList& out) {
  if (!report.pairs() || !report.has_probes()) return;
  std::set<std::string> without_port;
  for (const v1::Worker& worker : report.workers()) {
    if (worker.peer_address().empty()) without_port.insert(worker.name());
  }
  std::vector<const v1::PairProbe*> good;
  for (const v1::PairProbe& pair : report.probes().pairs()) {
    if (pair.has_link()) {
      if (check_way(pair, out)) good.push_back(&pair);
      continue;
    }
    // Those without a port were named once, with the networks.
    if (without_port.contains(pair.from()) || without_port.contains(pair.to())) continue;
    out.warning("pairs",
                fmt::format("from {} to {}: not tried: {}", short_name(pair.from()),
                            short_name(pair.to()), pair.message()),
                "`overwinter workers get " + short_name(pair.from()) + "`", pair.from());
  }
  if (report.probes().pairs_left_out() > 0) {
    out.warning("pairs",
                fmt::format("{} pairs were not tried: there was no time for them",
                            report.probes().pairs_left_out()),
                "--timeout 10m gives more");
  }
  if (!good.empty()) {
    out.ok("pairs", fmt::format("{} of {} ways are open{}", good.size(),
                                report.probes().pairs_size(), extremes(good)));
  } else if (report.probes().pairs_size() == 0) {
    out.ok("pairs", "no two machines are there to try each other");
  }
}

}  // namespace overwinter::cli
