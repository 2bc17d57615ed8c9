// PeerProber: answers the coordinator's questions about this machine and the ways from it to others
// (`overwinter doctor`), one after the other on a thread of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "overwinter/v1/worker.pb.h"

namespace overwinter::worker {

// A port of other machines that is tried beside their peer port, in place of many like it.
struct StandInPort {
  std::uint16_t port = 0;
  std::string stands_for;
};

struct PeerProberParts {
  std::filesystem::path leaf_dir;  // of this worker's certificate
  std::vector<StandInPort> ports;
  // Both from the prober's thread.
  std::function<v1::HostFacts()> describe;
  std::function<void(const v1::WorkerMessage&)> tell;
};

class PeerProber {
 public:
  // More are dropped: the coordinator asks one worker one question about a peer at a time.
  static constexpr std::size_t kWaitingMax = 64;

  explicit PeerProber(PeerProberParts parts);
  ~PeerProber();  // gives up what is under way
  PeerProber(const PeerProber&) = delete;
  PeerProber& operator=(const PeerProber&) = delete;

  // A DescribeHost or ProbePeer. Any thread; never blocks. What an earlier run still waits for is
  // let go.
  void ask(const v1::CoordinatorMessage& question);

 private:
  void run(const std::stop_token& stop);
  [[nodiscard]] v1::LinkFacts try_link(const v1::ProbePeer& question,
                                       const std::stop_token& stop) const;

  const PeerProberParts parts_;
  Mutex mutex_;
  Condition arrived_;
  std::deque<v1::CoordinatorMessage> waiting_ OW_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace overwinter::worker
