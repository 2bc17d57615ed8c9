#include "worker/runtime/gang_order.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "worker/exec/bundled_mpi.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kWordsMax = 256;
constexpr std::size_t kWordBytesMax = 16'384;

bool is_ipv4(const std::string& text) {
  in_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1;
}

bool is_network(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos || !is_ipv4(text.substr(0, slash))) return false;
  int bits = -1;
  const char* end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data() + slash + 1, end, bits);
  return failed == std::errc() && at == end && bits >= 0 && bits <= 32;
}

std::set<std::string> own_addresses() {
  std::set<std::string> out;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return out;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN] = {};
    const auto* address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
    if (::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) != nullptr) out.insert(text);
  }
  ::freeifaddrs(list);
  return out;
}

// Whether one process may copy from another's memory here: seccomp of some containers forbids it,
// and Open MPI would find out by failing.
bool memory_can_be_copied() {
  int from = 7;
  int to = 0;
  iovec local{&to, sizeof to};
  iovec remote{&from, sizeof from};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) ==
             static_cast<ssize_t>(sizeof to) &&
         to == from;
}

Status bad(std::string message) {
  return error(Code::kInvalidArgument, std::move(message), "gang");
}

}  // namespace

std::uint32_t GangOrder::ranks() const {
  return first_rank(hosts.size());
}

std::uint32_t GangOrder::first_rank(std::size_t host) const {
  std::uint32_t first = 0;
  for (std::size_t i = 0; i < host; ++i) first += hosts[i].slots;
  return first;
}

std::vector<std::uint32_t> GangOrder::own_ranks() const {
  std::vector<std::uint32_t> out;
  const std::uint32_t first = first_rank(self);
  for (std::uint32_t i = 0; i < hosts[self].slots; ++i) {
    if (owners.empty() || owners[i] == worker) out.push_back(first + i);
  }
  return out;
}

Status check_order(const GangOrder& order) {
  if (!order.key.job.valid() || order.key.attempt == 0)
    return bad("a gang needs a job and an attempt");
  if (order.hosts.empty() || order.self >= order.hosts.size()) return bad("a gang needs hosts");
  if (!is_network(order.network)) {
    return bad("'" + order.network + "' is no IPv4 network (ADDRESS/BITS)");
  }
  if (order.uid == 0) return bad("ranks never run as root: a gang needs a user of its own");
  if (order.oob_port == 0) return bad("a gang needs a port for Open MPI's own messages");
  if (!order.owners.empty() && order.owners.size() != order.hosts[order.self].slots) {
    return bad(
        fmt::format("{} owners for {} ranks", order.owners.size(), order.hosts[order.self].slots));
  }
  const std::size_t own = order.own_ranks().size();
  if (own == 0) return bad("a gang of which no rank is this worker's");
  if (order.tasks.size() != own) {
    return bad(fmt::format("{} tasks for {} ranks", order.tasks.size(), own));
  }
  const std::set<std::string> here = own_addresses();
  std::set<std::string> seen;
  std::size_t ranks = 0;
  for (std::size_t i = 0; i < order.hosts.size(); ++i) {
    const GangHost& host = order.hosts[i];
    ranks += host.slots;
    if (host.slots == 0 || ranks > kGangRanksMax) {
      return bad(fmt::format("a gang has 1 to {} ranks", kGangRanksMax));
    }
    if (!is_ipv4(host.mpi_address)) return bad("'" + host.mpi_address + "' is no IPv4 address");
    if (!seen.insert(host.mpi_address).second) {
      return bad("two hosts of a gang have the address " + host.mpi_address +
                 ": workers of one machine are one host");
    }
    if (i != order.self && here.contains(host.mpi_address)) {
      return bad(host.mpi_address +
                 " is this machine's own address, and another host's of the gang");
    }
    if (order.leads() && i != 0 && host.token.empty()) {
      return bad("no launch token for the host " + host.mpi_address);
    }
  }
  return Status::success();
}

std::vector<std::string> mpirun_command(const GangOrder& order, const GangPrograms& programs) {
  // Called by a path, Open MPI would wrap orted in lines of a shell that set that path's prefix.
  std::vector<std::string> out = {programs.mpirun.string(), "--noprefix"};
  const auto set = [&out](std::string name, std::string value) {
    out.insert(out.end(), {"--mca", std::move(name), std::move(value)});
  };
  set("plm", "rsh");
  set("plm_rsh_agent", programs.agent.string());
  set("plm_rsh_no_tree_spawn", "1");
  set("routed", "direct");
  set("oob_tcp_if_include", order.network);
  set("btl_tcp_if_include", order.network);
  set("btl", "tcp,vader,self");
  // Else a machine with UCX or libfabric would choose another transport than the one that was
  // tried.
  set("pml", "ob1");
  // A rank that waits gives its core away: measured beside other work, 3 to 6 times the rate.
  set("mpi_yield_when_idle", "1");
  set("oob_tcp_static_ipv4_ports", std::to_string(order.oob_port));
  set("btl_tcp_port_min_v4", std::to_string(kMpiPortFirst));
  set("btl_tcp_port_range_v4", std::to_string(kMpiPorts));
  set("oob_tcp_keepalive_time", "5");
  set("oob_tcp_keepalive_intvl", "2");
  set("oob_tcp_keepalive_probes", "3");
  // Between SIGTERM and SIGKILL to the ranks that are left when one is gone; mpirun waits it out on
  // its own host first and only then tells the others. Ranks of ours have nothing to do in it.
  if (!order.programs) set("odls_base_sigkill_timeout", "0");
  // What confines a program keeps it from the memory of others, too.
  if (order.programs || !memory_can_be_copied()) set("btl_vader_single_copy_mechanism", "none");
  if (order.deadlines.run > Duration(0)) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(order.deadlines.run).count();
    out.insert(out.end(), {"--timeout", std::to_string(seconds)});
  }
  std::string hosts;
  for (const GangHost& host : order.hosts) {
    hosts += fmt::format("{}{}:{}", hosts.empty() ? "" : ",", host.mpi_address, host.slots);
  }
  out.insert(out.end(), {"--host", hosts, "-np", std::to_string(order.ranks()), "--oversubscribe",
                         "--bind-to", "none", "--tag-output", "--wdir", "/",
                         (order.programs ? programs.program_rank : programs.rank).string()});
  return out;
}

Result<std::vector<std::string>> orted_command(std::span<const std::string> words,
                                               const GangPrograms& programs) {
  const auto refuse = [](std::string_view what, const std::string& word) {
    return fail(Code::kPermissionDenied,
                fmt::format("a launch asks for {}: '{}'", what, word.substr(0, 80)), "words");
  };
  if (words.empty() || words.size() > kWordsMax) return refuse("too much or nothing", "");
  for (const std::string& word : words) {
    if (word.size() > kWordBytesMax || word.find('\0') != std::string::npos) {
      return refuse("a word that is none", word);
    }
  }
  if (std::filesystem::path(words[0]).filename() != "orted") {
    return refuse("another program than orted", words[0]);
  }
  std::vector<std::string> out = {programs.orted.string()};
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "--daemonize") continue;
    if ((words[i] != "-mca" && words[i] != "--mca") || i + 2 >= words.size()) {
      return refuse("more than settings", words[i]);
    }
    if (words[i + 1] == "mca_base_component_path" || words[i + 1] == "mca_component_path") {
      return refuse("foreign code in orted", words[i + 2]);
    }
    out.insert(out.end(), {words[i], words[i + 1], words[i + 2]});
    i += 2;
  }
  return out;
}

std::vector<std::string> gang_environment(const std::filesystem::path& job_folder,
                                          const std::filesystem::path& socket,
                                          const std::filesystem::path& bundle) {
  std::vector<std::string> out = {
      "PATH=/usr/bin:/bin",
      "LANG=C.UTF-8",
      "SHELL=/bin/bash",  // of another kind of shell Open MPI wraps orted in a line of that shell
      "HOME=" + job_folder.string(),
      "TMPDIR=" + job_folder.string(),
      "OMPI_MCA_btl_vader_backing_directory=" + job_folder.string(),
      "OVERWINTER_GANG_SOCKET=" + socket.string()};
  if (bundle.empty()) return out;
  for (const auto& [name, value] : exec::bundled_mpi_variables(bundle))
    out.push_back(name + "=" + value);
  return out;
}

std::string rank_socket_variable(std::uint32_t rank) {
  return "OVERWINTER_GANG_SOCKET_" + std::to_string(rank);
}

}  // namespace overwinter::worker
