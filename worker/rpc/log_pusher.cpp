#include "worker/rpc/log_pusher.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/rpc/channel.h"
#include "common/wire/convert.h"
#include "overwinter/v1/log.grpc.pb.h"

namespace overwinter::worker {
namespace {

constexpr Duration kCallWithin{10'000};
constexpr Duration kLastCallWithin{1000};
constexpr int kPointsMax = 2000;  // waiting

// OK: taken. Anything else but UNAVAILABLE is the coordinator's last word on it.
grpc::Status send(grpc::Channel& channel, const JobLog::Origin& origin, const v1::PushedLogs& logs,
                  Duration within) {
  v1::LogService::Stub stub(std::shared_ptr<grpc::Channel>(&channel, [](grpc::Channel*) {}));
  grpc::ClientContext context;
  set_deadline(context, within);
  v1::PushLogsResponse response;
  auto writer = stub.PushLogs(&context, &response);
  v1::PushLogsRequest request;
  request.mutable_begin()->set_capability(origin.capability);
  *request.mutable_begin()->mutable_seat() = wire::to_proto(origin.seat);
  bool open = writer->Write(request);
  *request.mutable_logs() = logs;
  open = open && writer->Write(request);
  if (open) writer->WritesDone();
  return writer->Finish();
}

}  // namespace

LogPusher::LogPusher(std::function<std::shared_ptr<grpc::Channel>()> channel, Duration every)
    : channel_(std::move(channel)),
      every_(every),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

LogPusher::~LogPusher() {
  thread_.request_stop();
  changed_.notify_all();
  thread_.join();
  send_waiting(kLastCallWithin);
}

LogPusher::Waiting& LogPusher::of(const Origin& origin) {
  Waiting& waiting = waiting_[{origin.seat.job, origin.seat.attempt}];
  waiting.origin = origin;
  return waiting;
}

// The oldest half goes: seldom, and not line by line.
void LogPusher::make_room(Waiting& waiting) {
  if (waiting.bytes <= kWaitingBytesMax) return;
  auto& lines = *waiting.logs.mutable_lines();
  const int half = lines.size() / 2;
  for (int i = 0; i < half; ++i) {
    waiting.bytes -= lines[i].text().size();
    waiting.bytes_lost += lines[i].text().size();
  }
  waiting.lines_lost += static_cast<std::uint64_t>(half);
  lines.DeleteSubrange(0, half);
}

void LogPusher::line(const Origin& origin, std::uint32_t rank, bool error, std::string text) {
  const MutexLock lock(mutex_);
  Waiting& waiting = of(origin);
  if (text.size() > kLineBytesMax) text.resize(kLineBytesMax);
  waiting.bytes += text.size();
  v1::PushedLine& line = *waiting.logs.add_lines();
  line.set_rank(rank);
  line.set_stream(error ? v1::LogLine::ERR : v1::LogLine::OUT);
  *line.mutable_time() =
      wire::to_proto(Time(std::chrono::duration_cast<Duration>(system_clock().wall())));
  line.set_text(std::move(text));
  make_room(waiting);
}

void LogPusher::point(const Origin& origin, const std::string& metric, std::uint64_t step,
                      double value) {
  const MutexLock lock(mutex_);
  Waiting& waiting = of(origin);
  auto& points = *waiting.logs.mutable_points();
  if (points.size() >= kPointsMax) points.DeleteSubrange(0, kPointsMax / 2);
  v1::PushedPoint& point = *waiting.logs.add_points();
  point.set_metric(metric);
  point.set_step(step);
  *point.mutable_time() =
      wire::to_proto(Time(std::chrono::duration_cast<Duration>(system_clock().wall())));
  point.set_value(value);
}

void LogPusher::flush(const SeatKey& seat, Duration within) {
  using std::chrono::steady_clock;
  const auto until = steady_clock::now() + within;
  const MutexLock lock(mutex_);
  ++flushing_;
  changed_.notify_all();
  while (sending_ || waiting_.contains({seat.job, seat.attempt})) {
    const auto left = std::chrono::duration_cast<Duration>(until - steady_clock::now());
    if (left <= Duration(0)) break;
    sent_.wait_for(mutex_, left);
  }
  --flushing_;
}

void LogPusher::run(const std::stop_token& stop) {
  bool all_taken = true;
  while (!stop.stop_requested()) {
    {
      const MutexLock lock(mutex_);
      if (flushing_ == 0 || waiting_.empty() || !all_taken) changed_.wait_for(mutex_, every_);
    }
    if (!stop.stop_requested()) all_taken = send_waiting(kCallWithin);
  }
}

v1::PushedLogs LogPusher::take(Waiting& waiting) {
  v1::PushedLogs out;
  out.mutable_points()->Swap(waiting.logs.mutable_points());
  if (waiting.lines_lost > 0) {
    v1::PushedLine& gap = *out.add_lines();
    gap.set_stream(v1::LogLine::SYSTEM);
    *gap.mutable_time() =
        wire::to_proto(Time(std::chrono::duration_cast<Duration>(system_clock().wall())));
    gap.set_lines_lost(std::exchange(waiting.lines_lost, 0));
    gap.set_bytes_lost(std::exchange(waiting.bytes_lost, 0));
  }
  auto& lines = *waiting.logs.mutable_lines();
  std::size_t bytes = 0;
  int count = 0;
  while (count < lines.size() && bytes < kPushBytesMax) {
    bytes += lines[count].text().size();
    *out.add_lines() = std::move(lines[count]);
    ++count;
  }
  lines.DeleteSubrange(0, count);
  waiting.bytes -= bytes;
  return out;
}

bool LogPusher::send_waiting(Duration within) {
  const auto channel = channel_();
  if (!channel) return false;
  std::vector<std::pair<Origin, v1::PushedLogs>> batches;
  {
    const MutexLock lock(mutex_);
    sending_ = true;
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      batches.emplace_back(at->second.origin, take(at->second));
      at = at->second.logs.lines().empty() ? waiting_.erase(at) : std::next(at);
    }
  }
  bool all_taken = true;
  for (auto& [origin, logs] : batches) {
    const grpc::Status sent = send(*channel, origin, logs, within);
    if (sent.ok()) continue;
    log_debug("output of job {} was not taken: {}", origin.seat.job.value(), sent.error_message());
    if (sent.error_code() != grpc::StatusCode::UNAVAILABLE) continue;
    all_taken = false;
    const MutexLock lock(mutex_);
    Waiting& waiting = of(origin);
    for (const v1::PushedLine& line : logs.lines()) waiting.bytes += line.text().size();
    logs.mutable_lines()->MergeFrom(waiting.logs.lines());
    logs.mutable_points()->MergeFrom(waiting.logs.points());
    waiting.logs = std::move(logs);
    make_room(waiting);
  }
  {
    const MutexLock lock(mutex_);
    sending_ = false;
  }
  sent_.notify_all();
  return all_taken;
}

}  // namespace overwinter::worker
