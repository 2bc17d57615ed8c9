// WorkerProbes: asks workers over their streams what they find (probe_plan.h says whom and when)
// and gathers the answers. One run at a time; nothing of it is kept.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "coordinator/rpc/probe_plan.h"
#include "overwinter/v1/admin.pb.h"
#include "overwinter/v1/worker.pb.h"

namespace overwinter::rpc {

struct ProbeWish {
  std::vector<ProbedWorker> workers;
  bool pairs = false;
  Duration within{10'000};
  // Whether somebody still waits for the answer. Asked until `done` is called, never after.
  std::function<bool()> wanted = [] { return true; };
};

// Thread-safe.
class WorkerProbes {
 public:
  // Puts a message on a worker's stream; false: it is not connected. Must not block.
  using Send = std::function<bool(WorkerId, Incarnation, v1::CoordinatorMessage)>;
  using Done = std::function<void(Result<v1::ProbeWorkersResponse>)>;

  // `wall`: this machine's clock. Both are called from gRPC's threads.
  WorkerProbes(Send send, std::function<Time()> wall);
  ~WorkerProbes() { stop(); }
  WorkerProbes(const WorkerProbes&) = delete;
  WorkerProbes& operator=(const WorkerProbes&) = delete;

  // After success `done` is called once, at the latest after `within`, from any thread (this one
  // too). RESOURCE_EXHAUSTED while another run is under way.
  Status begin(ProbeWish wish, Done done);
  // A HostDescribed or PeerProbed of this worker; others are let go.
  void take(WorkerId worker, const v1::WorkerMessage& message);
  // Ends the run with UNAVAILABLE; no other begins.
  void stop();

 private:
  class Run;

  const Send send_;
  const std::function<Time()> wall_;
  Mutex mutex_;
  std::shared_ptr<Run> run_ OW_GUARDED_BY(mutex_);  // the last; perhaps over
  std::uint64_t next_ OW_GUARDED_BY(mutex_) = 1;
  bool stopped_ OW_GUARDED_BY(mutex_) = false;
};

}  // namespace overwinter::rpc
