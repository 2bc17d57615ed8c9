// LogPusher: lines and points of jobs to LogService, in batches, on a thread and a call of their
// own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "common/base/mutex.h"
#include "common/base/time.h"
#include "overwinter/v1/log.pb.h"
#include "worker/runtime/ports.h"

namespace grpc {
class Channel;
}

namespace overwinter::worker {

class LogPusher final : public JobLog {
 public:
  static constexpr std::size_t kWaitingBytesMax = std::size_t{4} << 20;  // of one attempt
  static constexpr std::size_t kPushBytesMax = std::size_t{512} << 10;
  static constexpr std::size_t kLineBytesMax = std::size_t{16} << 10;

  // `channel`: the one to use now; null: none yet. What cannot be sent waits.
  explicit LogPusher(std::function<std::shared_ptr<grpc::Channel>()> channel,
                     Duration every = Duration(200));
  ~LogPusher() override;  // sends once more what waits, for at most a second

  void line(const Origin& origin, std::uint32_t rank, bool error, std::string text) override;
  void point(const Origin& origin, const std::string& metric, std::uint64_t step,
             double value) override;
  void flush(const SeatKey& seat, Duration within) override;

 private:
  using Attempt = std::pair<JobId, AttemptNumber>;
  struct Waiting {
    Origin origin;
    v1::PushedLogs logs;
    std::size_t bytes = 0;
    std::uint64_t lines_lost = 0;
    std::uint64_t bytes_lost = 0;
  };
  Waiting& of(const Origin& origin) OW_REQUIRES(mutex_);
  static void make_room(Waiting& waiting);
  void run(const std::stop_token& stop);
  bool send_waiting(Duration within);  // true: all was taken
  [[nodiscard]] static v1::PushedLogs take(Waiting& waiting);

  const std::function<std::shared_ptr<grpc::Channel>()> channel_;
  const Duration every_;
  Mutex mutex_;
  Condition changed_;
  Condition sent_;
  int flushing_ OW_GUARDED_BY(mutex_) = 0;
  bool sending_ OW_GUARDED_BY(mutex_) = false;
  std::map<Attempt, Waiting> waiting_ OW_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace overwinter::worker
