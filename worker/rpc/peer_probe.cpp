#include "worker/rpc/peer_probe.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "common/base/mutex.h"
#include "common/rpc/channel.h"
#include "worker/rpc/peer_dial.h"

namespace overwinter::worker {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr int kRoundTrips = 5;
// The first payloads are small: a slow link carries them in time, and says so.
constexpr std::uint64_t kPayloadMin = std::uint64_t{64} << 10;
constexpr std::uint64_t kPayloadMax = std::uint64_t{1} << 20;
constexpr std::size_t kPayloadsAtOnce = 4;  // so that the link never waits for an answer

// Sends payloads for a while, a few at once, and counts what arrived.
class Flood {
 public:
  Flood(v1::PeerService::Stub& stub, const PeerProbeWish& wish)
      : stub_(stub), wish_(wish), began_(steady_clock::now()), last_(began_) {}

  // Bytes a second; 0: nothing arrived.
  std::uint64_t run(const std::stop_token& stop) {
    {
      const MutexLock lock(mutex_);
      for (Slot& slot : slots_) send(slot);
    }
    const std::stop_callback cancel(stop, [this] {
      const MutexLock lock(mutex_);
      stopped_ = true;
      for (Slot& slot : slots_) {
        if (slot.context) slot.context->TryCancel();
      }
    });
    const MutexLock lock(mutex_);
    while (active_ > 0) idle_.wait(mutex_);
    const auto took = std::chrono::duration_cast<microseconds>(last_ - began_).count();
    if (took <= 0) return 0;
    return static_cast<std::uint64_t>(static_cast<double>(arrived_) * 1e6 /
                                      static_cast<double>(took));
  }

 private:
  struct Slot {
    std::unique_ptr<grpc::ClientContext> context;
    v1::ProbeRequest request;
    v1::ProbeResponse response;
  };

  void send(Slot& slot) OW_REQUIRES(mutex_) {
    if (stopped_ || sent_ >= wish_.bytes_max || steady_clock::now() - began_ >= wish_.rate_within) {
      return;
    }
    const std::uint64_t bytes = std::min(std::clamp(arrived_, kPayloadMin, kPayloadMax),
                                         std::max(wish_.bytes_max - sent_, kPayloadMin));
    if (slot.request.payload().size() != bytes) slot.request.set_payload(std::string(bytes, 'x'));
    sent_ += bytes;
    ++active_;
    slot.context = std::make_unique<grpc::ClientContext>();
    const auto spent = std::chrono::floor<Duration>(steady_clock::now() - began_);
    set_deadline(*slot.context, wish_.rate_within + wish_.within - spent);
    stub_.async()->Probe(slot.context.get(), &slot.request, &slot.response,
                         [this, &slot](const grpc::Status& status) { done(slot, status); });
  }

  void done(Slot& slot, const grpc::Status& status) {
    const MutexLock lock(mutex_);
    --active_;
    slot.context.reset();
    if (status.ok()) {
      arrived_ += slot.request.payload().size();
      last_ = steady_clock::now();
      send(slot);
    }
    if (active_ == 0) idle_.notify_all();
  }

  v1::PeerService::Stub& stub_;
  const PeerProbeWish& wish_;
  const steady_clock::time_point began_;
  Mutex mutex_;
  Condition idle_;
  std::array<Slot, kPayloadsAtOnce> slots_ OW_GUARDED_BY(mutex_);
  std::size_t active_ OW_GUARDED_BY(mutex_) = 0;
  std::uint64_t sent_ OW_GUARDED_BY(mutex_) = 0;
  std::uint64_t arrived_ OW_GUARDED_BY(mutex_) = 0;
  steady_clock::time_point last_ OW_GUARDED_BY(mutex_);
  bool stopped_ OW_GUARDED_BY(mutex_) = false;
};

// One empty call.
Result<microseconds> round_trip_to(const DialedPeer& peer, Duration within,
                                   const std::stop_token& stop) {
  grpc::ClientContext context;
  set_deadline(context, within);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::ProbeResponse response;
  const auto begin = steady_clock::now();
  const grpc::Status status = peer.stub->Probe(&context, v1::ProbeRequest(), &response);
  if (status.ok()) return std::chrono::ceil<microseconds>(steady_clock::now() - begin);
  if (stop.stop_requested()) return fail(Code::kCancelled, "the probe was given up");
  Status failed = peer.status(status);
  if (failed.code == Code::kDeadlineExceeded) {
    failed = error(Code::kUnavailable, "no answer within " + format_duration(within));
  }
  return fail(std::move(failed));
}

}  // namespace

Result<PeerProbe> probe_peer(const std::filesystem::path& leaf_dir, const std::string& address,
                             WorkerId worker, const PeerProbeWish& wish,
                             const std::stop_token& stop) {
  auto peer = dial_peer(leaf_dir, address, worker);
  if (!peer) return fail(peer.error());
  const auto until = steady_clock::now() + wish.within;
  if (const auto dialing = round_trip_to(*peer, wish.within, stop); !dialing) {
    return fail(dialing.error());
  }
  PeerProbe probe;
  for (int i = 0; i < kRoundTrips; ++i) {
    const auto left = std::chrono::ceil<Duration>(until - steady_clock::now());
    if (i > 0 && left <= Duration(0)) break;
    const auto took = round_trip_to(*peer, std::max(left, Duration(1000)), stop);
    if (!took) return fail(took.error());
    probe.round_trip = i == 0 ? *took : std::min(probe.round_trip, *took);
  }
  if (wish.bytes_max > 0) probe.bytes_per_second = Flood(*peer->stub, wish).run(stop);
  return probe;
}

}  // namespace overwinter::worker
