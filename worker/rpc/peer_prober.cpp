#include "worker/rpc/peer_prober.h"

#include <charconv>
#include <optional>
#include <utility>

#include "common/base/bytes.h"
#include "worker/rpc/peer_probe.h"
#include "worker/rpc/port_probe.h"

namespace overwinter::worker {
namespace {

constexpr Duration kConnectWithin{2'000};
constexpr std::uint64_t kRateBytesMax = 32 * kMiB;

std::uint64_t run_of(const v1::CoordinatorMessage& question) {
  return question.has_describe_host() ? question.describe_host().run()
                                      : question.probe_peer().run();
}

struct PeerPlace {
  std::string ip;
  std::uint16_t port = 0;
};
std::optional<PeerPlace> place_of(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  PeerPlace out{address.substr(0, colon), 0};
  const char* end = address.data() + address.size();
  const auto [at, failed] = std::from_chars(address.data() + colon + 1, end, out.port);
  if (failed != std::errc() || at != end || out.port == 0) return std::nullopt;
  return out;
}

// Of a peer port that nobody could be spoken to on.
std::string why_closed(PortAnswer answer, const std::string& address) {
  switch (answer) {
    case PortAnswer::kAccepted:
      break;
    case PortAnswer::kClosed:
      return "nothing listens at " + address;
    case PortAnswer::kRejected:
      return "a firewall or router refuses " + address;
    case PortAnswer::kSilent:
      return "no answer from " + address + " within " + format_duration(kConnectWithin) +
             ": a firewall drops it, or there is no way";
  }
  return {};
}

}  // namespace

PeerProber::PeerProber(PeerProberParts parts)
    : parts_(std::move(parts)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

PeerProber::~PeerProber() {
  thread_.request_stop();
  arrived_.notify_all();
  thread_.join();
}

void PeerProber::ask(const v1::CoordinatorMessage& question) {
  {
    const MutexLock lock(mutex_);
    std::erase_if(waiting_, [run = run_of(question)](const v1::CoordinatorMessage& other) {
      return run_of(other) != run;
    });
    if (waiting_.size() >= kWaitingMax) return;
    // A look at the machine takes no time, and need not wait for a peer that does not answer.
    if (question.has_describe_host()) {
      waiting_.push_front(question);
    } else {
      waiting_.push_back(question);
    }
  }
  arrived_.notify_all();
}

void PeerProber::run(const std::stop_token& stop) {
  for (;;) {
    v1::CoordinatorMessage question;
    {
      std::unique_lock lock(mutex_);
      if (!arrived_.wait(lock, stop, [this] { return !waiting_.empty(); })) return;
      question = std::move(waiting_.front());
      waiting_.pop_front();
    }
    v1::WorkerMessage answer;
    if (question.has_describe_host()) {
      v1::HostDescribed& described = *answer.mutable_host_described();
      described.set_run(question.describe_host().run());
      *described.mutable_host() = parts_.describe();
    } else {
      v1::PeerProbed& probed = *answer.mutable_peer_probed();
      probed.set_run(question.probe_peer().run());
      probed.set_worker(question.probe_peer().worker());
      *probed.mutable_link() = try_link(question.probe_peer(), stop);
    }
    if (!stop.stop_requested()) parts_.tell(answer);
  }
}

v1::LinkFacts PeerProber::try_link(const v1::ProbePeer& question,
                                   const std::stop_token& stop) const {
  v1::LinkFacts link;
  const std::string& address = question.peer_address();
  const auto place = place_of(address);
  if (!place) {
    link.set_message("'" + address + "' is no address of a peer port");
    return link;
  }
  std::vector<std::uint16_t> ports{place->port};
  for (const StandInPort& one : parts_.ports) ports.push_back(one.port);
  const auto answers = try_ports(place->ip, ports, kConnectWithin, stop);
  if (!answers) {
    link.set_message(answers.error().message);
    return link;
  }
  for (std::size_t i = 0; i < parts_.ports.size(); ++i) {
    v1::PortFacts& port = *link.add_ports();
    port.set_port(parts_.ports[i].port);
    port.set_stands_for(parts_.ports[i].stands_for);
    port.set_answer(static_cast<v1::PortFacts::Answer>((*answers)[i + 1]));
  }
  if (answers->front() != PortAnswer::kAccepted) {
    link.set_message(why_closed(answers->front(), address));
    return link;
  }
  PeerProbeWish wish;
  if (question.measure_rate()) wish.bytes_max = kRateBytesMax;
  const auto probe = probe_peer(parts_.leaf_dir, address, WorkerId(question.worker()), wish, stop);
  if (!probe) {
    link.set_message(address + ": " + probe.error().message);
    return link;
  }
  link.set_reachable(true);
  const auto micros = probe->round_trip.count();
  link.mutable_round_trip()->set_seconds(micros / 1'000'000);
  link.mutable_round_trip()->set_nanos(static_cast<std::int32_t>(micros % 1'000'000) * 1000);
  link.set_bytes_per_second(probe->bytes_per_second);
  return link;
}

}  // namespace overwinter::worker
